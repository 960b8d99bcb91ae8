import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { SqliteFanOutState } from '../../src/adapters/sqlite/fan-out-state.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import type { MessageContent, Role } from '../../src/domain/conversation.ts';
import type { ConversationId, UserId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { witnessOf } from '../../src/ports/read-model.ts';
import type { HistoryRange } from '../../src/ports/read-queries.ts';
import type { HistoryEntry, HistoryPage, VersionPage } from '../../src/protocol/frames.ts';
import { msgId } from '../support/given.ts';
import { alice, bob, cuts, history, people, RUNS, rooms, withModel, written } from '../support/histories.ts';
import { log, says } from '../support/logged.ts';
import { type NaiveMessage, NaiveReadModel } from '../support/naive-read-model.ts';

const RECALLED: MessageContent = { contentType: '', body: new Uint8Array() };
const contentOf = ({ contentType, body, mentions, mentionsAll, replyTo }: MessageContent) => ({
  ...{ contentType, mentions, mentionsAll, replyTo },
  body: Buffer.from(body).toString(),
});
const indexes = (page: HistoryPage | undefined): number[] => page?.entries.map(({ n }) => n) ?? [];

t.test('history shows each user what they were in for, as it is shown to them now, from every side', async () => {
  const room = fc.constantFrom(...rooms);
  const property = fc.property(history, cuts, room, fc.nat(6), fc.nat(30), (events, cuts, room, size, n) => {
    withModel((model) => {
      written(model, events, cuts);
      const naive = new NaiveReadModel(events);
      for (const user of people) {
        checkPages(naive, user, room, (range) => model.history(user, room, range, size + 1), size + 1, n);
        const newest = model.history(user, room, { type: 'newest' }, 100)?.entries ?? [];
        for (const entry of newest) checkShown(entry, naive.seenBy(user, room, entry.n));
        const isSeen = naive.inbox(user, room).visible.has(n);
        checkVersions(model.edits(user, room, n, Number.MAX_SAFE_INTEGER, 100), isSeen, naive.seenBy(user, room, n));
      }
    });
  });
  fc.assert(property, RUNS);
});

function checkVersions(page: VersionPage | undefined, isSeen: boolean, message: NaiveMessage | undefined): void {
  const isMessage = message?.recalled || message?.shown !== undefined;
  assert.deepEqual(
    page?.versions.map(({ pos }) => pos),
    isSeen && isMessage ? message?.versions : undefined,
  );
  const newest = page?.versions.at(-1);
  if (newest) assert.deepEqual(contentOf(newest), contentOf(message?.shown ?? RECALLED));
}

t.test('who has left reads old messages as they stood then; a recall holds for them too', async (t) => {
  const [room] = rooms as [ConversationId];
  const edits = (id: string, text: string) =>
    [room, { type: 'messageEdited', by: alice, target: { by: alice, id: msgId(id) }, ...said(text) }] as const;
  const said = (text: string) => ({ contentType: 'text/plain', body: Buffer.from(text) });
  const events = log(
    [room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] }],
    [room, says(alice, 'a', said('one'))],
    [room, says(alice, 'b', said('two'))],
    edits('a', 'one, corrected'),
    [room, { type: 'membersRemoved', by: alice, members: [bob] }],
    edits('a', 'one, secret'),
    edits('a', 'one, secret still'),
    edits('b', 'two, secret'),
  );
  const later = log(
    ...events.map(() => [room, says(alice)] as const),
    [room, { type: 'messageRecalled', by: alice, target: { by: alice, id: msgId('b') } }],
    [room, { type: 'membersAdded', by: alice, members: [bob] }],
  ).slice(events.length);
  const texts = (model: SqliteReadModel, user: UserId) =>
    model
      .history(user, room, { type: 'newest' }, 10)
      ?.entries.flatMap((entry) => (entry.type === 'message' ? [Buffer.from(entry.body).toString()] : []));
  withModel((model) => {
    written(model, events);
    const found = (user: UserId, words: string) =>
      model.search(user, { words }, Number.MAX_SAFE_INTEGER, 9).hits.map(({ entry }) => entry.n);
    t.same(texts(model, bob), ['one, corrected', 'two']);
    t.same(texts(model, alice), ['one, secret still', 'two, secret']);
    const versions = model.edits(bob, room, 2, Number.MAX_SAFE_INTEGER, 9);
    t.same([versions?.versions.map(({ pos }) => pos), versions?.older], [[2, 4], false]);
    t.same([found(bob, 'secret'), found(bob, 'one'), found(alice, 'secret')], [[], [], [3, 2]]);
    written(model, later.slice(0, 1));
    t.same(texts(model, bob), ['one, corrected', '']);
    written(model, later.slice(1));
    t.same(texts(model, bob), ['one, corrected', ''], 'back again, and no newcomer sees the past');
  });
});

t.test('members are told page by page to members, owner and admins first', async () => {
  const property = fc.property(history, cuts, fc.constantFrom(...rooms), (events, cuts, room) => {
    withModel((model) => {
      written(model, events, cuts);
      const { roster, lastIndex } = new NaiveReadModel(events).state.folded(room).conversation;
      const rank = (role: Role): number => ['owner', 'admin', 'member'].indexOf(role);
      const expected = [...roster.members]
        .map(([user, role]) => ({ user, role }))
        .sort((a, b) => rank(a.role) - rank(b.role) || Buffer.compare(Buffer.from(a.user), Buffer.from(b.user)));
      for (const user of people) {
        const first = model.members(user, room, undefined, 2);
        if (!roster.members.has(user) || lastIndex === 0) assert.equal(first, undefined);
        else {
          const second = first?.more ? model.members(user, room, first.members.at(-1), 2) : undefined;
          const found = [...(first?.members ?? []), ...(second?.members ?? [])];
          assert.deepEqual(
            found.map(({ user, role }) => ({ user, role })),
            expected,
          );
          assert.deepEqual([first?.memberCount, second?.more ?? false], [expected.length, false]);
        }
      }
    });
  });
  fc.assert(property, RUNS);
});

t.test('receipts are those of the members, told to members who may see the entry', async () => {
  const property = fc.property(history, cuts, fc.constantFrom(...rooms), fc.nat(20), (events, cuts, room, n) => {
    withModel((model) => {
      written(model, events, cuts);
      const naive = new NaiveReadModel(events);
      const { roster, lastIndex } = naive.state.folded(room).conversation;
      const markOf = (user: UserId, asker: UserId) => {
        const { mark, markAt, shown, shownAt } = naive.inbox(user, room);
        return user === asker ? { user, upTo: mark, at: markAt } : { user, upTo: shown, at: shownAt };
      };
      for (const user of people) {
        const readers = [...roster.members.keys()]
          .map((reader) => markOf(reader, user))
          .filter(({ upTo }) => upTo >= n && upTo > 0)
          .sort((a, b) => Buffer.compare(Buffer.from(a.user), Buffer.from(b.user)));
        const sees = roster.members.has(user) && n >= (roster.joined.get(user) ?? 0) && n <= lastIndex;
        const expected = { memberCount: roster.members.size, count: readers.length, readers };
        assert.deepEqual(model.receipts(user, room, n), sees && lastIndex > 0 ? expected : undefined);
      }
    });
  });
  fc.assert(property, RUNS);
});

type Page = (range: HistoryRange) => HistoryPage | undefined;

function checkPages(naive: NaiveReadModel, user: UserId, room: ConversationId, page: Page, limit: number, n: number) {
  const visible = [...naive.inbox(user, room).visible.keys()].sort((a, b) => a - b);
  const newest = page({ type: 'newest' });
  if (visible.length === 0) {
    assert.equal(newest, undefined);
    return;
  }
  const [before, after] = [visible.filter((i) => i < n), visible.filter((i) => i > n)];
  const upTo = visible.filter((i) => i <= n);
  const half = Math.ceil(limit / 2);
  assert.deepEqual(indexes(newest), visible.slice(-limit));
  assert.deepEqual(indexes(page({ type: 'before', n })), before.slice(-limit));
  assert.deepEqual(indexes(page({ type: 'after', n })), after.slice(0, limit));
  assert.deepEqual(indexes(page({ type: 'around', n })), [...upTo.slice(-half), ...after.slice(0, limit - half)]);
  assert.equal(page({ type: 'before', n })?.older, before.length > limit);
  assert.equal(page({ type: 'before', n })?.newer, before.length < visible.length);
  assert.equal(page({ type: 'after', n })?.newer, after.length > limit);
  assert.equal(page({ type: 'after', n })?.older, after.length < visible.length);
  const timeline = naive.timelines.get(room) ?? [];
  const at = timeline[n]?.at ?? 0;
  const since = visible.filter((i) => (timeline[i - 1]?.at ?? 0) >= at).slice(0, limit);
  assert.deepEqual(indexes(page({ type: 'since', at })), since);
}

function checkShown(entry: HistoryEntry, expected: NaiveMessage | undefined): void {
  assert.equal(entry.recalled !== undefined, expected?.recalled);
  assert.equal(entry.edited?.pos, expected?.editedPos);
  if (entry.type === 'message') assert.deepEqual(contentOf(entry), contentOf(expected?.shown ?? RECALLED));
}

t.test('rows, fold and position outlive the process together, and name the event they end with', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-read-model-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const place = { path: join(dir, 'lane.sqlite'), log: 'CONV_0' };
  const [room] = rooms as [ConversationId];
  const events = log([room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] }], [room, says(alice)]);
  const first = written(new SqliteReadModel(place), events);
  first.close();
  const second = new SqliteReadModel(place);
  t.equal(second.position, 2);
  t.same(second.witness, witnessOf(events[1] as LogEvent));
  t.same(indexes(second.history(bob, room, { type: 'newest' }, 10)), [1, 2]);
  t.equal(second.folded(room).conversation.lastIndex, 2);
  second.discard();
  t.same(
    [second.position, second.witness, second.history(bob, room, { type: 'newest' }, 10)],
    [0, undefined, undefined],
  );
  second.close();
});

t.test('a file with tables of another version is begun anew', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-read-model-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const place = { path: join(dir, 'lane.sqlite'), log: 'CONV_0' };
  const older = new SqliteFanOutState(place);
  older.apply({ at: 0, conversations: new Map(), readMarks: [], deliveredMarks: [], seen: [] }, 7);
  older.commit(7);
  t.equal(older.position, 7);
  older.close();
  const model = new SqliteReadModel(place);
  t.equal(model.position, 0);
  const [room] = rooms as [ConversationId];
  written(model, log([room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] }]));
  t.equal(model.conversations(bob, false, undefined, 10).conversations.length, 1);
  model.close();
});

t.test(
  'a page ends early where its bodies would be too much for one answer, and says that there is more',
  async (t) => {
    const [room] = rooms as [ConversationId];
    const big = says(alice, undefined, { body: new Uint8Array(200 * 1_024) });
    const events = log(
      [room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] }],
      ...times(6, [room, big] as const),
    );
    withModel((model) => {
      written(model, events);
      const page = model.history(bob, room, { type: 'newest' }, 100);
      t.same([indexes(page), page?.older, page?.newer], [[6, 7], true, false]);
      const older = model.history(bob, room, { type: 'before', n: 6 }, 100);
      t.same([indexes(older), older?.older, older?.newer], [[4, 5], true, true]);
      t.same(indexes(model.history(bob, room, { type: 'around', n: 4 }, 100)), [4, 5]);
    });
  },
);

const times = <Value>(count: number, value: Value): Value[] => Array.from({ length: count }, () => value);
