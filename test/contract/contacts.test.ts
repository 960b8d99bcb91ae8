/** Whom a user knows, as the read model tells it, whatever has happened between the two. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type ConversationEvent, evolve, initialConversation, refusalOf } from '../../src/domain/conversation.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import type { ListedContact } from '../../src/protocol/account-frames.ts';
import { cuts, people, RUNS, withModel, written } from '../support/histories.ts';
import { log, type Part } from '../support/logged.ts';

const [alice, bob, carol] = people as [UserId, UserId, UserId];
const pair = directConversationId(alice, bob);
const asks = (by: UserId): Part => ({ type: 'contactRequested', by, greeting: '' });
const shortly = ({ user, state, blocked }: ListedContact) => `${user} ${state}${blocked ? ' blocked' : ''}`;

t.test('each of the two sees where they stand, and only who blocks sees the block', async (t) => {
  withModel((model) => {
    const of = (user: UserId) => model.contacts(user, undefined, 10).contacts.map(shortly);
    const steps: readonly [Part, string[], string[]][] = [
      [asks(alice), ['bob requested'], ['alice asked']],
      [asks(bob), ['bob contacts'], ['alice contacts']],
      [{ type: 'userBlocked', by: bob }, ['bob contacts'], ['alice contacts blocked']],
      [{ type: 'contactRemoved', by: alice }, [], ['alice none blocked']],
      [{ type: 'userUnblocked', by: bob }, [], []],
      [asks(bob), ['bob asked'], ['alice requested']],
      [{ type: 'contactDeclined', by: alice }, [], []],
    ];
    const events = log(...steps.map(([part]) => [pair, part] as const));
    for (const [i, [part, ofAlice, ofBob]] of steps.entries()) {
      written(model, events.slice(i, i + 1));
      t.same([of(alice), of(bob)], [ofAlice, ofBob], `after ${part.type}`);
    }
  });
});

t.test('one’s own name and groups stand beside a contact, for nobody else', async (t) => {
  withModel((model) => {
    const remarked: Part = {
      type: 'preferencesChanged',
      by: alice,
      about: pair,
      preferences: { remark: 'B', labels: ['x'] },
    };
    written(model, log([pair, remarked], [pair, asks(alice)], [pair, asks(bob)]));
    t.match(model.contacts(alice, undefined, 10).contacts, [{ user: 'bob', at: 3_000, remark: 'B', labels: ['x'] }]);
    t.notMatch(model.contacts(bob, undefined, 10).contacts, [{ remark: 'B' }]);
  });
});

t.test('page by page they are the same, and a user sees their own alone', async (t) => {
  withModel((model) => {
    const others = ['u1', 'u2', 'u3', '陈', '𐌀'].map((name) => name as UserId);
    written(model, log(...others.map((other) => [directConversationId(carol, other), asks(carol)] as const)));
    const all = model.contacts(carol, undefined, 10).contacts;
    t.equal(all.length, 5);
    const first = model.contacts(carol, undefined, 2);
    const second = model.contacts(carol, first.contacts.at(-1)?.conversation, 3);
    t.same([first.more, second.more], [true, false]);
    t.same([...first.contacts, ...second.contacts], all);
    t.same(model.contacts(alice, undefined, 10), { contacts: [], more: false });
  });
});

t.test('however the log is cut, it is what the conversation’s own state says', async () => {
  const type = fc.constantFrom('contactRequested', 'contactDeclined', 'contactRemoved', 'userBlocked', 'userUnblocked');
  const part = fc.record({ type, by: fc.constantFrom(alice, bob) }).map((one) => ({ ...one, greeting: '' }) as Part);
  const property = fc.property(fc.array(part, { maxLength: 30 }), cuts, (parts, cuts) => {
    const events = log(...parts.map((part) => [pair, part] as const));
    let state = initialConversation(pair);
    for (const { event, at } of events as { event: ConversationEvent; at: number }[]) {
      if (!refusalOf(state, event, { at })) state = evolve(state, event, at);
    }
    withModel((model) => {
      written(model, events, cuts);
      const { contact, blockers } = state.roster;
      for (const [user, other] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const by = contact.state === 'requested' ? contact.by : undefined;
        const standing = contact.state === 'contacts' ? 'contacts' : by === user ? 'requested' : by ? 'asked' : 'none';
        const expected = `${other} ${standing}${blockers.has(user) ? ' blocked' : ''}`;
        const listed = model.contacts(user, undefined, 10).contacts.map(shortly);
        assert.deepEqual(listed, expected.endsWith(' none') ? [] : [expected]);
      }
    });
  });
  fc.assert(property, RUNS);
});
