/** Who is online, and which devices there are: the real SDK on two gateways, on a real log. */
import t, { type Test } from 'tap';
import type { Gateway } from '../../src/processes/gateway.ts';
import { type ClientOptions, createClient, type SeenUser } from '../../src/sdk/index.ts';
import { refusalOf } from '../support/code-of.ts';
import { startTestGateway, tokenFor } from '../support/gateway.ts';
import { SdkDevice } from '../support/sdk-devices.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, more, stop } = await startTestGateway({ devices: { maxOnline: { phone: 1 } } });
t.teardown(stop);
const other = await more();

async function device(t: Test, at: Gateway, user: string, options: Partial<ClientOptions> = {}): Promise<SdkDevice> {
  const url = `${at.address.replace('http', 'ws')}/v1/ws`;
  const token = await tokenFor(user, { issuedAt: Date.now() - 5_000 });
  const device = new SdkDevice(await createClient({ url, token, device: 'd', ...options }));
  device.client.start();
  t.teardown(() => device.client.close());
  await eventually(() => device.client.status.phase === 'live', `${user} is live`);
  return device;
}

t.test('devices are listed with what they say of themselves, renamed, and a revoked one stops', async (t) => {
  const { client: laptop } = await device(t, gateway, 'alice', { device: 'laptop', deviceKind: 'desktop' });
  const about = { device: 'phone', deviceKind: 'phone', deviceName: 'Pixel', agent: 'nest/1.0' } as const;
  const { client: phone } = await device(t, other, 'alice', about);
  const listed = await eventually(async () => {
    const devices = await laptop.devices();
    return devices.length === 2 && devices.every(({ online }) => online) && devices;
  }, 'both are listed');
  t.match(listed, [
    { device: 'laptop', kind: 'desktop', name: '' },
    { device: 'phone', kind: 'phone', name: 'Pixel', agent: 'nest/1.0' },
  ]);
  await phone.renameDevice('laptop', 'Desk').durable;
  await eventually(async () => (await laptop.devices())[0]?.name === 'Desk', 'the other gateway knows it');
  t.equal(await refusalOf(() => laptop.revokeDevice('none').durable), 'DEVICE_UNKNOWN');

  await laptop.revokeDevice('phone').durable;
  await eventually(() => phone.status.phase === 'stopped', 'the phone stops');
  t.match(phone.status, { closeCode: 4212, reason: /revoked/ });
  await t.rejects(phone.devices(), { code: 'CLIENT_CLOSED', message: /4212/ } as never);
  t.same(
    (await laptop.devices()).map(({ device }) => device),
    ['laptop'],
  );
  t.equal(laptop.status.phase, 'live');
});

t.test('of a kind that is bounded the older one stops, and says why', async (t) => {
  const { client: old } = await device(t, gateway, 'erin', { device: 'old', deviceKind: 'phone' });
  const { client: young } = await device(t, other, 'erin', { device: 'young', deviceKind: 'phone' });
  await eventually(() => old.status.phase === 'stopped', 'the older one stops');
  t.match(old.status, { closeCode: 4203, reason: /another device of its kind/ });
  t.equal(young.status.phase, 'live');
});

t.test('who comes and goes at another gateway is told, also after a reconnect', async (t) => {
  const { client: carol } = await device(t, gateway, 'carol');
  const told: SeenUser[] = [];
  carol.on('presence', (seen) => void told.push(...seen));
  const lastOf = (user: string): SeenUser | undefined => told.findLast((seen) => seen.user === user);
  t.equal(await refusalOf(() => carol.watch(Array.from({ length: 257 }, (_, i) => `u${i}`))), 'BAD_REQUEST');
  t.same(await carol.watch(['bob', 'dave', 'bob']), [
    { user: 'bob', online: false },
    { user: 'dave', online: false },
  ]);
  const bob = await device(t, other, 'bob');
  await eventually(() => lastOf('bob')?.online === true, 'bob is online');
  t.match(await carol.presence(['bob', 'dave']), [{ online: true }, { online: false }]);
  const leftAt = Date.now();
  await bob.client.close();
  await eventually(() => lastOf('bob')?.online === false, 'bob has gone');
  t.ok(Math.abs((lastOf('bob')?.lastSeen ?? 0) - leftAt) < 5_000, 'last seen when he went');

  told.length = 0;
  const port = Number(new URL(gateway.address).port);
  await gateway.drain();
  await eventually(() => carol.status.phase !== 'live', 'carol is cut off');
  await more({}, port);
  await eventually(() => lastOf('dave'), 'all are told of anew', 30_000);
  t.match([lastOf('bob')?.online, lastOf('dave')?.online], [false, false]);
  await device(t, other, 'dave');
  await eventually(() => lastOf('dave')?.online === true, 'the set is watched again');

  await carol.watch([]);
  told.length = 0;
  await device(t, other, 'bob');
  await eventually(async () => (await carol.presence(['bob']))[0]?.online, 'bob is back');
  t.same(told, [], 'of nobody');
});
