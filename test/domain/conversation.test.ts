import t from 'tap';
import {
  type Conversation,
  type ConversationCommand,
  decide,
  evolve,
  initialConversation,
  MAX_GROUP_MEMBERS,
} from '../../src/domain/conversation.ts';
import { directConversationId } from '../../src/domain/ids.ts';
import { bytes, conversation, msgId, user, users } from '../support/given.ts';

const [alice, bob, carol] = users('alice', 'bob', 'carol') as [
  ReturnType<typeof user>,
  ReturnType<typeof user>,
  ReturnType<typeof user>,
];
const group = conversation('rooks');
const direct = directConversationId(alice, bob);

type Part = ConversationCommand extends infer C ? (C extends unknown ? Omit<C, 'id'> : never) : never;
const command = (part: Part): ConversationCommand => ({ id: msgId('x'), ...part }) as ConversationCommand;
const says = (by: typeof alice) => command({ type: 'sendMessage', by, contentType: 'text/plain', body: bytes('hi') });

/** The state after commands that must all be accepted. */
function given(id: typeof group, ...commands: ConversationCommand[]): Conversation {
  return commands.reduce((state, given) => {
    const { event, refusal } = decide(state, given);
    if (!event) throw new Error(`given ${given.type} was refused: ${refusal}`);
    return evolve(state, event);
  }, initialConversation(id));
}
const created = command({ type: 'createGroup', by: alice, name: 'Rooks', members: [bob] });
const when = (state: Conversation, given: ConversationCommand) => decide(state, given).refusal ?? 'accepted';

t.test('a direct conversation exists as soon as one of its two speaks', async (t) => {
  t.equal(when(given(direct), says(alice)), 'accepted');
  t.equal(when(given(direct), says(bob)), 'accepted');
  t.equal(when(given(direct), says(carol)), 'NOT_A_MEMBER');
});

t.test('a group must be created, and only once', async (t) => {
  t.equal(when(given(group), says(alice)), 'NOT_A_MEMBER');
  const state = given(group, created);
  t.same(
    [...state.roster.members],
    [
      ['alice', 'owner'],
      ['bob', 'member'],
    ],
  );
  t.equal(when(state, created), 'CONVERSATION_EXISTS');
  t.equal(when(given(direct), created), 'NOT_A_GROUP');
});

t.test('a foreign group answers like one that does not exist', async (t) => {
  const foreign = given(group, created);
  t.equal(when(foreign, says(carol)), when(given(conversation('nowhere')), says(carol)));
});

t.test('who was removed or left can send no more, and can be added again', async (t) => {
  const added = given(group, created, command({ type: 'addMembers', by: alice, members: [carol] }));
  t.equal(when(added, says(carol)), 'accepted');
  const removal = command({ type: 'removeMembers', by: alice, members: [carol] });
  const without = evolve(added, decide(added, removal).event as never);
  t.equal(when(without, says(carol)), 'NOT_A_MEMBER');
  t.equal(when(without, command({ type: 'addMembers', by: alice, members: [carol] })), 'accepted');
  t.equal(when(without, removal), 'NO_CHANGE');
  const left = given(group, created, command({ type: 'leaveGroup', by: bob }));
  t.equal(when(left, says(bob)), 'NOT_A_MEMBER');
});

t.test('roles decide who may change a group', async (t) => {
  const state = given(
    group,
    created,
    command({ type: 'addMembers', by: alice, members: [carol] }),
    command({ type: 'changeRole', by: alice, member: carol, role: 'admin' }),
  );
  t.equal(when(state, command({ type: 'renameGroup', by: bob, name: 'x' })), 'NOT_ALLOWED');
  t.equal(when(state, command({ type: 'renameGroup', by: carol, name: 'x' })), 'accepted');
  t.equal(when(state, command({ type: 'addMembers', by: bob, members: [user('dan')] })), 'NOT_ALLOWED');
  t.equal(when(state, command({ type: 'removeMembers', by: carol, members: [bob] })), 'accepted');
  t.equal(when(state, command({ type: 'removeMembers', by: carol, members: [alice] })), 'NOT_ALLOWED');
  t.equal(when(state, command({ type: 'changeRole', by: carol, member: bob, role: 'admin' })), 'NOT_ALLOWED');
  t.equal(when(state, command({ type: 'dissolveGroup', by: carol })), 'NOT_ALLOWED');
  t.equal(when(state, command({ type: 'leaveGroup', by: alice })), 'OWNER_MUST_HAND_OVER');
});

t.test('ownership is handed over, never doubled', async (t) => {
  const state = given(group, created, command({ type: 'changeRole', by: alice, member: bob, role: 'owner' }));
  t.same(
    [...state.roster.members],
    [
      ['alice', 'admin'],
      ['bob', 'owner'],
    ],
  );
  t.equal(when(state, command({ type: 'leaveGroup', by: alice })), 'accepted');
});

t.test('nothing happens in a dissolved group, but it can be marked as read', async (t) => {
  const state = given(group, created, command({ type: 'dissolveGroup', by: alice }));
  t.equal(when(state, says(bob)), 'CONVERSATION_DISSOLVED');
  t.equal(when(state, command({ type: 'markRead', by: bob, upTo: 2 })), 'accepted');
});

t.test('who is blocked cannot send to the one who blocked; the other way is free', async (t) => {
  const state = given(direct, command({ type: 'blockUser', by: alice }));
  t.equal(when(state, says(bob)), 'BLOCKED');
  t.equal(when(state, says(alice)), 'accepted');
  t.equal(when(state, command({ type: 'blockUser', by: alice })), 'NO_CHANGE');
  const freed = given(direct, command({ type: 'blockUser', by: alice }), command({ type: 'unblockUser', by: alice }));
  t.equal(when(freed, says(bob)), 'accepted');
  t.equal(when(given(group, created), command({ type: 'blockUser', by: alice })), 'NOT_A_DIRECT_CONVERSATION');
});

t.test('the index grows by one for what members see, and for nothing else', async (t) => {
  const state = given(
    direct,
    says(alice),
    command({ type: 'blockUser', by: alice }),
    command({ type: 'markRead', by: bob, upTo: 1 }),
  );
  t.equal(state.lastIndex, 1);
  t.equal(given(group, created, says(bob), command({ type: 'renameGroup', by: alice, name: 'y' })).lastIndex, 3);
});

t.test('a read mark beyond the end is refused', async (t) => {
  t.equal(when(given(direct, says(alice)), command({ type: 'markRead', by: bob, upTo: 2 })), 'INDEX_BEYOND_END');
});

t.test('a group has room for its limit and no more', async (t) => {
  const many = Array.from({ length: MAX_GROUP_MEMBERS }, (_, i) => user(`u${i}`));
  t.equal(when(given(group), command({ type: 'createGroup', by: alice, name: 'x', members: many })), 'GROUP_TOO_LARGE');
  const full = given(group, command({ type: 'createGroup', by: alice, name: 'x', members: many.slice(1) }));
  t.equal(when(full, command({ type: 'addMembers', by: alice, members: [bob] })), 'GROUP_TOO_LARGE');
});
