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
