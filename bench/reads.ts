/**
 * What the read model takes in and what it answers, in this process: a user with 1,000 conversations and a long log behind
 * them. Beside the ingest stands what SQLite itself takes of bare rows, in transactions of the same size: that of a worker's windows
 * while it has a log to catch up with.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { JetstreamLogReader } from '../src/adapters/jetstream/log/log-reader.ts';
import { SqliteReadModel } from '../src/adapters/sqlite/read-model.ts';
import { BuildingWindows } from '../src/application/read-model/rebuild.ts';
import { MAX_WINDOW_EVENTS } from '../src/application/read-model/windows.ts';
import type { ConversationEvent } from '../src/domain/conversation.ts';
import type { ConversationId } from '../src/domain/ids.ts';
import type { LogEvent } from '../src/ports/conversation-log.ts';
import { ReadModelBuilder } from '../src/processes/read-model-builder.ts';
import { acceptReadable } from '../src/projections/fan-out.ts';
import { readModelChanges } from '../src/projections/read-model.ts';
import { decodeLogEvent, encodeLogEvent } from '../src/protocol/log-event.ts';
import { conversationSubject } from '../src/protocol/subjects.ts';
import { uuidv7 } from '../src/sdk/uuidv7.ts';
import { bytes, conversation, msgId, users } from '../test/support/given.ts';
import { startNats } from '../test/support/nats.ts';
import { REBUILT_ROWS, type Row, SQLITE_INSERT } from './rows.ts';

const CONVERSATIONS = 1_000;
const PAGE = 50;
const ROUNDS = 300;
/** First syncs are long; so many are enough for a p99 that is nearly the worst. */
const SYNC_ROUNDS = 40;
/** So many that the start of the second thread, 0.2 s, is little of it. */
const REBUILT_EVENTS = 500_000;
/** Of which what is to be written is kept in memory. */
const WRITTEN_EVENTS = 200_000;
const IN_FLIGHT = 512;
/** Common words in every message, and one of many rarer ones. */
const RARE_WORDS = 2_000;

const people = users(...Array.from({ length: 10 }, (_, i) => `member-${i}`));
const [me = people[0] as never, ...writers] = people;
const rooms = Array.from({ length: CONVERSATIONS }, (_, i) => conversation(`room-${i}`));
const roomOf = (i: number): ConversationId => rooms[(i * 7919) % rooms.length] as ConversationId;
const wordOf = (i: number): string => `word${(i * 31) % RARE_WORDS}`;
const START = Date.now();

interface Stored {
  readonly conversation: ConversationId;
  readonly data: Uint8Array;
}

const stored = (to: ConversationId, event: ConversationEvent): Stored => ({
  conversation: to,
  data: encodeLogEvent(event),
});

/** Founds the groups, then speaks in all of them; one event in ten is a read mark. */
export function* log(events: number): Generator<Stored> {
  const by = writers[0] ?? me;
  for (const room of rooms) {
    yield stored(room, { type: 'groupCreated', by, id: msgId(uuidv7(START)), name: room, members: people });
  }
  for (let i = 0; i < events; i++) {
    const speaker = writers[i % writers.length] ?? me;
    const id = msgId(uuidv7(START + Math.floor(i / 50)));
    const body = bytes(`the quick brown fox jumps over the lazy dog, and the rook looks on: ${wordOf(i)}`);
    yield i % 10 === 9
      ? stored(roomOf(i), { type: 'conversationRead', by: speaker, id, upTo: 1 + Math.floor(i / CONVERSATIONS / 2) })
      : stored(roomOf(i), { type: 'messageSent', by: speaker, id, contentType: 'text/plain', body });
  }
}

const row = (name: string, value: number, unit: string, more: Partial<Row> = {}): Row => ({
  ...{ name, value, unit, durability: 'default' as const, lost: 0, doubled: 0, outOfOrder: 0 },
  ...more,
});

/** A model with the log in it, and how fast it took that. */
export function measureIngest(events: number): {
  readonly rows: Row[];
  readonly model: SqliteReadModel;
  close(): void;
} {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-bench-'));
  const model = new SqliteReadModel({ path: join(dir, 'model.sqlite'), log: 'bench' });
  let [position, ms] = [0, 0];
  const take = (window: readonly Stored[]): void => {
    const before = performance.now();
    const at = START + Math.floor(position / 50);
    const decoded = window.map(
      ({ conversation, data }): LogEvent => ({ pos: ++position, at, conversation, event: decodeLogEvent(data) }),
    );
    const { changes, accepted } = acceptReadable(model, decoded);
    model.write(changes, readModelChanges(accepted), position, decoded.at(-1));
    ms += performance.now() - before;
  };
  const window: Stored[] = [];
  for (const event of log(events)) {
    if (window.push(event) === MAX_WINDOW_EVENTS) take(window.splice(0));
  }
  take(window);
  const rows = [bareInserts(dir, Math.min(position, 300_000)), row('read-ingest', position / (ms / 1_000), 'events/s')];
  const close = (): void => {
    model.close();
    rmSync(dir, { recursive: true, force: true });
  };
  return { rows, model, close };
}

function bareInserts(dir: string, count: number): Row {
  const db = new Database(join(dir, 'bare.sqlite'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = NORMAL');
  db.exec(`CREATE TABLE entry (pos INTEGER PRIMARY KEY, conversation INTEGER, n INTEGER, at INTEGER, sender TEXT, id TEXT, body BLOB);
    CREATE UNIQUE INDEX entry_of_conversation ON entry (conversation, n)`);
  const insert = db.prepare('INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)');
  const body = bytes('the quick brown fox jumps over the lazy dog, and the rook looks on: word0000');
  const window = db.transaction((from: number) => {
    for (let pos = from; pos < from + MAX_WINDOW_EVENTS; pos++) {
      insert.run(pos, (pos * 7919) % CONVERSATIONS, pos, START, me, `id-${pos}-of-thirty-six-characters----`, body);
    }
  });
  const before = performance.now();
  for (let from = 1; from < count; from += MAX_WINDOW_EVENTS) window(from);
  const ms = performance.now() - before;
  db.close();
  return row(SQLITE_INSERT, count / (ms / 1_000), 'rows/s');
}

function answers(name: string, rounds: number, ask: (round: number) => unknown): Row {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = performance.now();
    ask(round);
    times.push(performance.now() - before);
  }
  const total = times.reduce((sum, ms) => sum + ms, 0);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * (rounds - 1))] ?? 0;
  return row(name, rounds / (total / 1_000), 'answers/s', { p50Ms: at(0.5), p99Ms: at(0.99) });
}

/** By the names of the rows, each in a model that has taken in the log. */
export const READS: Readonly<Record<string, (model: SqliteReadModel) => Row>> = {
  'read-list': (model) =>
    answers('read-list', ROUNDS, () => {
      model.conversations(me, false, undefined, PAGE);
      model.badge(me, START);
    }),
  'read-history': (model) =>
    answers('read-history', ROUNDS, (i) => {
      const room = roomOf(i);
      const { lastIndex } = model.folded(room).conversation;
      model.history(me, room, { type: 'before', n: 1 + ((i * 31) % lastIndex) }, PAGE);
    }),
  'read-first-sync': (model) => answers('read-first-sync', SYNC_ROUNDS, () => firstSync(model)),
  'read-search': (model) => answers('read-search', ROUNDS, (i) => searchOf(model, i)),
};

/** The list's first page with its badge, the newest page of what is opened, then everything else a page at a time. */
function firstSync(model: SqliteReadModel): void {
  const [first] = model.conversations(me, false, undefined, PAGE).conversations;
  model.badge(me, START);
  if (first) model.history(me, first.conversation, { type: 'newest' }, PAGE);
  for (let after: ConversationId | undefined, more = true; more; ) {
    const page = model.changes(me, 0, after, 100);
    after = page.conversations.at(-1)?.conversation;
    more = page.more;
  }
}

/** In turns: a rare word, words of every message, one conversation, the beginning of many words, one's own of one who wrote none. */
function searchOf(model: SqliteReadModel, i: number): void {
  const search = (words: string, more = {}) => model.search(me, { words, ...more }, Number.MAX_SAFE_INTEGER, PAGE);
  if (i % 5 === 0) search(`${wordOf(i)} `);
  else if (i % 5 === 1) search('quick fox');
  else if (i % 5 === 2) search(`${wordOf(i)} `, { conversation: roomOf(i) });
  else if (i % 5 === 3) search('word');
  else search('fox', { by: 'nobody' });
}

/** Keeps what was written to it. */
class RecordedModel extends SqliteReadModel {
  readonly windows: Parameters<SqliteReadModel['write']>[] = [];

  override write(...window: Parameters<SqliteReadModel['write']>): void {
    this.windows.push(window);
    super.write(...window);
  }
}

/** The rows of a rebuild, written by one thread that neither reads nor folds. */
export function measureRebuiltRows(events = WRITTEN_EVENTS): Row {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-bench-'));
  const recorded = new RecordedModel({ path: ':memory:', log: 'bench' });
  const model = new SqliteReadModel({ path: join(dir, 'rows.sqlite'), log: 'bench', isBuilt: true });
  try {
    const windows = new BuildingWindows(recorded);
    let pos = 0;
    for (const { conversation, data } of log(events)) {
      pos += 1;
      windows.add([{ pos, at: START + Math.floor(pos / 50), conversation, event: decodeLogEvent(data) }]);
    }
    windows.flush();
    const before = performance.now();
    for (const window of recorded.windows) model.write(...window);
    model.close();
    return row(REBUILT_ROWS, pos / ((performance.now() - before) / 1_000), 'events/s');
  } finally {
    recorded.close();
    model.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** From a real log, as `rookery read-model rebuild` does. */
export async function measureRebuild(events = REBUILT_EVENTS): Promise<Row> {
  const nats = await startNats();
  try {
    const { nc, js, jsm, inboxPrefix } = await nats.connect('operator');
    const pending: Promise<unknown>[] = [];
    for (const { conversation, data } of log(events)) {
      pending.push(js.publish(conversationSubject(conversation, 'm'), data));
      if (pending.length === IN_FLIGHT) await Promise.all(pending.splice(0));
    }
    await Promise.all(pending);
    const reader = new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: 0 });
    const end = await reader.lastPos();
    const before = performance.now();
    const builder = new ReadModelBuilder({ path: join(nats.dataDir, 'rebuilt.sqlite'), log: 'bench', isBuilt: true });
    await builder.foldUpTo(reader, end, () => undefined).finally(() => builder.close());
    const ms = performance.now() - before;
    return row('read-rebuild', end / (ms / 1_000), 'events/s');
  } finally {
    await nats.stop();
  }
}
