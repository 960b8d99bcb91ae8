/** What is told to connected devices and kept nowhere, across two gateways: who is writing, and changes of one's account. */
import t from 'tap';
import { API_KEY, RawClient, startTestGateway } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, more, stop } = await startTestGateway();
t.teardown(stop);
const other = await more();

const typingOf = (client: RawClient) => client.frames.filter((frame) => frame.t === 'typing');
let commands = 0;
const command = (client: RawClient, what: object) =>
  client.ask({ t: 'command', clientMsgId: `c${++commands}`, command: what });

async function untold(why: string): Promise<number> {
  const metrics = await (await fetch(`${gateway.address}/metrics`)).text();
  return Number(new RegExp(`rookery_untold_total\\{why="${why}"\\} (\\d+)`).exec(metrics)?.[1] ?? 0);
}

t.test('who writes is seen by the others’ devices at every gateway, and by nobody else', async (t) => {
  const alice = await RawClient.greeted(gateway, 'alice', 'phone');
  const tablet = await RawClient.greeted(other, 'alice', 'tablet');
  const bob = await RawClient.greeted(gateway, 'bob', 'phone');
  const laptop = await RawClient.greeted(other, 'bob', 'laptop');
  const carol = await RawClient.greeted(other, 'carol');
  t.match(
    await command(alice, { type: 'createGroup', conversation: 'rooks', name: 'Rooks', members: ['bob', 'carol'] }),
    { t: 'done' },
  );
  alice.send({ t: 'typing', to: 'bob' });
  alice.send({ t: 'typing', conversation: 'rooks' });
  for (const client of [bob, laptop]) await eventually(() => typingOf(client).length === 2, 'bob sees both');
  await eventually(() => typingOf(carol).length === 1, 'carol sees that in the group');
  t.same(typingOf(carol), [{ t: 'typing', conversation: 'rooks', user: 'alice', forMs: 6_000 }]);
  t.match(
    typingOf(laptop).find(({ conversation }) => conversation !== 'rooks'),
    { conversation: 'direct:alice:bob', user: 'alice' },
  );
  t.same([...typingOf(alice), ...typingOf(tablet)], [], 'not by herself');
  for (let i = 0; i < 5; i++) alice.send({ t: 'typing', to: 'bob' });
  await eventually(async () => (await untold('rate')) >= 5, 'what comes too soon is counted');
  t.equal(typingOf(bob).length, 2);
  for (const client of [alice, tablet, bob, laptop, carol]) client.end();
});

t.test('who may not speak is not seen writing: blocked, muted, a stranger', async (t) => {
  const [dora, emil] = [await RawClient.greeted(gateway, 'dora'), await RawClient.greeted(other, 'emil')];
  const stranger = await RawClient.greeted(gateway, 'stranger');
  const group = { type: 'createGroup', conversation: 'crows', name: 'Crows', members: ['dora'] };
  t.match(await command(emil, group), { t: 'done' });
  t.match(
    await command(emil, { type: 'muteMember', conversation: 'crows', member: 'dora', until: Date.now() + 60_000 }),
    {
      t: 'done',
    },
  );
  t.match(await command(emil, { type: 'blockUser', user: 'dora' }), { t: 'done' });
  const before = await untold('nobody');
  dora.send({ t: 'typing', conversation: 'crows' });
  dora.send({ t: 'typing', to: 'emil' });
  stranger.send({ t: 'typing', conversation: 'crows' });
  await eventually(async () => (await untold('nobody')) === before + 3, 'all three are dropped');
  t.match(await command(emil, { type: 'unblockUser', user: 'dora' }), { t: 'done' });
  await eventually(() => {
    dora.send({ t: 'typing', to: 'emil' });
    return typingOf(emil).length > 0;
  }, 'unblocked, dora is seen again');
  t.ok(typingOf(emil).every(({ conversation }) => conversation === 'direct:dora:emil'));
  for (const client of [dora, emil, stranger]) client.end();
});

t.test('nonsense is answered with a code, and nobody is told', async (t) => {
  const mallory = await RawClient.greeted(gateway, 'mallory');
  mallory.send({ t: 'typing', id: 1 });
  mallory.send({ t: 'typing', id: 2, to: 'bob', conversation: 'rooks' });
  mallory.send({ t: 'typing', id: 3, conversation: 'direct:b:a' });
  mallory.send({ t: 'typing', id: 4, to: 'x'.repeat(129) });
  const codes = await Promise.all([1, 2, 3, 4].map(async (id) => (await mallory.answer(id)).code));
  t.same(codes, ['BAD_ID', 'BAD_REQUEST', 'BAD_ID', 'BAD_ID']);
  const early = await RawClient.open(gateway);
  early.send({ t: 'typing', id: 5, to: 'bob' });
  t.equal((await early.answer(5)).code, 'HELLO_EXPECTED');
  early.end();
  mallory.end();
});

t.test('a change of one’s account comes to one’s devices at every gateway, whoever made it', async (t) => {
  const phone = await RawClient.greeted(gateway, 'frida', 'phone');
  const laptop = await RawClient.greeted(other, 'frida', 'laptop');
  const bystander = await RawClient.greeted(other, 'gustav');
  const accountsOf = (client: RawClient) => client.frames.filter((frame) => frame.t === 'account');
  const done = await command(phone, { type: 'changeProfile', profile: { name: 'Frida' } });
  t.match(await laptop.frame('account'), { pos: done.pos, account: { user: 'frida', name: 'Frida', kind: 'person' } });
  t.match(await phone.frame('account'), { pos: done.pos });
  await fetch(`${gateway.address}/v1/accounts/frida`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify({ settings: { messagesFrom: 'contacts' } }),
  });
  await eventually(() => accountsOf(laptop).length === 2, 'by a backend');
  t.match(accountsOf(laptop)[1], { account: { name: 'Frida', settings: { messagesFrom: 'contacts' } } });
  t.same(accountsOf(bystander), []);
  for (const client of [phone, laptop, bystander]) client.end();
});
