/** How often somebody may ask others to be contacts. */
import t from 'tap';
import { ContactRequests } from '../../src/application/gateway/contact-requests.ts';
import { evolve, initialConversation } from '../../src/domain/conversation.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import { newsOfTwo, noNews } from '../support/counted-news.ts';
import { msgId, user, users } from '../support/given.ts';

const [alice, bob] = users('alice', 'bob') as [UserId, UserId];
const asks = (by: UserId) => ({ type: 'contactRequested', by, id: msgId('r'), greeting: '' }) as const;
const strangers = initialConversation(directConversationId(alice, bob));

function codeOf(work: () => void): string {
  try {
    work();
    return 'accepted';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

t.test('one asks so many within an hour, and again as time goes by; each user for themselves', async (t) => {
  let now = 0;
  const requests = new ContactRequests(3, () => now, noNews);
  const ask = (by: UserId) => codeOf(() => requests.count(asks(by), strangers));
  t.same(
    [1, 2, 3, 4].map(() => ask(alice)),
    ['accepted', 'accepted', 'accepted', 'TOO_MANY_CONTACT_REQUESTS'],
  );
  t.equal(ask(bob), 'accepted');
  now += 20 * 60_000 - 1;
  t.equal(ask(alice), 'TOO_MANY_CONTACT_REQUESTS', 'what is refused does not put it off');
  now += 1;
  t.same([ask(alice), ask(alice)], ['accepted', 'TOO_MANY_CONTACT_REQUESTS']);
  now += 24 * 3_600_000;
  t.same([1, 2, 3, 4].map(() => ask(alice)).filter((code) => code === 'accepted').length, 3, 'never more at once');
});

t.test('to say yes is no request, nor is anything else; without a view it counts', async (t) => {
  const requests = new ContactRequests(1, () => 0, noNews);
  const asked = evolve(strangers, asks(bob), 1);
  for (let i = 0; i < 5; i++) requests.count(asks(alice), asked);
  for (let i = 0; i < 5; i++) requests.count({ type: 'contactDeclined', by: alice, id: msgId('d') }, asked);
  t.equal(
    codeOf(() => requests.count(asks(alice), undefined)),
    'accepted',
  );
  t.equal(
    codeOf(() => requests.count(asks(alice), undefined)),
    'TOO_MANY_CONTACT_REQUESTS',
  );
  t.equal(
    codeOf(() => requests.count(asks(user('carol')), asked)),
    'accepted',
  );
});

t.test('what was asked at one gateway counts at the other; what was refused counts nowhere', async (t) => {
  let now = 0;
  const gateways = newsOfTwo().map((news) => new ContactRequests(3, () => now, news));
  const ask = (k: number) => codeOf(() => gateways[k]?.count(asks(alice), strangers));
  t.same([ask(0), ask(1), ask(0)], ['accepted', 'accepted', 'accepted']);
  t.same([ask(0), ask(1), ask(1)], Array(3).fill('TOO_MANY_CONTACT_REQUESTS'));
  now += 20 * 60_000;
  t.same([ask(1), ask(0)], ['accepted', 'TOO_MANY_CONTACT_REQUESTS']);
});
