import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { SqliteFanOutState } from '../../src/adapters/sqlite/fan-out-state.ts';
import { evolve, initialConversation } from '../../src/domain/conversation.ts';
import { directConversationId } from '../../src/domain/ids.ts';
import type { FanOutChanges, FanOutLookup, SeenEvent } from '../../src/ports/fan-out-state.ts';
import { MemoryFanOutState } from '../../src/projections/memory-fan-out-state.ts';
import { conversation, msgId, user } from '../support/given.ts';

const room = conversation('鸦巢');
const [alice, bob] = [user('alice'), user('bob')];

const nothing: FanOutChanges = { at: 0, conversations: new Map(), readMarks: [], deliveredMarks: [], seen: [] };
const seen = (id: string, pos: number, expiresAt = 1_000, by = alice): SeenEvent => ({
  conversation: room,
  by,
  id: msgId(id),
  pos,
  n: pos,
  expiresAt,
});
const created = evolve(
  initialConversation(room),
  {
    type: 'groupCreated',
    by: alice,
    id: msgId('c'),
    name: 'Rooks',
    members: [bob],
  },
  1,
);

interface Subject extends FanOutLookup {
  apply(changes: FanOutChanges, to: number): void;
}
const subjects: [string, (t: Test) => Subject][] = [
  ['memory', () => new MemoryFanOutState()],
  ['SQLite', (t) => sqlite(t)],
];

function sqlite(t: Test, path = ':memory:', log = 'CONV_0'): SqliteFanOutState {
  const state = new SqliteFanOutState({ path, log });
  t.teardown(() => state.close());
  return state;
}

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-state-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

for (const [name, open] of subjects) {
  t.test(`${name}: what a window changed is seen by the next`, async (t) => {
    const state = open(t);
    t.equal(state.folded(room).conversation.roster.kind, 'none');
    state.apply({ ...nothing, conversations: new Map([[room, { conversation: created, statePos: 4 }]]) }, 4);
    t.same(state.folded(room), { conversation: created, statePos: 4 });
    t.equal(state.readMark(room, bob), 0);
    state.apply({ ...nothing, readMarks: [{ conversation: room, user: bob, upTo: 3 }] }, 5);
    t.equal(state.readMark(room, bob), 3);
    t.equal(state.readMark(room, alice), 0);
    t.equal(state.deliveredMark(room, bob), 0, 'another mark');
    state.apply({ ...nothing, deliveredMarks: [{ conversation: room, user: bob, upTo: 5 }] }, 6);
    t.same([state.deliveredMark(room, bob), state.deliveredMark(room, alice), state.readMark(room, bob)], [5, 0, 3]);
  });

  t.test(`${name}: an id is known to its sender until it expires, whatever the order of ids`, async (t) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(12), fc.nat(9)), { maxLength: 30 }), fc.nat(12), (given, cut) => {
        const state = open(t);
        const naive = new Map<string, SeenEvent>();
        given.forEach(([id, life], i) => {
          const event = seen(`id${String(id).padStart(2, '0')}`, i + 1, 100 * life);
          state.apply({ ...nothing, seen: [event] }, i + 1);
          if (state instanceof SqliteFanOutState && i === cut) state.commit(i + 1);
          naive.set(event.id, event);
        });
        for (let id = 0; id <= 12; id++) {
          const event = naive.get(`id${String(id).padStart(2, '0')}`);
          const expected = event && event.expiresAt > 450 ? event.pos : undefined;
          t.equal(state.seen(room, alice, msgId(`id${String(id).padStart(2, '0')}`), 450)?.pos, expected);
          t.equal(state.seen(room, bob, msgId(`id${String(id).padStart(2, '0')}`), 450)?.pos, undefined);
        }
      }),
      { numRuns: 60 },
    );
  });
}

t.test('SQLite: a rollback forgets what was not committed, a commit keeps exactly its windows', async (t) => {
  const state = sqlite(t);
  state.apply({ ...nothing, seen: [seen('a', 1)] }, 1);
  state.apply({ ...nothing, seen: [seen('b', 2)] }, 2);
  state.commit(1);
  t.equal(state.position, 1);
  state.rollback();
  t.equal(state.seen(room, alice, msgId('a'), 0)?.pos, 1);
  t.equal(state.seen(room, alice, msgId('b'), 0)?.pos, undefined);
  t.equal(state.position, 1);
});

t.test('SQLite: what was committed outlives the process, position and rows together', async (t) => {
  const path = join(folder(t), 'lane.sqlite');
  const first = new SqliteFanOutState({ path, log: 'CONV_0' });
  first.apply(
    { ...nothing, conversations: new Map([[room, { conversation: created, statePos: 7 }]]), seen: [seen('a', 7)] },
    7,
  );
  first.commit(7);
  const later = evolve(
    created,
    {
      type: 'messageSent',
      by: bob,
      id: msgId('m'),
      contentType: 'x',
      body: new Uint8Array(),
    },
    1,
  );
  first.apply({ ...nothing, conversations: new Map([[room, { conversation: later, statePos: 7 }]]) }, 8);
  first.commit(8);
  first.apply({ ...nothing, seen: [seen('lost', 9)] }, 9);
  first.close();
  const second = sqlite(t, path);
  t.equal(second.position, 8);
  t.same(second.folded(room), { conversation: later, statePos: 7 });
  t.match(second.seen(room, alice, msgId('a'), 0), { pos: 7, n: 7, expiresAt: 1_000 });
  t.equal(second.seen(room, alice, msgId('lost'), 0)?.pos, undefined);
});

t.test('SQLite: a conversation is as it was left, also one whose roster is as it began', async (t) => {
  const path = join(folder(t), 'lane.sqlite');
  const direct = initialConversation(directConversationId(alice, bob));
  const blocked = evolve(direct, { type: 'userBlocked', by: bob, id: msgId('b') }, 1);
  const unblocked = evolve(blocked, { type: 'userUnblocked', by: bob, id: msgId('u') }, 2);
  for (const [i, left] of [direct, blocked, unblocked].entries()) {
    const conversation = { ...left, lastIndex: i + 1 };
    const state = new SqliteFanOutState({ path, log: 'CONV_0' });
    state.folded(direct.id);
    state.apply({ ...nothing, conversations: new Map([[direct.id, { conversation, statePos: i }]]) }, i + 1);
    state.commit(i + 1);
    state.close();
    t.same(sqlite(t, path).folded(direct.id), { conversation, statePos: i });
  }
});

t.test('SQLite: UUIDv7 are known whatever came before, after a restart, of a clock ahead', async (t) => {
  const path = join(folder(t), 'lane.sqlite');
  const idAt = (second: number): string => `01935c9a-${String(second).padStart(4, '0')}-7000-8000-000000000000`;
  const order = fc.array(fc.tuple(fc.nat(9), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(order, (given) => {
      rmSync(path, { force: true });
      let state = new SqliteFanOutState({ path, log: 'CONV_0' });
      const known = new Set<string>();
      for (const [i, [second, isBob, isRestarted]] of given.entries()) {
        const by = isBob ? bob : alice;
        t.equal(state.seen(room, by, msgId(idAt(second)), 0) !== undefined, known.has(`${by} ${second}`));
        state.apply({ ...nothing, seen: [seen(idAt(second), i + 1, 1_000, by)] }, i + 1);
        state.commit(i + 1);
        known.add(`${by} ${second}`);
        if (!isRestarted) continue;
        state.close();
        state = new SqliteFanOutState({ path, log: 'CONV_0' });
      }
      state.close();
    }),
    { numRuns: 10 },
  );
});

t.test('SQLite: a damaged file, or one of another log, is begun anew', async (t) => {
  const path = join(folder(t), 'lane.sqlite');
  writeFileSync(path, 'this is no database, but longer than its header would be '.repeat(100));
  const first = new SqliteFanOutState({ path, log: 'CONV_0' });
  t.equal(first.position, 0);
  first.apply({ ...nothing, seen: [seen('a', 3)] }, 3);
  first.commit(3);
  first.close();
  const other = sqlite(t, path, 'CONV_0 of another deployment');
  t.equal(other.position, 0);
  t.equal(other.seen(room, alice, msgId('a'), 0)?.pos, undefined);
});

t.test('SQLite: what has expired is forgotten in time, the rest is not', async (t) => {
  const state = sqlite(t);
  state.apply({ ...nothing, seen: Array.from({ length: 500 }, (_, i) => seen(`old${i}`, i + 1, 100)) }, 500);
  state.commit(500);
  for (let i = 0; i < 200; i++) {
    state.apply({ ...nothing, at: 5_000, seen: [seen(`new${String(i).padStart(4, '0')}`, 501 + i, 10_000)] }, 501 + i);
    state.commit(501 + i);
  }
  // Time 0: whatever is still there counts.
  t.equal(state.seen(room, alice, msgId('old7'), 0)?.pos, undefined);
  t.equal(state.seen(room, alice, msgId('new0000'), 5_000)?.pos, 501);
});

t.test(
  'SQLite: a file from before there were marks of what was delivered is used on, with its place in the log',
  async (t) => {
    const path = join(folder(t), 'lane-0.sqlite');
    const before = new SqliteFanOutState({ path, log: 'CONV_0' });
    before.apply({ ...nothing, readMarks: [{ conversation: room, user: bob, upTo: 3 }] }, 7);
    before.commit(7);
    before.close();
    const db = new Database(path);
    db.exec('DROP TABLE delivered_mark');
    db.close();
    const after = new SqliteFanOutState({ path, log: 'CONV_0' });
    t.same([after.position, after.readMark(room, bob), after.deliveredMark(room, bob)], [7, 3, 0]);
    after.apply({ ...nothing, deliveredMarks: [{ conversation: room, user: bob, upTo: 5 }] }, 8);
    after.commit(8);
    after.close();
    const again = sqlite(t, path);
    t.same([again.position, again.deliveredMark(room, bob)], [8, 5], 'and keeps them');
  },
);

t.test('SQLite: what the file cannot tell is the file’s trouble, not that of the event that asks', async (t) => {
  const state = new SqliteFanOutState({ path: ':memory:', log: 'CONV_0' });
  state.close();
  const unusable = { code: 'STATE_FILE_UNUSABLE' };
  t.throws(() => state.folded(room), unusable);
  t.throws(() => state.readMark(room, alice), unusable);
  t.throws(() => state.seen(room, alice, msgId('a'), 0), unusable);
});
