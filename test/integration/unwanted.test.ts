/** What somebody does who is not wanted there, and what comes of it: on real gateways and a worker. */
import t from 'tap';
import { RawClient, startTestGateway } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, more, stop } = await startTestGateway();
t.teardown(stop);
const other = await more();

const command = (fields: object): object => ({ t: 'command', clientMsgId: crypto.randomUUID(), command: fields });
const message = (to: object): object => ({
  ...{ t: 'send', clientMsgId: crypto.randomUUID(), contentType: 'text/plain' },
  ...{ body: Buffer.from('hello'), ...to },
});

t.test('who is muted stays so when they leave and come back', async (t) => {
  const [owner, noisy] = [await RawClient.greeted(gateway, 'owner'), await RawClient.greeted(other, 'noisy')];
  t.teardown(() => [owner, noisy].map((client) => client.end()));
  const group = { conversation: 'quiet group' };
  for (const step of [
    { type: 'createGroup', ...group, name: 'n', members: ['noisy'] },
    { type: 'changeGroup', ...group, settings: { joinPolicy: 'open' } },
    { type: 'muteMember', ...group, member: 'noisy', until: Date.now() + 600_000 },
  ]) {
    t.match(await owner.askUntilTaken(command(step)), { t: 'done' });
  }
  t.match(await noisy.askUntilTaken(command({ type: 'leaveGroup', ...group })), { t: 'done' });
  t.match(await noisy.askUntilTaken(command({ type: 'joinGroup', ...group })), { t: 'done' });
  await eventually(() => noisy.entries.at(-1)?.type === 'memberJoined', 'they are back');
  t.equal(await noisy.outcome(message(group)), 'MUTED');
  const left = owner.entries.find(({ type }) => type === 'memberLeft');
  t.notOk(left && 'keepsMutes' in left, 'by which rule it ended is nobody’s business');
  t.match(await owner.askUntilTaken(command({ type: 'muteMember', ...group, member: 'noisy', until: 0 })), {
    t: 'done',
  });
  await eventually(async () => (await noisy.outcome(message(group))) === 'taken', 'until they may speak again');
});

t.test('who has blocked somebody, or wants contacts alone, is put into no group by them', async (t) => {
  const [victim, stranger, friend] = [
    await RawClient.greeted(gateway, 'victim'),
    await RawClient.greeted(other, 'stranger'),
    await RawClient.greeted(other, 'friend'),
  ];
  t.teardown(() => [victim, stranger, friend].map((client) => client.end()));
  const create = (conversation: string, members = ['friend', 'victim']) => ({
    type: 'createGroup',
    conversation,
    name: 'look here',
    members,
  });
  const add = (conversation: string) => ({ type: 'addMembers', conversation, members: ['victim'] });
  t.equal(await stranger.outcome(command(create('u1'))), 'taken', 'nobody minds yet');
  t.match(await victim.askUntilTaken(command({ type: 'leaveGroup', conversation: 'u1' })), { t: 'done' });
  t.match(await victim.askUntilTaken(command({ type: 'blockUser', user: 'stranger' })), { t: 'done' });
  // The other gateway hears of it within moments.
  await eventually(async () => (await stranger.outcome(message({ to: 'victim' }))) === 'BLOCKED', 'it is known');
  t.equal(await stranger.outcome(command(add('u1'))), 'CANNOT_BE_ADDED');
  t.equal(await stranger.outcome(command(create('u2'))), 'CANNOT_BE_ADDED');
  t.equal(await stranger.outcome(command(create('u2', ['friend']))), 'taken', 'nothing was done, the id is free');
  t.equal(await stranger.outcome(command(add('u2'))), 'CANNOT_BE_ADDED');
  t.equal(await friend.outcome(command(create('u3', ['victim']))), 'taken', 'others may');
  t.match(await victim.askUntilTaken(command({ type: 'changeSettings', settings: { messagesFrom: 'contacts' } })), {
    t: 'done',
  });
  await eventually(async () => (await friend.outcome(message({ to: 'victim' }))) === 'NOT_A_CONTACT', 'it is known');
  t.equal(await friend.outcome(command(create('u4', ['victim']))), 'CANNOT_BE_ADDED');
  for (const [one, user] of [
    [friend, 'victim'],
    [victim, 'friend'],
  ] as const) {
    t.match(await one.askUntilTaken(command({ type: 'requestContact', user })), { t: 'done' });
  }
  await eventually(async () => (await friend.outcome(command(create('u5', ['victim'])))) === 'taken', 'contacts may');
  const groups = () => victim.entries.filter(({ type }) => type === 'groupCreated').map(({ conversation: id }) => id);
  await eventually(() => groups().includes('u5'), 'it has come');
  t.same(groups(), ['u1', 'u3', 'u5']);
});

t.test('who has asked to join has asked to be added', async (t) => {
  const [owner, guest] = [await RawClient.greeted(gateway, 'host'), await RawClient.greeted(other, 'guest')];
  t.teardown(() => [owner, guest].map((client) => client.end()));
  const group = { conversation: 'asked' };
  t.match(await owner.askUntilTaken(command({ type: 'createGroup', ...group, name: 'n', members: [] })), { t: 'done' });
  t.match(await owner.askUntilTaken(command({ type: 'changeGroup', ...group, settings: { joinPolicy: 'approval' } })), {
    t: 'done',
  });
  t.match(await guest.askUntilTaken(command({ type: 'blockUser', user: 'host' })), { t: 'done' });
  await eventually(async () => (await owner.outcome(message({ to: 'guest' }))) === 'BLOCKED', 'it is known');
  const add = { type: 'addMembers', ...group, members: ['guest'] };
  t.equal(await owner.outcome(command(add)), 'CANNOT_BE_ADDED');
  t.match(await guest.askUntilTaken(command({ type: 'requestToJoin', ...group, greeting: '' })), { t: 'done' });
  await eventually(() => owner.entries.some(({ type }) => type === 'joinRequested'), 'the owner is told');
  t.equal(await owner.outcome(command(add)), 'taken');
});

t.test('whom one has blocked is not told that one is writing', async (t) => {
  const [quiet, pest] = [await RawClient.greeted(gateway, 'quiet one'), await RawClient.greeted(other, 'pest')];
  t.teardown(() => [quiet, pest].map((client) => client.end()));
  const typed = () => pest.frames.filter(({ t: type }) => type === 'typing').map(({ conversation: id }) => id);
  t.match(
    await quiet.askUntilTaken(command({ type: 'createGroup', conversation: 'both', name: 'n', members: ['pest'] })),
    {
      t: 'done',
    },
  );
  t.match(await quiet.askUntilTaken(command({ type: 'blockUser', user: 'pest' })), { t: 'done' });
  await eventually(async () => (await pest.outcome(message({ to: 'quiet one' }))) === 'BLOCKED', 'it is known');
  quiet.send({ t: 'typing', to: 'pest' });
  // Told behind it: what they have in common without a block between them.
  await eventually(() => pest.entries.some(({ type }) => type === 'groupCreated'), 'they are in the group');
  quiet.send({ t: 'typing', conversation: 'both' });
  await eventually(() => typed().length > 0, 'they are told of the group');
  t.same(typed(), ['both']);
});
