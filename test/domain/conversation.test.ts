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
import { ASK_AGAIN_AFTER_MS, MAX_INVITES, MAX_JOIN_REQUESTS, maySee } from '../../src/domain/roster.ts';
import { bytes, conversation, msgId, user, users } from '../support/given.ts';

const [alice, bob, carol] = users('alice', 'bob', 'carol') as [
  ReturnType<typeof user>,
  ReturnType<typeof user>,
  ReturnType<typeof user>,
];
const NOW = { at: 1_000, targetStands: true };
const group = conversation('rooks');
const direct = directConversationId(alice, bob);

type Part = ConversationCommand extends infer C ? (C extends unknown ? Omit<C, 'id'> : never) : never;
const command = (part: Part): ConversationCommand => ({ id: msgId('x'), ...part }) as ConversationCommand;
const says = (by: typeof alice) => command({ type: 'sendMessage', by, contentType: 'text/plain', body: bytes('hi') });

/** The state after commands that must all be accepted. */
function given(id: typeof group, ...commands: ConversationCommand[]): Conversation {
  return commands.reduce((state, given) => {
    const { event, refusal } = decide(state, given, NOW);
    if (!event) throw new Error(`given ${given.type} was refused: ${refusal}`);
    return evolve(state, event, NOW.at);
  }, initialConversation(id));
}
const created = command({ type: 'createGroup', by: alice, name: 'Rooks', members: [bob] });
const when = (state: Conversation, given: ConversationCommand) => decide(state, given, NOW).refusal ?? 'accepted';

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
  const without = evolve(added, decide(added, removal, NOW).event as never, NOW.at);
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

t.test('what was written for contacts alone is refused between two who are none, and only then', async (t) => {
  const content = { contentType: 'text/plain', body: bytes('hi'), contactsOnly: true } as const;
  const writes = (by: typeof alice) => command({ type: 'sendMessage', by, ...content });
  const edits = command({ type: 'editMessage', by: alice, target: { by: alice, id: msgId('m') }, ...content });
  const asked = given(direct, command({ type: 'requestContact', by: alice, greeting: '' }));
  t.equal(when(given(direct), writes(alice)), 'NOT_A_CONTACT');
  t.equal(when(given(direct), edits), 'NOT_A_CONTACT');
  t.equal(when(given(direct), says(alice)), 'accepted', 'what was written before it was in force');
  t.equal(when(asked, writes(alice)), 'NOT_A_CONTACT', 'asking is not enough');
  const yes = command({ type: 'requestContact', by: bob, greeting: '' });
  const contacts = evolve(asked, decide(asked, yes, NOW).event as never, NOW.at);
  t.equal(when(contacts, writes(alice)), 'accepted');
  t.equal(when(contacts, edits), 'accepted');
  const removal = command({ type: 'removeContact', by: bob });
  const apart = evolve(contacts, decide(contacts, removal, NOW).event as never, NOW.at);
  t.equal(when(apart, writes(alice)), 'NOT_A_CONTACT');
  t.equal(when(given(directConversationId(alice, alice)), writes(alice)), 'accepted', 'notes to self');
  t.equal(when(given(group, created), writes(bob)), 'accepted', 'a group has its own rules');
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
  const delivers = (by: typeof alice, upTo: number) => command({ type: 'markDelivered', by, upTo });
  t.equal(when(given(direct, says(alice)), delivers(bob, 1)), 'accepted');
  t.equal(when(given(direct, says(alice)), delivers(bob, 2)), 'INDEX_BEYOND_END');
  t.equal(when(given(group, created), delivers(bob, 1)), 'NOT_A_DIRECT_CONVERSATION');
  t.equal(when(given(group, created), delivers(carol, 1)), 'NOT_A_MEMBER');
});

t.test('a group has room for its limit and no more', async (t) => {
  const many = Array.from({ length: MAX_GROUP_MEMBERS }, (_, i) => user(`u${i}`));
  t.equal(when(given(group), command({ type: 'createGroup', by: alice, name: 'x', members: many })), 'GROUP_TOO_LARGE');
  const full = given(group, command({ type: 'createGroup', by: alice, name: 'x', members: many.slice(1) }));
  t.equal(when(full, command({ type: 'addMembers', by: alice, members: [bob] })), 'GROUP_TOO_LARGE');
});

// ---- speaking, editing, recalling ----

const ref = (by: typeof alice) => ({ by, id: msgId('m') });
const edits = (by: typeof alice, of = by) =>
  command({ type: 'editMessage', by, target: ref(of), contentType: 'text/plain', body: bytes('better') });
const recalls = (by: typeof alice, of = by) => command({ type: 'recallMessage', by, target: ref(of) });
const administered = given(
  group,
  created,
  command({ type: 'addMembers', by: alice, members: [carol, user('dave')] }),
  command({ type: 'changeRole', by: alice, member: bob, role: 'admin' }),
);

t.test('a message is edited by its sender alone, and recalled by its sender, owner and admins', async (t) => {
  t.equal(when(administered, edits(carol)), 'accepted');
  t.equal(when(administered, edits(alice, carol)), 'NOT_ALLOWED', 'nobody puts words into another’s mouth');
  t.equal(when(administered, recalls(carol)), 'accepted');
  t.equal(when(administered, recalls(carol, user('dave'))), 'NOT_ALLOWED');
  t.equal(when(administered, recalls(bob, carol)), 'accepted');
  t.equal(when(administered, recalls(bob, alice)), 'NOT_ALLOWED', 'an admin does not silence the owner');
  t.equal(when(administered, recalls(alice, bob)), 'accepted');
  t.equal(when(given(direct), recalls(alice, bob)), 'NOT_ALLOWED');
  t.equal(decide(administered, edits(carol), { at: 0, targetStands: false }).refusal, 'MESSAGE_GONE');
  t.equal(decide(administered, edits(carol), { at: 0 }).refusal, undefined, 'who cannot tell leaves it to the fold');
});

t.test('who is blocked edits nothing either', async (t) => {
  const blocked = given(direct, command({ type: 'blockUser', by: alice }));
  t.equal(when(blocked, edits(bob)), 'BLOCKED');
  t.equal(when(blocked, edits(alice)), 'accepted');
});

t.test('who is muted may not speak until then, but take back', async (t) => {
  const mute = (by: typeof alice, member: typeof alice, until: number) =>
    command({ type: 'muteMember', by, member, until });
  const muted = given(
    group,
    created,
    command({ type: 'addMembers', by: alice, members: [carol] }),
    mute(alice, carol, 5_000),
  );
  t.equal(when(muted, says(carol)), 'MUTED');
  t.equal(when(muted, edits(carol)), 'MUTED');
  t.equal(when(muted, recalls(carol)), 'accepted');
  t.equal(when(muted, says(bob)), 'accepted');
  t.equal(decide(muted, says(carol), { at: 5_000 }).refusal, undefined, 'time is up');
  t.equal(when(muted, mute(alice, carol, 5_000)), 'NO_CHANGE');
  const again = evolve(muted, decide(muted, mute(alice, carol, 0), NOW).event as never, NOW.at);
  t.equal(when(again, says(carol)), 'accepted');
  t.equal(when(administered, mute(bob, carol, 9_000)), 'accepted');
  t.equal(when(administered, mute(bob, alice, 9_000)), 'NOT_ALLOWED');
  t.equal(when(administered, mute(carol, user('dave'), 9_000)), 'NOT_ALLOWED');
});

t.test('a group muted as a whole hears its owner and admins', async (t) => {
  const silent = given(
    group,
    created,
    command({ type: 'addMembers', by: alice, members: [carol] }),
    command({ type: 'changeRole', by: alice, member: bob, role: 'admin' }),
    command({ type: 'changeGroup', by: alice, settings: { mutedAll: true } }),
  );
  t.same(
    [alice, bob, carol].map((by) => when(silent, says(by))),
    ['accepted', 'accepted', 'MUTED'],
  );
});

t.test('settings are changed by owner and admins, one by one', async (t) => {
  const change = (by: typeof alice) => command({ type: 'changeGroup', by, settings: { announcement: 'Nest at six' } });
  t.equal(when(administered, change(carol)), 'NOT_ALLOWED');
  const changed = evolve(administered, decide(administered, change(bob), NOW).event as never, NOW.at);
  t.match(changed.roster.settings, { announcement: 'Nest at six', joinPolicy: 'closed', mutedAll: false });
  t.equal(changed.lastIndex, administered.lastIndex + 1);
  t.equal(when(changed, change(alice)), 'NO_CHANGE');
});

// ---- coming in ----

const joins = (by: typeof alice, invite?: string) => command({ type: 'joinGroup', by, ...(invite && { invite }) });
const asks = (by: typeof alice) => command({ type: 'requestToJoin', by, greeting: 'let me in' });
const withPolicy = (joinPolicy: 'closed' | 'approval' | 'open') =>
  given(group, created, command({ type: 'changeGroup', by: alice, settings: { joinPolicy, announcement: 'x' } }));

t.test('a closed group answers a stranger like one that does not exist', async (t) => {
  for (const knock of [joins(carol), asks(carol), joins(carol, 'i'.repeat(16))]) {
    t.equal(when(withPolicy('closed'), knock), when(given(conversation('nowhere')), knock), knock.type);
  }
  t.equal(when(withPolicy('closed'), joins(bob)), 'ALREADY_A_MEMBER');
  t.equal(when(withPolicy('approval'), joins(carol)), 'NOT_A_MEMBER');
});

t.test('anyone joins an open group, and sees from there on', async (t) => {
  const open = withPolicy('open');
  const joined = evolve(open, decide(open, joins(carol), NOW).event as never, NOW.at);
  t.equal(joined.roster.members.get(carol), 'member');
  t.equal(joined.roster.joined.get(carol), joined.lastIndex);
  t.equal(when(joined, joins(carol)), 'ALREADY_A_MEMBER');
});

t.test('who asks to join waits for an admin, once', async (t) => {
  const asked = given(
    group,
    created,
    command({ type: 'changeGroup', by: alice, settings: { joinPolicy: 'approval' } }),
    asks(carol),
  );
  t.equal(asked.lastIndex, 2, 'a request has no place in the timeline');
  t.equal(when(asked, asks(carol)), 'NO_CHANGE');
  t.equal(when(asked, command({ type: 'declineJoin', by: bob, member: carol })), 'NOT_ALLOWED');
  const declines = command({ type: 'declineJoin', by: alice, member: carol });
  const declined = evolve(asked, decide(asked, declines, NOW).event as never, NOW.at);
  t.equal(when(declined, declines), 'NO_CHANGE');
  t.equal(when(declined, asks(carol)), 'accepted', 'and may ask again');
  const adds = command({ type: 'addMembers', by: alice, members: [carol] });
  const added = evolve(asked, decide(asked, adds, NOW).event as never, NOW.at);
  t.equal(added.roster.requests.size, 0);
  t.equal(when(added, says(carol)), 'accepted');
});

t.test('an invite opens the door so often and so long, and no longer', async (t) => {
  const secret = 's3cret-s3cret-s3cret';
  const invites = (expiresAt: number, maxUses: number) =>
    command({ type: 'createInvite', by: alice, invite: secret, expiresAt, maxUses });
  const twice = given(group, created, invites(0, 2), joins(carol, secret));
  t.equal(when(twice, joins(user('dave'), secret)), 'accepted');
  const used = evolve(twice, decide(twice, joins(user('dave'), secret), NOW).event as never, NOW.at);
  t.equal(when(used, joins(user('eve'), secret)), 'INVITE_INVALID');
  const timed = given(group, created, invites(2_000, 0));
  t.equal(decide(timed, joins(carol, secret), { at: 1_999 }).refusal, undefined);
  t.equal(decide(timed, joins(carol, secret), { at: 2_000 }).refusal, 'INVITE_INVALID');
  t.equal(when(timed, joins(carol, 'guessed-guessed-guessed')), 'INVITE_INVALID');
  const revoked = given(group, created, invites(0, 0), command({ type: 'revokeInvite', by: alice, invite: secret }));
  t.equal(when(revoked, joins(carol, secret)), 'INVITE_INVALID');
  t.equal(when(given(group, created), command({ ...invites(0, 0), by: bob } as never)), 'NOT_ALLOWED');
});

t.test('invites and requests are bounded; expired invites make room', async (t) => {
  const invite = (i: number, expiresAt = 0) =>
    command({ type: 'createInvite', by: alice, invite: `invite-number-${i}`.padEnd(20, '-'), expiresAt, maxUses: 0 });
  const full = given(group, created, ...Array.from({ length: MAX_INVITES }, (_, i) => invite(i, i === 0 ? 2_000 : 0)));
  t.equal(when(full, invite(99)), 'TOO_MANY_INVITES');
  t.equal(decide(full, invite(99), { at: 3_000 }).refusal, undefined);
  const requests = Array.from({ length: MAX_JOIN_REQUESTS }, (_, i) => asks(user(`stranger ${i}`)));
  const asked = requests.reduce(
    (state, one) => evolve(state, decide(state, one, NOW).event as never, NOW.at),
    withPolicy('approval'),
  );
  t.equal(when(asked, asks(carol)), 'TOO_MANY_REQUESTS');
});

t.test('newcomers see of the past what the group shows them', async (t) => {
  const shows = given(
    group,
    created,
    command({ type: 'changeGroup', by: alice, settings: { newcomersSee: 'everything' } }),
  );
  const adds = command({ type: 'addMembers', by: alice, members: [carol] });
  t.equal(maySee(evolve(shows, decide(shows, adds, NOW).event as never, NOW.at).roster, carol, 1), true);
  const hides = given(group, created, adds);
  t.same(
    [1, 2, 3].map((n) => maySee(hides.roster, carol, n)),
    [false, true, true],
  );
});

// ---- contacts and preferences ----

const asksContact = (by: typeof alice) => command({ type: 'requestContact', by, greeting: 'hi' });
const declines = (by: typeof alice) => command({ type: 'declineContact', by });
const removes = (by: typeof alice) => command({ type: 'removeContact', by });
const self = directConversationId(alice, alice);

t.test('who is asked says yes by asking back, or declines; either may end it', async (t) => {
  const asked = given(direct, asksContact(alice));
  t.equal(when(asked, asksContact(alice)), 'NO_CHANGE');
  t.equal(when(asked, declines(alice)), 'NO_CHANGE', 'nobody declines their own request');
  const contacts = given(direct, asksContact(alice), asksContact(bob));
  t.same(contacts.roster.contact, { state: 'contacts' });
  t.equal(contacts.lastIndex, 0, 'it has no place in the timeline');
  for (const by of [alice, bob]) {
    t.equal(when(contacts, asksContact(by)), 'NO_CHANGE');
    t.equal(when(contacts, removes(by)), 'accepted');
  }
  t.same(given(direct, asksContact(alice), removes(alice)).roster.contact, { state: 'none' }, 'taken back');
});

t.test('who was told no asks again after a day, and may be asked at once', async (t) => {
  const declined = given(direct, asksContact(alice), declines(bob));
  t.equal(when(declined, asksContact(alice)), 'ASKED_BEFORE');
  t.equal(decide(declined, asksContact(alice), { at: NOW.at + ASK_AGAIN_AFTER_MS }).refusal, undefined);
  t.equal(when(declined, asksContact(bob)), 'accepted');
});

t.test('who is blocked asks nothing; a group and oneself are nobody’s contacts', async (t) => {
  t.equal(when(given(direct, command({ type: 'blockUser', by: bob })), asksContact(alice)), 'BLOCKED');
  t.equal(when(given(group, created), asksContact(alice)), 'NOT_A_DIRECT_CONVERSATION');
  t.equal(when(given(self), asksContact(alice)), 'NOT_A_DIRECT_CONVERSATION');
  t.equal(when(given(direct), asksContact(carol)), 'NOT_A_MEMBER');
});

t.test('preferences are one’s own business', async (t) => {
  const pins = (by: typeof alice, about: typeof group | '') =>
    command({ type: 'changePreferences', by, about, preferences: { pinned: true } });
  t.equal(when(given(self), pins(alice, '')), 'accepted', 'about all, in the conversation with oneself');
  t.equal(when(given(self), pins(alice, self)), 'accepted');
  t.equal(when(given(self), pins(bob, '')), 'NOT_A_MEMBER');
  t.equal(when(given(group, created), pins(alice, group)), 'accepted');
  t.equal(when(given(group, created), pins(carol, group)), 'NOT_A_MEMBER');
  t.equal(when(given(direct), pins(alice, '')), 'NOT_ALLOWED');
  t.equal(when(given(self), pins(alice, group)), 'NOT_ALLOWED', 'they stand in the conversation they are about');
  const dissolved = given(group, created, command({ type: 'dissolveGroup', by: alice }));
  t.equal(when(dissolved, pins(alice, group)), 'accepted');
});
