/** What waits for a decision, when the decision before it fails: against a log and views whose answers the test gives. */
import t from 'tap';
import { ContactRequests } from '../../src/application/gateway/contact-requests.ts';
import { Conversations } from '../../src/application/gateway/conversations.ts';
import { type ConversationEvent, evolve, initialConversation } from '../../src/domain/conversation.ts';
import type { ConversationId } from '../../src/domain/ids.ts';
import type { View } from '../../src/ports/conversation-views.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { codeOf } from '../support/code-of.ts';
import { noNews } from '../support/counted-news.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';

const [owner, member] = [user('owner'), user('member')];
const room = conversation('room');
const created = { type: 'groupCreated', by: owner, id: msgId('c'), name: 'room', members: [] } as const;
const unavailable = (): RookeryError => new RookeryError('LOG_UNAVAILABLE', 'a test wants it so');

function scene() {
  const appended: string[] = [];
  const state = {
    isAway: false,
    tellsNothing: false,
    group: evolve(initialConversation(room), created, 1),
    /** What an append, or a question for a view, waits for. */
    appending: undefined as Promise<void> | undefined,
    asking: undefined as Promise<void> | undefined,
    /** The views at hand are out of date. */
    forget: (): void => undefined,
  };
  const conversations = new Conversations({
    clock: { nowMs: () => Date.now() },
    contactRequests: new ContactRequests(60, () => 0, noNews),
    policy: { stampedNow: (_target, event) => event, stamped: async (_target, event) => event },
    views: {
      fetch: async () => {
        await state.asking;
        const memberCount = state.group.roster.members.size;
        return { conversation: state.group, statePos: 1, memberCount } as unknown as View;
      },
      onChange: (changed: (conversation: ConversationId) => void) => {
        state.forget = () => changed(room);
      },
    } as never,
    log: {
      append: async (_target: ConversationId, event: ConversationEvent) => {
        if (state.isAway) throw unavailable();
        await state.appending;
        appended.push(event.id);
        if (event.type === 'membersAdded') state.group = evolve(state.group, event, 2);
        return { pos: appended.length, duplicate: false };
      },
      lastStatePos: async () => {
        if (state.isAway || state.tellsNothing) throw unavailable();
        return 1;
      },
    } as never,
  });
  const say = (by: typeof owner, id: string) =>
    conversations.send(by, msgId(id), { conversation: room }, { contentType: 'text/plain', body: bytes(id) });
  return { appended, state, conversations, say };
}

t.test('behind a message that could not be decided nothing of its sender goes past', async (t) => {
  const { appended, state, say } = scene();
  state.isAway = true;
  const first = [say(member, 'a'), say(member, 'b')].map(codeOf);
  t.same(await Promise.all(first), ['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE']);
  const waiting = [codeOf(say(member, 'a'))];
  // What made the first fail is over before the second has its turn.
  state.isAway = false;
  state.group = evolve(state.group, { type: 'membersAdded', by: owner, id: msgId('m'), members: [member] }, 2);
  waiting.push(codeOf(say(member, 'b')));
  const answers = await Promise.all(waiting);
  t.notSame(answers, ['LOG_UNAVAILABLE', 'accepted']);
  t.not(appended[0], 'b');
});

t.test('what waits behind a change that failed for a passing reason fails with it, and is not refused', async (t) => {
  const { appended, state, conversations, say } = scene();
  state.isAway = true;
  const rename = conversations.command(owner, msgId('r'), { type: 'renameGroup', conversation: room, name: 'nest' });
  const behind = say(owner, 'a');
  t.same(await Promise.all([codeOf(rename), codeOf(behind)]), ['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE']);
  state.isAway = false;
  t.same([await codeOf(say(owner, 'a')), await codeOf(say(owner, 'b'))], ['accepted', 'accepted']);
  t.same(appended, ['a', 'b']);
});

t.test('while the log cannot tell whether it may, a message is not refused: the fold decides', async (t) => {
  const { appended, state, say } = scene();
  state.tellsNothing = true;
  t.same(await Promise.all(['a', 'b', 'c'].map((id) => codeOf(say(member, id)))), ['accepted', 'accepted', 'accepted']);
  t.same(appended, ['a', 'b', 'c']);
});

t.test('a mark is not refused on a view that is old: who was let in since may read', async (t) => {
  const { appended, state, conversations } = scene();
  const mark = (id: string): Promise<string> =>
    codeOf(conversations.command(member, msgId(id), { type: 'markRead', conversation: room, upTo: 1 }));
  t.equal(await mark('before'), 'NOT_A_MEMBER');
  state.group = evolve(state.group, { type: 'membersAdded', by: owner, id: msgId('m'), members: [member] }, 2);
  t.equal(await mark('behind'), 'accepted', 'and nobody has told yet that the view is old');
  t.same(appended, ['behind']);
});

t.test('what waits to be decided while one before it is given up fails with it', async (t) => {
  const { appended, state, say } = scene();
  await say(owner, 'first');
  const first = Promise.withResolvers<void>();
  state.appending = first.promise;
  // With a view at hand it is under way at once; the second must ask for another.
  const underWay = codeOf(say(owner, 'a'));
  const asked = Promise.withResolvers<void>();
  state.asking = asked.promise;
  state.forget();
  const waiting = codeOf(say(owner, 'b'));
  first.reject(unavailable());
  t.equal(await underWay, 'LOG_UNAVAILABLE');
  state.appending = undefined;
  asked.resolve();
  t.equal(await waiting, 'LOG_UNAVAILABLE');
  t.same([await codeOf(say(owner, 'a')), await codeOf(say(owner, 'b'))], ['accepted', 'accepted']);
  t.same(appended, ['first', 'a', 'b']);
});
