/** The list, its badge and what has changed, of random histories, beside a count that a child would do. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { placeOf } from '../../src/application/gateway/reading.ts';
import type { Preferences } from '../../src/domain/conversation.ts';
import { type ConversationId, directConversationId, type UserId } from '../../src/domain/ids.ts';
import { CLOCK_SLACK_MS, type ListPlace } from '../../src/ports/read-queries.ts';
import type { ChangedConversation, ListedConversation } from '../../src/protocol/frames.ts';
import {
  alice,
  bob,
  cuts,
  history,
  MUTED_UNTIL,
  people,
  RUNS,
  rooms,
  withModel,
  written,
} from '../support/histories.ts';
import { log, says } from '../support/logged.ts';
import { NaiveReadModel } from '../support/naive-read-model.ts';

function wholeList(model: SqliteReadModel, user: UserId, archived: boolean): ListedConversation[] {
  const all: ListedConversation[] = [];
  for (let after: ListPlace | undefined; ; after = placeOf(all.at(-1) as ListedConversation)) {
    const { conversations, more } = model.conversations(user, archived, after, 2);
    all.push(...conversations);
    if (!more) return all;
  }
}

function allChanges(model: SqliteReadModel, user: UserId, since: number): ChangedConversation[] {
  const all: ChangedConversation[] = [];
  let counted: number | undefined;
  for (;;) {
    const after = all.at(-1)?.conversation;
    const { conversations, more, total } = model.changes(user, since + CLOCK_SLACK_MS, after, 2);
    if (after === undefined) counted = total;
    else assert.equal(total, undefined, 'counted once');
    all.push(...conversations);
    if (more) continue;
    assert.equal(counted, all.length);
    return all;
  }
}

/** As the list tells them: without what is as it is where nothing was set. */
function toldOf({ pinned, archived, markedUnread, mutedUntil, draft }: Preferences, hidden: boolean): Preferences {
  return {
    ...(pinned && { pinned }),
    ...(archived && { archived }),
    ...(hidden && { hidden }),
    ...(markedUnread && { markedUnread }),
    ...(mutedUntil && { mutedUntil }),
    ...(draft && { draft }),
  };
}

const expectedOf = (naive: NaiveReadModel, user: UserId, id: ConversationId) => ({
  conversation: id,
  lastIndex: naive.timelines.get(id)?.length ?? 0,
  unread: naive.unread(user, id).length,
  mentions: naive.mentions(user, id),
  memberCount: naive.state.folded(id).conversation.roster.members.size,
  preferences: toldOf(naive.inbox(user, id).preferences, naive.isHidden(user, id)),
  ...naive.peerOf(user, id),
});

function factsOf({ last, ...listed }: ListedConversation) {
  const { conversation, lastIndex, unread, mentions, memberCount, preferences } = listed;
  const { kind, peerReadUpTo, peerDeliveredUpTo } = listed;
  assert.equal(last.n, lastIndex);
  const peer = kind === 'direct' ? { peerReadUpTo, peerDeliveredUpTo } : {};
  return { conversation, lastIndex, unread, mentions, memberCount, preferences, ...peer };
}

function checkList(model: SqliteReadModel, naive: NaiveReadModel, user: UserId): void {
  for (const archived of [false, true]) {
    const expected = naive.conversationsOf(user, archived).map((id) => expectedOf(naive, user, id));
    assert.deepEqual(wholeList(model, user, archived).map(factsOf), expected);
  }
  const now = MUTED_UNTIL - 1;
  const counted = naive
    .conversationsOf(user)
    .map((id) => expectedOf(naive, user, id))
    .filter(({ unread, preferences }) => unread > 0 || preferences.markedUnread);
  const muted = counted.filter(({ preferences: { mutedUntil = 0 } }) => mutedUntil === -1 || mutedUntil > now);
  const total = (those: typeof counted): number => those.reduce((sum, { unread }) => sum + unread, 0);
  assert.deepEqual(model.badge(user, now), {
    unread: total(counted),
    conversations: counted.length,
    mutedUnread: total(muted),
    mutedConversations: muted.length,
  });
  assert.equal(model.badge(user, MUTED_UNTIL).conversations, counted.length);
}

t.test(
  'list, order, unread, mentions and badge are those of a naive count, whatever happened, however cut',
  async () => {
    const property = fc.property(history, cuts, (events, cuts) => {
      withModel((model) => {
        written(model, events, cuts);
        const naive = new NaiveReadModel(events);
        for (const user of people) checkList(model, naive, user);
      });
    });
    fc.assert(property, RUNS);
  },
);

function checkChanges(model: SqliteReadModel, naive: NaiveReadModel, user: UserId, since: number): void {
  const expected = naive.changedFor(user, since).map((id) => {
    if (!naive.isMember(user, id)) {
      return { conversation: id, left: true, lastIndex: Math.max(...naive.inbox(user, id).visible.keys()) };
    }
    const seesFrom = naive.state.folded(id).conversation.roster.joined.get(user) ?? 0;
    const amended = naive.amended.filter((one) => one.id === id && one.at >= since && one.n >= seesFrom);
    return { ...expectedOf(naive, user, id), amended: [...new Set(amended.map(({ n }) => n))].sort((a, b) => a - b) };
  });
  const found = allChanges(model, user, since).map((one) =>
    'left' in one ? one : { ...factsOf(one), amended: one.amended },
  );
  assert.deepEqual(found, expected);
}

t.test('what has changed since a time is what somebody got something of since then', async () => {
  const property = fc.property(history, cuts, fc.nat(60), (events, cuts, later) => {
    withModel((model) => {
      written(model, events, cuts);
      const naive = new NaiveReadModel(events);
      for (const user of people) for (const since of [0, 1_000 + later]) checkChanges(model, naive, user, since);
    });
  });
  fc.assert(property, RUNS);
});

t.test('a direct conversation tells how far the other has read; of too many edits only that there were', async (t) => {
  const direct = directConversationId(alice, bob);
  const edit = (id: string) => ({ type: 'messageEdited', by: alice, target: { by: alice, id } }) as const;
  const content = { contentType: 'text/plain', body: new Uint8Array(1) };
  const ids = Array.from({ length: 101 }, (_, i) => `m${i}`);
  const events = log(
    ...ids.map((id) => [direct, says(alice, id), 100_000] as const),
    [direct, { type: 'conversationRead', by: bob, upTo: 3 }, 100_000],
    ...ids.map((id) => [direct, { ...edit(id), ...content } as never, 200_000] as const),
  );
  withModel((model) => {
    written(model, events);
    t.equal(model.conversations(alice, false, undefined, 1).conversations[0]?.peerReadUpTo, 3);
    t.equal(model.conversations(bob, false, undefined, 1).conversations[0]?.peerReadUpTo, 0);
    t.match(model.changes(bob, 200_000, undefined, 10).conversations, [{ amended: [], amendedMore: true }]);
  });
});

t.test('preferences about all, and about whom there is no conversation with yet', async (t) => {
  const [self, direct] = [directConversationId(alice, alice), directConversationId(alice, bob)];
  const events = log(
    [self, { type: 'preferencesChanged', by: alice, about: '', preferences: { mutedUntil: 7, draft: 'I' } }],
    [direct, { type: 'preferencesChanged', by: alice, about: direct, preferences: { remark: 'B.', labels: ['work'] } }],
    [self, { type: 'preferencesChanged', by: alice, about: '', preferences: { draft: 'I meant' } }],
    [direct, { type: 'preferencesChanged', by: alice, about: direct, preferences: { labels: [], pinned: true } }],
  );
  withModel((model) => {
    written(model, events, [2]);
    t.same(model.preferences(alice, ''), { mutedUntil: 7, draft: 'I meant' });
    t.same(model.preferences(alice, direct), { remark: 'B.', pinned: true });
    for (const about of ['', direct, rooms[0] as ConversationId] as const) t.same(model.preferences(bob, about), {});
    t.same(model.conversations(alice, false, undefined, 10), { conversations: [], more: false });
  });
});
