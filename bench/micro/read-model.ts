/**
 * What the read model takes in, beside what SQLite itself takes: the same messages decoded, folded and written with all that
 * follows from them, and then put as bare rows into one table with one index, in transactions of the same size.
 * `node bench/micro/read-model.ts [events] [conversations] [events a window]`
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { ConversationId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { foldReadable } from '../../src/projections/fan-out.ts';
import { readModelChanges } from '../../src/projections/read-model.ts';
import { decodeLogEvent, encodeLogEvent } from '../../src/protocol/log-event.ts';
import { uuidv7 } from '../../src/sdk/uuidv7.ts';
import { bytes, conversation, msgId, user, users } from '../../test/support/given.ts';

const [events = 300_000, conversations = 100, perWindow = 1_000] = process.argv.slice(2).map(Number);
/** One event in so many is a read mark. */
const READ_EVERY = 10;
const MEMBERS = 20;
const BODY = bytes('the quick brown fox jumps over the lazy dog, and the rook looks on. '.repeat(2));

const dir = mkdtempSync(join(tmpdir(), 'rookery-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const members = users(...Array.from({ length: MEMBERS }, (_, i) => `member-${String(i).padStart(4, '0')}`));
const rooms = Array.from({ length: conversations }, (_, i) => conversation(`room-${String(i).padStart(8, '0')}`));
const start = Date.now();

interface Stored {
  readonly pos: number;
  readonly conversation: ConversationId;
  readonly data: Uint8Array;
}

function* log(): Generator<Stored> {
  let pos = 0;
  const stored = (to: ConversationId, event: ConversationEvent): Stored => ({
    pos: ++pos,
    conversation: to,
    data: encodeLogEvent(event),
  });
  for (const room of rooms) {
    yield stored(room, { type: 'groupCreated', by: user('owner'), id: msgId(uuidv7(start)), name: room, members });
  }
  for (let i = 0; i < events; i++) {
    const room = rooms[(i * 7919) % rooms.length] as ConversationId;
    const by = members[i % MEMBERS] ?? user('owner');
    const id = msgId(uuidv7(start + Math.floor(i / 50)));
    yield i % READ_EVERY === 0
      ? stored(room, { type: 'conversationRead', by, id, upTo: Math.floor(i / conversations / 2) })
      : stored(room, { type: 'messageSent', by, id, contentType: 'text/plain', body: BODY });
  }
}

const windows: Stored[][] = [];
for (const event of log()) {
  if ((windows.at(-1)?.length ?? perWindow) === perWindow) windows.push([]);
  windows.at(-1)?.push(event);
}

interface Cost {
  readonly wallMs: number;
  /** Of this process, in user and system: what other processes of the machine do is not in it. */
  readonly cpuMs: number;
}

function measured(work: (window: readonly Stored[]) => void): Cost {
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  for (const window of windows) work(window);
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: performance.now() - wall, cpuMs: (user + system) / 1_000 };
}

const model = new SqliteReadModel({ path: join(dir, 'model.sqlite'), log: 'bench' });
const ofModel = measured((window) => {
  const at = start + Math.floor((window[0]?.pos ?? 0) / 50);
  const decoded = window.map(
    ({ pos, conversation, data }): LogEvent => ({ pos, at, conversation, event: decodeLogEvent(data) }),
  );
  const { changes, accepted } = foldReadable(model, decoded);
  model.write(changes, readModelChanges(accepted), window.at(-1)?.pos ?? 0, decoded.at(-1));
});
model.close();

const bare = new Database(join(dir, 'bare.sqlite'));
bare.pragma('journal_mode = WAL');
bare.pragma('synchronous = NORMAL');
bare.exec(`CREATE TABLE entry (pos INTEGER PRIMARY KEY, conversation INTEGER, n INTEGER, at INTEGER, sender TEXT, id TEXT, body BLOB);
  CREATE UNIQUE INDEX entry_of_conversation ON entry (conversation, n)`);
const insert = bare.prepare('INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)');
const insertAll = bare.transaction((window: readonly Stored[]) => {
  for (const { pos } of window) {
    insert.run(
      pos,
      (pos * 7919) % conversations,
      pos,
      start,
      members[pos % MEMBERS],
      `id-${pos}-of-thirty-six-characters----`,
      BODY,
    );
  }
});
const ofBare = measured((window) => insertAll(window));
bare.close();

const total = windows.reduce((sum, window) => sum + window.length, 0);
const perSecond = ({ wallMs, cpuMs }: Cost): string =>
  `${Math.round(total / (wallMs / 1_000))} events/s (${Math.round(total / (cpuMs / 1_000))} a second of CPU)`;
process.stdout.write(
  `${total} events, ${conversations} conversations, ${perWindow} a window: read model ${perSecond(ofModel)}, ` +
    `bare rows ${perSecond(ofBare)}, ratio ${(ofBare.cpuMs / ofModel.cpuMs).toFixed(2)} by CPU, ` +
    `${Math.round(statSync(join(dir, 'model.sqlite')).size / total)} bytes an event\n`,
);
