/**
 * What answers cost in the read model's own process: a user with many conversations, a long log behind them, another query each
 * time. `node bench/micro/read-queries.ts [conversations] [messages]`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { ConversationId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { foldReadable } from '../../src/projections/fan-out.ts';
import { readModelChanges } from '../../src/projections/read-model.ts';
import { bytes, conversation, msgId, user, users } from '../../test/support/given.ts';

const [conversations = 1_000, messages = 300_000] = process.argv.slice(2).map(Number);
const WINDOW_EVENTS = 5_000;
const ROUNDS = 300;
const PAGE = 50;
/** Common words in every message, and one of many rarer ones. */
const RARE_WORDS = 2_000;
const bodyOf = (i: number): Uint8Array =>
  bytes(`the quick brown fox jumps over the lazy dog, and the rook looks on: word${(i * 31) % RARE_WORDS}`);
const [reader, ...writers] = users('reader', ...Array.from({ length: 9 }, (_, i) => `writer-${i}`));
const me = reader ?? user('reader');

const dir = mkdtempSync(join(tmpdir(), 'rookery-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const model = new SqliteReadModel({ path: join(dir, 'model.sqlite'), log: 'bench' });
const rooms = Array.from({ length: conversations }, (_, i) => conversation(`room-${i}`));
const roomOf = (i: number): ConversationId => rooms[(i * 7919) % rooms.length] as ConversationId;

let pos = 0;
let window: LogEvent[] = [];
function log(to: ConversationId, event: ConversationEvent): void {
  pos += 1;
  window.push({ pos, at: 1_000 + pos, conversation: to, event });
  if (window.length === WINDOW_EVENTS) write();
}
function write(): void {
  const { changes, accepted } = foldReadable(model, window);
  model.write(changes, readModelChanges(accepted), pos, window.at(-1));
  window = [];
}
for (const room of rooms) {
  log(room, { type: 'groupCreated', by: writers[0] ?? me, id: msgId('new'), name: room, members: [me, ...writers] });
}
for (let i = 0; i < messages; i++) {
  const id = msgId(`m${String(i).padStart(9, '0')}`);
  log(roomOf(i), { type: 'messageSent', by: writers[i % 9] ?? me, id, contentType: 'text/plain', body: bodyOf(i) });
}
write();

function measured(name: string, ask: (round: number) => unknown): void {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = performance.now();
    ask(round);
    times.push(performance.now() - before);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(share * (ROUNDS - 1))] ?? 0).toFixed(2);
  process.stdout.write(`${name}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`);
}

const perRoom = Math.floor(messages / conversations);
process.stdout.write(`${conversations} conversations, ${messages} messages\n`);
measured(`first page of the list (${PAGE})`, () => model.conversations(me, false, undefined, PAGE));
measured('badge', () => model.badge(me, pos));
measured(`history, a page of ${PAGE}`, (i) =>
  model.history(me, roomOf(i), { type: 'before', n: 1 + ((i * 31) % perRoom) }, PAGE),
);
measured('history since a time', (i) => model.history(me, roomOf(i), { type: 'since', at: (i * 7_919) % pos }, PAGE));
measured('receipts', (i) => model.receipts(me, roomOf(i), 1 + (i % perRoom)));
const search = (words: string, more = {}) => model.search(me, { words, ...more }, Number.MAX_SAFE_INTEGER, PAGE);
measured('search, a rare word', (i) => search(`word${i} `));
measured('search, words that stand everywhere', () => search('quick fox'));
measured('search, a rare word in one conversation', (i) => search(`word${i} `, { conversation: roomOf(i) }));
measured('search, the beginning of many words', () => search('word'));
measured('search of one who wrote none of it', () => search('fox', { by: 'nobody' }));
model.close();
