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

/** On a machine under load nobody may answer for a moment: then a command may come again. */
const answerTo = (client: RawClient, fields: object) =>
  eventually(async () => {
    const answer = await client.ask(command(fields));
    return answer.code !== 'LOG_UNAVAILABLE' && answer;
  }, 'an answer that stays');

t.test('who is muted stays so when they leave and come back', async (t) => {
  const [owner, noisy] = [await RawClient.greeted(gateway, 'owner'), await RawClient.greeted(other, 'noisy')];
  t.teardown(() => [owner, noisy].map((client) => client.end()));
  const group = { conversation: 'quiet group' };
  for (const step of [
    { type: 'createGroup', ...group, name: 'n', members: ['noisy'] },
    { type: 'changeGroup', ...group, settings: { joinPolicy: 'open' } },
    { type: 'muteMember', ...group, member: 'noisy', until: Date.now() + 600_000 },
  ]) {
    t.match(await owner.ask(command(step)), { t: 'done' });
  }
  t.match(await noisy.ask(command({ type: 'leaveGroup', ...group })), { t: 'done' });
  t.match(await noisy.ask(command({ type: 'joinGroup', ...group })), { t: 'done' });
  await eventually(() => noisy.entries.at(-1)?.type === 'memberJoined', 'they are back');
  t.match(await noisy.ask(message(group)), { code: 'MUTED' });
  const left = owner.entries.find(({ type }) => type === 'memberLeft');
  t.notOk(left && 'keepsMutes' in left, 'by which rule it ended is nobody’s business');
  t.match(await owner.ask(command({ type: 'muteMember', ...group, member: 'noisy', until: 0 })), { t: 'done' });
  await eventually(async () => (await noisy.ask(message(group))).t === 'sent', 'until they may speak again');
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
  t.match(await answerTo(stranger, create('u1')), { t: 'done' }, 'nobody minds yet');
  t.match(await victim.ask(command({ type: 'leaveGroup', conversation: 'u1' })), { t: 'done' });
  t.match(await victim.ask(command({ type: 'blockUser', user: 'stranger' })), { t: 'done' });
  // The other gateway hears of it within moments.
  await eventually(async () => (await stranger.ask(message({ to: 'victim' }))).code === 'BLOCKED', 'it is known');
  t.match(await answerTo(stranger, add('u1')), { code: 'CANNOT_BE_ADDED' });
  t.match(await answerTo(stranger, create('u2')), { code: 'CANNOT_BE_ADDED' });
  t.match(await answerTo(stranger, create('u2', ['friend'])), { t: 'done' }, 'nothing was done, the id is free');
  t.match(await answerTo(stranger, add('u2')), { code: 'CANNOT_BE_ADDED' });
  t.match(await answerTo(friend, create('u3', ['victim'])), { t: 'done' }, 'others may');
  t.match(await victim.ask(command({ type: 'changeSettings', settings: { messagesFrom: 'contacts' } })), { t: 'done' });
  await eventually(async () => (await friend.ask(message({ to: 'victim' }))).code === 'NOT_A_CONTACT', 'it is known');
  t.match(await answerTo(friend, create('u4', ['victim'])), { code: 'CANNOT_BE_ADDED' });
  for (const [one, user] of [
    [friend, 'victim'],
    [victim, 'friend'],
  ] as const) {
    t.match(await one.ask(command({ type: 'requestContact', user })), { t: 'done' });
  }
  await eventually(async () => (await answerTo(friend, create('u5', ['victim']))).t === 'done', 'contacts may');
  const groups = () => victim.entries.filter(({ type }) => type === 'groupCreated').map(({ conversation: id }) => id);
  await eventually(() => groups().includes('u5'), 'it has come');
  t.same(groups(), ['u1', 'u3', 'u5']);
});

t.test('who has asked to join has asked to be added', async (t) => {
  const [owner, guest] = [await RawClient.greeted(gateway, 'host'), await RawClient.greeted(other, 'guest')];
  t.teardown(() => [owner, guest].map((client) => client.end()));
  const group = { conversation: 'asked' };
  t.match(await owner.ask(command({ type: 'createGroup', ...group, name: 'n', members: [] })), { t: 'done' });
  t.match(await owner.ask(command({ type: 'changeGroup', ...group, settings: { joinPolicy: 'approval' } })), {
    t: 'done',
  });
  t.match(await guest.ask(command({ type: 'blockUser', user: 'host' })), { t: 'done' });
  await eventually(async () => (await owner.ask(message({ to: 'guest' }))).code === 'BLOCKED', 'it is known');
  const add = { type: 'addMembers', ...group, members: ['guest'] };
  t.match(await answerTo(owner, add), { code: 'CANNOT_BE_ADDED' });
  t.match(await guest.ask(command({ type: 'requestToJoin', ...group, greeting: '' })), { t: 'done' });
  await eventually(() => owner.entries.some(({ type }) => type === 'joinRequested'), 'the owner is told');
  t.match(await answerTo(owner, add), { t: 'done' });
});

t.test('whom one has blocked is not told that one is writing', async (t) => {
  const [quiet, pest] = [await RawClient.greeted(gateway, 'quiet one'), await RawClient.greeted(other, 'pest')];
  t.teardown(() => [quiet, pest].map((client) => client.end()));
  const typed = () => pest.frames.filter(({ t: type }) => type === 'typing').map(({ conversation: id }) => id);
  t.match(await quiet.ask(command({ type: 'createGroup', conversation: 'both', name: 'n', members: ['pest'] })), {
    t: 'done',
  });
  t.match(await quiet.ask(command({ type: 'blockUser', user: 'pest' })), { t: 'done' });
  await eventually(async () => (await pest.ask(message({ to: 'quiet one' }))).code === 'BLOCKED', 'it is known');
  quiet.send({ t: 'typing', to: 'pest' });
  // Told behind it: what they have in common without a block between them.
  await eventually(() => pest.entries.some(({ type }) => type === 'groupCreated'), 'they are in the group');
  quiet.send({ t: 'typing', conversation: 'both' });
  await eventually(() => typed().length > 0, 'they are told of the group');
  t.same(typed(), ['both']);
});
