/** What a sender learns of the other's devices, and what is told in passing: SDK on two gateways, on a real log. */
import t from 'tap';
import { MemoryStorage } from '../../src/sdk/index.ts';
import { type SdkDevice, startScene } from '../support/sdk-devices.ts';
import { eventually } from '../support/waiting.ts';

const scene = await startScene();
t.teardown(() => scene.stop());

const deliveredTo = ({ entries }: SdkDevice): number[] =>
  entries.flatMap((entry) => (entry.type === 'conversationDelivered' ? [entry.upTo] : []));

t.test('a message is shown as delivered once a device of the other has stored it, and not before', async (t) => {
  const alice = await scene.device(t, 'alice');
  await alice.client.sendText({ to: 'bob' }, 'are you there?').durable;
  await eventually(() => alice.entries.length === 1, 'alice has her own');
  t.same(deliveredTo(alice), []);
  const listed = async () => (await alice.client.conversations().catch(() => undefined))?.conversations[0];
  t.match(await eventually(listed, 'listed'), { peerReadUpTo: 0, peerDeliveredUpTo: 0 });

  const bob = await scene.device(t, 'bob');
  await eventually(() => deliveredTo(alice).length === 1, 'delivered');
  t.same(deliveredTo(alice), [1]);
  await eventually(async () => (await listed())?.peerDeliveredUpTo === 1, 'and in the list');
  for (let i = 2; i <= 10; i++) await alice.client.sendText({ to: 'bob' }, `m${i}`).durable;
  await eventually(() => deliveredTo(alice).at(-1) === 10, 'the others are, some at a time');
  t.ok(deliveredTo(alice).length < 10, 'coalesced');
  t.same(
    deliveredTo(alice),
    [...deliveredTo(alice)].sort((a, b) => a - b),
    'only forwards',
  );
  t.same(deliveredTo(bob), [], 'bob’s devices have nothing of it');
  await bob.client.markRead('direct:alice:bob', 10).durable;
  await eventually(async () => (await listed())?.peerReadUpTo === 10, 'read');
});

t.test('who blocks the other, or switches it off, or has read it, tells nothing', async (t) => {
  const carol = await scene.device(t, 'carol');
  const dave = await scene.device(t, 'dave', { deliveredReceipts: false });
  await carol.client.sendText({ to: 'dave' }, 'hello').durable;
  await eventually(() => dave.entries.length === 1, 'dave has it');
  await dave.client.markRead('direct:carol:dave', 1).durable;
  await eventually(() => carol.entries.some(({ type }) => type === 'conversationRead'), 'read');
  t.same(deliveredTo(carol), []);
  await scene.device(t, 'erin');
  await carol.client.sendText({ to: 'erin' }, 'hello').durable;
  await eventually(() => deliveredTo(carol).length === 1, 'erin tells');
});

t.test(
  'who was blocked sees no mark, presence or writing of who did it, live or asked for, and sees what it saw before',
  async (t) => {
    const ivy = await scene.device(t, 'ivy');
    const jack = await scene.device(t, 'jack');
    const marksOf = ({ entries }: SdkDevice, of: string) =>
      entries.flatMap((one) => ('upTo' in one && one.by === of ? [`${one.type} ${one.upTo}`] : []));
    const written: string[] = [];
    jack.client.on('typing', (_, { user }) => written.push(user));
    const pair = 'direct:ivy:jack';
    for (let n = 1; n <= 3; n++) await jack.client.sendText({ to: 'ivy' }, `m${n}`).durable;
    await eventually(() => ivy.entries.length === 3, 'ivy has them');
    await ivy.client.markRead(pair, 1).durable;
    await eventually(() => marksOf(jack, 'ivy').includes('conversationRead 1'), 'jack sees it');
    const before = await eventually(async () => {
      const listed = (await jack.client.conversations().catch(() => undefined))?.conversations[0];
      return listed?.peerReadUpTo === 1 && listed;
    }, 'listed');
    await ivy.client.block('jack').durable;
    await ivy.client.markRead(pair, 3).durable;
    await eventually(() => marksOf(ivy, 'ivy').includes('conversationRead 3'), 'her own devices have it');
    await eventually(async () => (await ivy.client.receipts(pair, 3)).readers.length === 1, 'and it can be asked for');
    t.match((await ivy.client.receipts(pair, 3)).readers, [{ user: 'ivy', upTo: 3 }]);
    // It is told of what gateways know, which hear of a block when it was folded.
    ivy.client.typing({ to: 'jack' });
    t.same((await jack.client.receipts(pair, 3)).readers, []);
    t.match((await jack.client.receipts(pair, 1)).readers, [{ user: 'ivy', upTo: 1 }], 'what he saw he sees');
    t.match((await jack.client.conversations()).conversations, [
      { peerReadUpTo: 1, peerDeliveredUpTo: before.peerDeliveredUpTo },
    ]);
    t.same(await jack.client.presence(['ivy']), [{ user: 'ivy', online: false }]);
    await ivy.client.unblock('jack').durable;
    await jack.client.sendText({ to: 'ivy' }, 'm4').durable;
    await eventually(() => ivy.entries.some((one) => 'n' in one && one.n === 4), 'she has it');
    await ivy.client.markRead(pair, 4).durable;
    await eventually(() => marksOf(jack, 'ivy').includes('conversationRead 4'), 'the next mark is told again');
    t.notOk(marksOf(jack, 'ivy').includes('conversationRead 3'), 'and none of those between');
    t.same(written, []);
  },
);

t.test('what a device had stored and not told before it ended is told at its next start', async (t) => {
  const frank = await scene.device(t, 'frank');
  const storage = new MemoryStorage();
  const marks = [['direct:frank:grace', { pos: 1, n: 1, at: 1, untold: 1 }]] as const;
  await frank.client.sendText({ to: 'grace' }, 'one').durable;
  await storage.commit(undefined, marks as never);
  await scene.device(t, 'grace', { storage, resume: 'latest' });
  await eventually(() => deliveredTo(frank).length === 1, 'told');
});

t.test('who is writing is told to the app, and what one’s other devices change of the account', async (t) => {
  const [hans, phone] = [await scene.device(t, 'hans'), await scene.device(t, 'hans', { device: 'phone' })];
  const iris = await scene.device(t, 'iris');
  const written: object[] = [];
  const accounts: object[] = [];
  iris.client.on('typing', (conversation, writing) => written.push({ conversation, ...writing }));
  phone.client.on('account', (account) => accounts.push(account));
  hans.client.typing({ to: 'iris' });
  hans.client.typing({ to: 'iris' });
  await eventually(() => written.length > 0, 'iris sees it');
  t.same(written, [{ conversation: 'direct:hans:iris', user: 'hans', forMs: 6_000 }]);
  await hans.client.changeProfile({ name: 'Hans' }).durable;
  await eventually(() => accounts.length > 0, 'the phone hears of it');
  t.match(accounts, [{ user: 'hans', name: 'Hans' }]);
});
