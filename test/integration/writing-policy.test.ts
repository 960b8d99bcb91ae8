/** Who may write to whom: by the deployment's policy and by the receiver's setting, from the gateway to the fold. */
import t, { type Test } from 'tap';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { API_KEY, RawClient, startTestGateway } from '../support/gateway.ts';
import { conversation, msgId, user } from '../support/given.ts';
import { eventually } from '../support/waiting.ts';

const command = (command: object) => ({ t: 'command', clientMsgId: crypto.randomUUID(), command });
const message = (to: string, clientMsgId: string = crypto.randomUUID()) => ({
  ...{ t: 'send', to, clientMsgId, contentType: 'text/plain' },
  body: new TextEncoder().encode('hello'),
});
const texts = (client: RawClient) => client.entries.filter(({ type }) => type === 'message').map(({ id }) => id);

async function befriend(one: RawClient, other: RawClient, names: readonly [string, string]): Promise<void> {
  await one.askUntilTaken(command({ type: 'requestContact', user: names[1] }));
  await other.askUntilTaken(command({ type: 'requestContact', user: names[0] }));
}

async function scene(t: Test, messaging: 'open' | 'friendsOnly') {
  const gateways = await startTestGateway({ messaging });
  t.teardown(gateways.stop);
  const [alice, bob] = [
    await RawClient.greeted(gateways.gateway, 'alice'),
    await RawClient.greeted(await gateways.more(), 'bob'),
  ];
  t.teardown(() => [alice, bob].map((client) => client.end()));
  return { ...gateways, alice, bob };
}

t.test('who wants messages from contacts alone gets no others, from the moment it is told on', async (t) => {
  const { alice, bob } = await scene(t, 'open');
  t.match(await alice.askUntilTaken(message('bob', 'before')), { t: 'sent' });
  t.match(await bob.askUntilTaken(command({ type: 'changeSettings', settings: { messagesFrom: 'contacts' } })), {
    t: 'done',
  });
  // The other gateway hears of it within moments.
  await eventually(async () => (await alice.outcome(message('bob'))) === 'NOT_A_CONTACT', 'refused');
  t.match(await bob.askUntilTaken(message('alice', 'back')), { t: 'sent' }, 'the other way is free');
  await befriend(alice, bob, ['alice', 'bob']);
  await eventually(async () => (await alice.outcome(message('bob', 'friends'))) === 'taken', 'contacts may write');
  t.match(await alice.askUntilTaken(message('alice', 'note')), { t: 'sent' }, 'notes to self');
  await eventually(() => texts(bob).includes('friends'), 'it has come');
  await bob.askUntilTaken(command({ type: 'removeContact', user: 'alice' }));
  await eventually(async () => (await alice.outcome(message('bob'))) === 'NOT_A_CONTACT', 'refused again');
});

t.test('where persons may write to contacts alone, bots may to anybody', async (t) => {
  const { alice, bob, gateway } = await scene(t, 'friendsOnly');
  t.equal(await alice.outcome(message('bob')), 'NOT_A_CONTACT');
  await befriend(alice, bob, ['alice', 'bob']);
  t.match(await alice.askUntilTaken(message('bob', 'friends')), { t: 'sent' });
  const post = (path: string, body: object) =>
    fetch(gateway.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${API_KEY}` },
      body: JSON.stringify(body),
    });
  await post('/v1/accounts', { user: 'weather', kind: 'bot' });
  const sent = await post('/v1/messages', { from: 'weather', to: 'bob', clientMsgId: 'sunny', text: 'sunny' });
  t.equal(sent.status, 200);
  t.match(await alice.askUntilTaken(message('weather', 'thanks')), { t: 'sent' });
  await eventually(() => texts(bob).length === 2, 'both have come');
  t.same(texts(bob).sort(), ['friends', 'sunny']);
});

t.test('the fold refuses what crossed with the end of a friendship, and says so to its sender', async (t) => {
  const { alice, bob, nats } = await scene(t, 'friendsOnly');
  await befriend(alice, bob, ['alice', 'bob']);
  t.match(await alice.askUntilTaken(message('bob', 'm1')), { t: 'sent' });
  const { js } = await nats.connect('operator');
  // As a gateway writes it whose view is old: what was said is stored, and judged by the fold.
  await bob.askUntilTaken(command({ type: 'removeContact', user: 'alice' }));
  const late = { type: 'messageSent', by: user('alice'), id: msgId('late'), contentType: 'text/plain' } as const;
  const body = new TextEncoder().encode('x');
  const subject = conversationSubject(conversation('direct:alice:bob'), 'm');
  await js.publish(subject, encodeLogEvent({ ...late, body, contactsOnly: true }));
  await eventually(() => alice.entries.find(({ type }) => type === 'rejected'), 'it comes back');
  t.match(alice.entries.at(-1), { type: 'rejected', id: 'late', code: 'NOT_A_CONTACT' });
  await eventually(() => texts(bob).includes('m1'), 'the one before has come');
  t.notOk(texts(bob).includes('late'));
  t.notOk(
    bob.entries.some((entry) => 'contactsOnly' in entry),
    'the policy is no part of a message',
  );
});
