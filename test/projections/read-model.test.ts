import t from 'tap';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import type { ReadModelChanges } from '../../src/ports/read-model.ts';
import { foldWindow } from '../../src/projections/fan-out.ts';
import { MemoryFanOutState } from '../../src/projections/memory-fan-out-state.ts';
import { readModelChanges } from '../../src/projections/read-model.ts';
import { bytes, conversation, msgId, users } from '../support/given.ts';
import { log, says } from '../support/logged.ts';

const [alice, bob, carol, mallory] = users('alice', 'bob', 'carol', 'mallory') as [UserId, UserId, UserId, UserId];
const group = conversation('rooks');
const direct = directConversationId(alice, bob);

const changesOf = (events: readonly LogEvent[]): ReadModelChanges =>
  readModelChanges(foldWindow(new MemoryFanOutState(), events).accepted);

t.test('what the fold refuses or has seen before changes no row', async (t) => {
  const changes = changesOf(
    log(
      [direct, says(alice, 'x')],
      [direct, says(alice, 'x')],
      [direct, says(mallory)],
      [direct, { type: 'userBlocked', by: bob }],
      [direct, says(alice)],
    ),
  );
  t.same(
    changes.entries.map(({ entry }) => [entry.n, entry.pos]),
    [[1, 1]],
  );
  t.match(
    [...changes.summaries],
    [[direct, { about: { kind: 'direct', memberCount: 2 }, lastIndex: 1, lastPos: 1, lastAt: 1_000 }]],
  );
});

t.test('both of a direct conversation are in it from its first entry on, and not before', async (t) => {
  t.same(changesOf(log([direct, { type: 'contactRequested', by: alice, greeting: 'hi' }])).summaries.size, 0);
  t.same(changesOf(log([direct, says(alice)], [direct, says(bob)])).memberships, [
    { type: 'joined', conversation: direct, user: alice, n: 0, seesFrom: 0, role: 'member' },
    { type: 'joined', conversation: direct, user: bob, n: 0, seesFrom: 0, role: 'member' },
  ]);
});

t.test('a stay begins with the entry by which one joined and ends with the one by which one left', async (t) => {
  const { memberships } = changesOf(
    log(
      [group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] }],
      [group, { type: 'membersAdded', by: alice, members: [bob, carol] }],
      [group, { type: 'memberLeft', by: bob }],
      [group, { type: 'groupChanged', by: alice, settings: { newcomersSee: 'everything' } }],
      [group, { type: 'membersAdded', by: alice, members: [bob] }],
    ),
  );
  t.same(
    memberships.map((change) => [
      change.type,
      change.user,
      'n' in change && change.n,
      'seesFrom' in change ? change.seesFrom : '',
    ]),
    [
      ['joined', alice, 1, 0],
      ['joined', bob, 1, 0],
      ['joined', carol, 2, 2],
      ['left', bob, 3, ''],
      ['joined', bob, 5, 0],
    ],
  );
});

t.test('edits and recalls name the message they change; mentions those who are there', async (t) => {
  const content = { contentType: 'text/plain', body: bytes('better'), mentions: [bob, mallory] };
  const { entries, amendments } = changesOf(
    log(
      [direct, says(alice, 'x', { mentions: [bob, mallory], mentionsAll: true })],
      [direct, { type: 'messageEdited', by: alice, target: { by: alice, id: msgId('x') }, ...content }],
      [direct, { type: 'messageRecalled', by: alice, target: { by: alice, id: msgId('x') } }],
      [direct, { type: 'messageRecalled', by: alice, target: { by: alice, id: msgId('x') } }],
    ),
  );
  t.same(entries[0]?.mentioned, ['', bob]);
  const about = { conversation: direct, target: { n: 1, pos: 1 }, by: alice };
  t.same(amendments, [
    { type: 'edited', ...about, pos: 2, at: 2_000, content, mentioned: [bob] },
    { type: 'recalled', ...about, pos: 3, at: 3_000 },
  ]);
});

t.test('what no message changes is told when it changes; who has left has no newest entry', async (t) => {
  const state = new MemoryFanOutState();
  const parts = log(
    [group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob, carol] }],
    [group, says(bob)],
    [group, { type: 'memberLeft', by: bob }],
    [group, says(carol)],
  );
  const windows = [parts.slice(0, 1), parts.slice(1, 2), parts.slice(2)].map((window) => {
    const { accepted, changes } = foldWindow(state, window);
    state.apply(changes);
    return readModelChanges(accepted);
  });
  t.same(
    windows.map(({ summaries }) => summaries.get(group)?.about?.memberCount),
    [3, undefined, 2],
  );
  t.same(
    windows.map(({ ownLast }) => [...(ownLast.get(group) ?? [])]),
    [[[alice, 1]], [[bob, 2]], [[carol, 4]]],
  );
});

t.test('of several marks of a user in a window the furthest is kept; one’s own newest entry is known', async (t) => {
  const { receipts, ownLast } = changesOf(
    log(
      [direct, says(alice)],
      [direct, says(alice)],
      [direct, { type: 'conversationRead', by: bob, upTo: 2 }],
      [direct, { type: 'conversationRead', by: bob, upTo: 1 }],
    ),
  );
  t.same(receipts, [{ conversation: direct, user: bob, upTo: 2, at: 3_000, shown: { upTo: 2, at: 3_000 } }]);
  t.same([...(ownLast.get(direct) ?? [])], [[alice, 2]]);
});

t.test('of a mark made under a block its reader has it alone, and the other what was shown before', async (t) => {
  const marks = (type: 'conversationRead' | 'conversationDelivered', upTo: number) =>
    ({ type, by: bob, upTo }) as const;
  const blocked = [
    [direct, says(alice)],
    [direct, says(alice)],
    [direct, marks('conversationRead', 1)],
    [direct, { type: 'userBlocked', by: bob }],
    [direct, marks('conversationDelivered', 2)],
    [direct, marks('conversationRead', 2)],
  ] as const;
  const { receipts, delivered } = changesOf(log(...blocked));
  t.same(receipts, [{ conversation: direct, user: bob, upTo: 2, at: 6_000, shown: { upTo: 1, at: 3_000 } }]);
  t.same(delivered, []);
});
