/** Who is online, over two real gateways: asked, watched, hidden; devices of a kind; a gateway that is killed, a store that restarts. */
import { join } from 'node:path';
import t from 'tap';
import { JUST_BEGUN_MS } from '../../src/application/gateway/online-sessions.ts';
import { API_KEY, RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { startProcess } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, more, nats, stop } = await startTestGateway({ devices: { maxOnline: { phone: 1, desktop: 2 } } });
t.teardown(stop);
const other = await more();

type Seen = { user: string; online: boolean; lastSeen?: number };
type Place = Pick<typeof gateway, 'address'>;

async function hello(user: string, device: string, kind = 'other', at: Place = gateway): Promise<RawClient> {
  const client = await RawClient.open(at as typeof gateway);
  const welcome = await client.ask({ t: 'hello', token: await tokenFor(user), device, resume: 'latest', kind });
  if (welcome.t !== 'welcome') throw new Error(JSON.stringify(welcome));
  return client;
}

const presenceIn = ({ result }: Record<string, unknown>): Seen[] => (result as { presence: Seen[] }).presence;
const ask = async (client: RawClient, ...users: string[]): Promise<Seen[]> =>
  presenceIn(await client.ask({ t: 'query', query: { type: 'presence', users } }));
const told = (client: RawClient, user: string): Seen | undefined =>
  client.frames
    .filter(({ t: type }) => type === 'presence')
    .flatMap(({ presence }) => presence as Seen[])
    .filter((seen) => seen.user === user)
    .at(-1);
let ids = 0;
const command = (client: RawClient, command: object) => client.ask({ t: 'command', clientMsgId: `c${++ids}`, command });

t.test(
  'who comes and goes is told to who watches, at another gateway; who was never there is not online',
  async (t) => {
    const alice = await hello('alice', 'a');
    const answer = presenceIn(await alice.ask({ t: 'watch', users: ['bob', 'nobody', 'alice'] }));
    t.same(answer.slice(0, 2), [
      { user: 'bob', online: false },
      { user: 'nobody', online: false },
    ]);
    const bob = await hello('bob', 'b', 'phone', other);
    await eventually(() => told(alice, 'bob')?.online === true, 'bob is online');
    const leftAt = Date.now();
    bob.end();
    await eventually(() => told(alice, 'bob')?.online === false, 'bob has gone');
    t.ok(Math.abs((told(alice, 'bob')?.lastSeen ?? 0) - leftAt) < 3_000, 'last seen when he went');
    t.match(await ask(alice, 'bob'), [{ user: 'bob', online: false, lastSeen: told(alice, 'bob')?.lastSeen }]);
    t.match(await alice.ask({ t: 'watch', users: Array(257).fill('x') }), { code: 'BAD_REQUEST' });
    alice.end();
  },
);

t.test('whom one has blocked learns nothing, nor who is no contact where one wants it so', async (t) => {
  const [carol, dave] = await Promise.all([hello('carol', 'c'), hello('dave', 'd', 'other', other)]);
  await eventually(async () => (await ask(dave, 'carol'))[0]?.online, 'carol is online');
  await dave.ask({ t: 'watch', users: ['carol'] });
  t.match(await command(carol, { type: 'blockUser', user: 'dave' }), { t: 'done' });
  await eventually(() => told(dave, 'carol')?.online === false, 'dave sees her no more');
  t.same(told(dave, 'carol'), { user: 'carol', online: false }, 'and not that she was there');
  t.same(await ask(dave, 'carol', 'nobody'), [
    { user: 'carol', online: false },
    { user: 'nobody', online: false },
  ]);
  t.match(await command(carol, { type: 'unblockUser', user: 'dave' }), { t: 'done' });
  await eventually(() => told(dave, 'carol')?.online === true, 'he sees her again');
  await command(carol, { type: 'changeSettings', settings: { lastSeenFor: 'contacts' } });
  await eventually(() => told(dave, 'carol')?.online === false, 'he is no contact');
  await command(dave, { type: 'requestContact', user: 'carol' });
  await command(carol, { type: 'requestContact', user: 'dave' });
  await eventually(() => told(dave, 'carol')?.online === true, 'now he is');
  await command(carol, { type: 'changeSettings', settings: { lastSeenFor: 'nobody' } });
  await eventually(() => told(dave, 'carol')?.online === false, 'nobody sees her');
  for (const client of [carol, dave]) client.end();
});

t.test('of a kind the newest stay, however they race at two gateways', async (t) => {
  for (let round = 0; round < 5; round++) {
    const user = `erin-${round}`;
    const phones = await Promise.all(
      Array.from({ length: 6 }, (_, k) => hello(user, `p${k}`, 'phone', k % 2 === 0 ? gateway : other)),
    );
    const laptop = await hello(user, 'laptop', 'desktop');
    await eventually(() => phones.filter(({ closed }) => closed).length === 5, 'all but one have gone');
    t.same([...new Set(phones.flatMap(({ closed }) => (closed ? [closed.code] : [])))], [4203]);
    const stays = phones.find(({ closed }) => !closed) as RawClient;
    await eventually(async () => {
      const { result } = await stays.ask({ t: 'query', query: { type: 'devices' } });
      const { devices } = result as { devices: { device: string; online: boolean; since?: number }[] };
      return devices.length === 7 && devices.filter(({ online }) => online).length === 2;
    }, 'the list says so');
    t.equal(stays.closed, undefined);
    const last = await hello(user, 'last', 'phone', other);
    t.equal(await stays.closeCode(), 4203, 'the newest wins');
    t.equal(last.closed ?? laptop.closed, undefined);
    last.end();
    laptop.end();
  }
});

t.test(
  'of two connections made while nothing could be written one is to connect again, and is the newest by that',
  async (t) => {
    const places = [gateway, other];
    for (const place of places) (await hello('ivy', 'known here', 'other', place)).end();
    const { pid } = nats.server;
    process.kill(pid as number, 'SIGSTOP');
    t.teardown(() => process.kill(pid as number, 'SIGCONT'));
    const both = await Promise.all(places.map((place) => hello('ivy', 'd', 'phone', place)));
    await new Promise((resolve) => setTimeout(resolve, JUST_BEGUN_MS));
    process.kill(pid as number, 'SIGCONT');
    await eventually(() => both.some(({ closed }) => closed), 'nobody knows which is newer');
    const doubted = both.findIndex(({ closed }) => closed);
    const [again, stands] = [both[doubted] as RawClient, both[1 - doubted] as RawClient];
    t.equal(again.closed?.code, 4007);
    t.equal(stands.closed, undefined);
    const last = await hello('ivy', 'd', 'phone', places[doubted]);
    t.equal(await stands.closeCode(), 4200, 'now it is known');
    t.equal(last.closed, undefined);
    last.end();
  },
);

t.test('the users of a gateway that is killed go offline; a restart of nats-server moves nobody', async (t) => {
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  const auth = { secretFile: join(nats.dataDir, 'jwt-secret'), apiKeys: [API_KEY] };
  const victim = startProcess('gateway', { nats: access, port: 0, auth }, nats.dataDir);
  t.teardown(() => victim.child.kill('SIGKILL'));
  const { address } = (await victim.said('gateway started')) as { address: string };
  const frank = await hello('frank', 'f', 'phone', { address });
  const grace = await hello('grace', 'g', 'other', other);
  const watcher = await hello('heidi', 'h');
  await watcher.ask({ t: 'watch', users: ['frank', 'grace'] });
  await eventually(async () => (await ask(watcher, 'frank', 'grace')).every(({ online }) => online), 'both are online');
  const before = watcher.frames.length;
  nats.server.kill();
  await nats.server.respawn();
  await eventually(async () => (await ask(watcher, 'frank').catch(() => []))[0]?.online, 'the store is back');
  t.equal(
    watcher.frames.slice(before).some((frame) => frame.t === 'presence' && JSON.stringify(frame).includes('false')),
    false,
    'nobody was taken for gone',
  );
  const killedAt = Date.now();
  victim.child.kill('SIGKILL');
  await eventually(() => told(watcher, 'frank')?.online === false, 'frank has gone with his gateway', 15_000);
  t.ok(Math.abs((told(watcher, 'frank')?.lastSeen ?? 0) - killedAt) < 5_000, 'last seen about then');
  t.equal((await ask(watcher, 'grace'))[0]?.online, true);
  for (const client of [frank, grace, watcher]) client.end();
});
