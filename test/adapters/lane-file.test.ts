/** What SQLite notes down beside the rows, so that it could undo them: nothing it need not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { LaneFile } from '../../src/adapters/sqlite/lane-file.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { acceptReadable } from '../../src/projections/fan-out.ts';
import { readModelChanges } from '../../src/projections/read-model.ts';
import { alice, bob, rooms } from '../support/histories.ts';
import { log, says } from '../support/logged.ts';

const [room] = rooms;
if (!room) throw new Error('a room');

function fileIn(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-lane-file-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'lane.sqlite');
}

function journalOf(path: string, isBuilt: boolean): unknown {
  let mode: unknown;
  const opened = (db: Database.Database): void => {
    mode = db.pragma('journal_mode', { simple: true });
  };
  const place = { path, log: 'CONV', ...(isBuilt && { isBuilt }) };
  new LaneFile(place, [{ schema: '', version: '1', opened }]).close();
  return mode;
}

t.test('a file in use has a journal, one that is built has none', async (t) => {
  t.equal(journalOf(fileIn(t), false), 'wal');
  t.equal(journalOf(fileIn(t), true), 'off');
});

t.test("a window's words go into the index in one piece, however many its messages are", async (t) => {
  const path = fileIn(t);
  const model = new SqliteReadModel({ path, log: 'CONV' });
  const events = log(
    [room, { type: 'groupCreated', by: alice, name: 'ravens', members: [bob] }],
    ...Array.from({ length: 200 }, (_, i) => [room, says(alice, `said-${i}`)] as const),
  );
  const { changes, accepted } = acceptReadable(model, events);
  model.write(changes, readModelChanges(accepted), events.length, events.at(-1));
  model.close();
  const db = new Database(path, { readonly: true });
  t.teardown(() => db.close());
  t.equal(db.prepare('SELECT count(*) FROM entry').pluck().get(), 201);
  t.equal(db.prepare('SELECT count(DISTINCT segid) FROM message_text_idx').pluck().get(), 1);
});
