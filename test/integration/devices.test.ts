/** Devices over two real gateways: listed, named, revoked. */
import t from 'tap';
import { MAX_DEVICES } from '../../src/domain/devices.ts';
import { RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, more, stop } = await startTestGateway({ worker: false });
t.teardown(stop);
const other = await more();

interface About {
  readonly token: string;
  readonly at?: typeof gateway;
  readonly kind?: string;
  readonly name?: string;
}

async function hello(device: string, { token, at = gateway, ...about }: About) {
  const client = await RawClient.open(at);
  const answer = await client.ask({ t: 'hello', token, device, resume: 'latest', ...about });
  return { client, answer };
}

async function devicesOf(client: RawClient): Promise<Record<string, unknown>[]> {
  const { result } = await client.ask({ t: 'query', query: { type: 'devices' } });
  return (result as { devices: Record<string, unknown>[] }).devices;
}

const listed = (client: RawClient, count: number): Promise<Record<string, unknown>[]> =>
  eventually(async () => {
    const devices = await devicesOf(client);
    return devices.length === count && devices;
  }, `${count} devices`);

let ids = 0;
const command = (client: RawClient, command: object) => client.ask({ t: 'command', clientMsgId: `c${++ids}`, command });

t.test('devices are listed with what they say of themselves, and as their user calls them', async (t) => {
  const token = await tokenFor('alice');
  const { client: phone } = await hello('phone', { token, kind: 'phone', name: 'Pixel' });
  const { client: old } = await hello('old', { token, at: other });
  t.match(await listed(old, 2), [
    { device: 'phone', kind: 'phone', name: 'Pixel' },
    { device: 'old', kind: 'other', name: '' },
  ]);
  t.match(await command(old, { type: 'renameDevice', device: 'old', name: 'Attic' }), { t: 'done' });
  t.match(await command(old, { type: 'renameDevice', device: 'none', name: 'x' }), { code: 'DEVICE_UNKNOWN' });
  await eventually(async () => (await devicesOf(phone))[1]?.name === 'Attic', 'the other gateway knows it');
  phone.end();
  old.end();
});

t.test('what is wrong in a hello is said', async (t) => {
  const token = await tokenFor('alice');
  t.match((await hello('d', { token, kind: 'toaster' })).answer, { code: 'BAD_REQUEST' });
  t.match((await hello('d', { token, name: 'x'.repeat(65) })).answer, { code: 'BAD_REQUEST' });
});

t.test('a revoked device goes at once, at any gateway, and its token is refused for it alone', async (t) => {
  const token = await tokenFor('bob', { issuedAt: Date.now() - 5_000 });
  const lost = await hello('lost', { token, at: other, kind: 'phone' });
  const { client: laptop } = await hello('laptop', { token });
  await listed(laptop, 2);
  t.match(await command(laptop, { type: 'revokeDevice', device: 'lost' }), { t: 'done' });
  t.equal(await lost.client.closeCode(), 4212);
  for (const at of [gateway, other]) {
    const again = await hello('lost', { token, at });
    t.match(again.answer, { t: 'error', code: 'DEVICE_REVOKED' });
    t.equal(await again.client.closeCode(), 4212);
  }
  t.same(
    (await devicesOf(laptop)).map(({ device }) => device),
    ['laptop'],
  );
  t.equal(laptop.closed, undefined);
  const back = await hello('lost', { token: await tokenFor('bob', { issuedAt: Date.now() + 1 }), at: other });
  t.match(back.answer, { t: 'welcome' }, 'a new login comes in');
  await listed(laptop, 2);
  t.match((await hello('lost', { token })).answer, { code: 'DEVICE_REVOKED' }, 'and the old token still does not');
  laptop.end();
  back.client.end();
});

t.test('of more devices than are kept the least recently used is forgotten, not the one that came first', async (t) => {
  const token = await tokenFor('collector');
  const { client: watcher } = await hello('d0', { token, at: other });
  for (let k = 1; k < MAX_DEVICES; k++) {
    const { client } = await hello(`d${k}`, { token });
    await listed(watcher, k + 1);
    client.end();
  }
  await eventually(
    async () => (await devicesOf(watcher)).filter(({ online }) => online).length === 1,
    'the others are gone',
  );
  const { client: again } = await hello('d1', { token });
  await eventually(async () => (await devicesOf(watcher)).find(({ device }) => device === 'd1')?.online, 'd1 is back');
  const { client: newest } = await hello('new', { token });
  const names = await eventually(async () => {
    const found = (await devicesOf(watcher)).map(({ device }) => device);
    return found.includes('new') && found;
  }, 'one more');
  t.equal(names.length, MAX_DEVICES);
  t.same(
    [names.includes('d0'), names.includes('d1'), names.includes('d2'), names.includes('d3')],
    [true, true, false, true],
  );
  for (const client of [watcher, again, newest]) client.end();
});
