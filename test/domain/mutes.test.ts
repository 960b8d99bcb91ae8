/** A mute is no matter of being there: who leaves and comes back is muted still. */
import t from 'tap';
import {
  type Conversation,
  type ConversationCommand,
  decide,
  evolve,
  initialConversation,
} from '../../src/domain/conversation.ts';
import type { UserId } from '../../src/domain/ids.ts';
import { MAX_ABSENT_MUTES } from '../../src/domain/roster.ts';
import { bytes, conversation, msgId, user, users } from '../support/given.ts';

const [alice, bob] = users('alice', 'bob') as [UserId, UserId];
const NOW = { at: 1_000 };

type Part = ConversationCommand extends infer C ? (C extends unknown ? Omit<C, 'id'> : never) : never;
const command = (part: Part): ConversationCommand => ({ id: msgId('x'), ...part }) as ConversationCommand;
const says = (by: UserId) => command({ type: 'sendMessage', by, contentType: 'text/plain', body: bytes('hi') });

/** The state after commands that must all be accepted. */
const after = (state: Conversation, ...commands: ConversationCommand[]): Conversation =>
  commands.reduce((before, one) => {
    const { event, refusal } = decide(before, one, NOW);
    if (!event) throw new Error(`${one.type} was refused: ${refusal}`);
    return evolve(before, event, NOW.at);
  }, state);
const groupOf = (...members: UserId[]) =>
  after(
    initialConversation(conversation('rooks')),
    command({ type: 'createGroup', by: alice, name: 'Rooks', members }),
  );

t.test('a mute outlives leaving and being removed, up to its time', async (t) => {
  const silenced = after(
    groupOf(bob),
    command({ type: 'changeGroup', by: alice, settings: { joinPolicy: 'open' } }),
    command({ type: 'muteMember', by: alice, member: bob, until: 5_000 }),
  );
  const [leaves, joins] = [command({ type: 'leaveGroup', by: bob }), command({ type: 'joinGroup', by: bob })];
  const removal = command({ type: 'removeMembers', by: alice, members: [bob] });
  for (const ending of [[leaves], [removal], [leaves, joins, leaves]]) {
    const back = after(silenced, ...ending, joins);
    t.equal(decide(back, says(bob), NOW).refusal, 'MUTED');
    t.equal(decide(back, says(bob), { at: 5_000 }).refusal, undefined, 'time is up');
    const freed = after(back, command({ type: 'muteMember', by: alice, member: bob, until: 0 }));
    t.equal(decide(freed, says(bob), NOW).refusal, undefined);
  }
});

t.test('in a log from before that was so a mute ended with the stay, and does whenever that log is read', async (t) => {
  const silenced = after(groupOf(bob), command({ type: 'muteMember', by: alice, member: bob, until: 5_000 }));
  for (const event of [
    { type: 'memberLeft', by: bob },
    { type: 'membersRemoved', by: alice, members: [bob] },
  ] as const) {
    t.notOk(evolve(silenced, { ...event, id: msgId('x') }, NOW.at).roster.muted.has(bob));
  }
});

t.test('of those who have left so many mutes are kept, the ones that last longest', async (t) => {
  const many = Array.from({ length: MAX_ABSENT_MUTES + 2 }, (_, i) => user(`u${i}`));
  const group = groupOf(...many);
  const muted = new Map(many.map((one, i) => [one, NOW.at + 1_000 - i]));
  const state = { ...group, roster: { ...group.roster, muted } };
  const removed = after(state, command({ type: 'removeMembers', by: alice, members: many.slice(1) }));
  t.same([...removed.roster.muted.keys()], many.slice(0, -1), 'who is still there is not counted');
  const over = evolve(removed, { type: 'memberLeft', by: user('u0'), id: msgId('x'), keepsMutes: true }, 2_000);
  t.equal(over.roster.muted.size, 0, 'what is over is not kept');
});
