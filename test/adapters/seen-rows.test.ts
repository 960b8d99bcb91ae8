/** Ids in the file are found, however many others were settled since; what is looked for in vain is mostly not looked for at all. */
import Database from 'better-sqlite3';
import t from 'tap';
import { SEEN_SCHEMA, SeenRows } from '../../src/adapters/sqlite/seen-rows.ts';
import type { SeenEvent } from '../../src/ports/fan-out-state.ts';
import { conversation, msgId, user } from '../support/given.ts';

/** More senders than are kept in memory. */
const MANY = 200_001;

const timed = (ms: number): string => {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
};
const event = (by: string, id: string): SeenEvent => {
  const ids = { conversation: conversation('room'), by: user(by), id: msgId(id) };
  return { ...ids, pos: 1, n: 1, expiresAt: 9e15 };
};

function opened(...kept: SeenEvent[]): SeenRows {
  const db = new Database(':memory:');
  db.exec(SEEN_SCHEMA);
  const rows = new SeenRows(db);
  rows.write(kept);
  for (const one of kept) rows.settle(one);
  return rows;
}

const isFound = (rows: SeenRows, { conversation, by, id }: SeenEvent): boolean =>
  rows.find(conversation, by, id) !== undefined;

t.test('the id of a sender who is not among the many in memory any more is found', async (t) => {
  const [early, late] = [event('early', timed(2_000)), event('late', timed(3_000))];
  const rows = opened(early, late);
  for (let i = 0; i < MANY; i++) rows.settle(event(`other-${i}`, timed(1_000)));
  t.ok(isFound(rows, early));
  t.ok(isFound(rows, late));
  t.notOk(isFound(rows, event('early', timed(4_000))));
});

t.test("a sender's greatest id stays, whatever comes behind it", async (t) => {
  const [greater, lesser, foreign] = [event('ann', timed(3)), event('ann', timed(2)), event('bob', timed(4))];
  const rows = opened(greater, lesser, foreign);
  for (const one of [greater, lesser, foreign]) t.ok(isFound(rows, one));
  t.notOk(isFound(rows, event('ann', timed(4))), 'in the file it is another one’s');
});

t.test('ids without a time, and those that were there when it was opened', async (t) => {
  const db = new Database(':memory:');
  db.exec(SEEN_SCHEMA);
  const kept = [event('ann', 'any text'), event('ann', timed(5))];
  new SeenRows(db).write(kept);
  const rows = new SeenRows(db);
  for (const one of kept) t.ok(isFound(rows, one));
});
