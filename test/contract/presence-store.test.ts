/** What ports/presence-store.ts promises, on a real nats-server. */
import t, { type Test } from 'tap';
import { JetstreamPresenceStore } from '../../src/adapters/jetstream/between-processes/presence-store.ts';
import type { UserId } from '../../src/domain/ids.ts';
import type { Online, OnlineDevice } from '../../src/domain/online.ts';
import type { PresenceNews } from '../../src/ports/presence-store.ts';
import { codeOf } from '../support/code-of.ts';
import { device, user } from '../support/given.ts';
import { quiet, startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const open = async () => JetstreamPresenceStore.open({ ...(await nats.connect('gateway')), log: quiet });
  return { nats, open };
}

const on = (name: string, about: Partial<OnlineDevice> = {}): OnlineDevice => ({
  ...{ device: device(name), kind: 'phone', agent: 'nest/1.0', session: 's', gateway: 'g', since: 7, seenAt: 0 },
  ...about,
});
const STRANGE = ['alice', '手机 .*>~=', '🪶', '=', '~', 'x'.repeat(128)].map(user);

/** All that was told, in order. */
function listener() {
  const users: { user: UserId; revision: number; online: Online }[] = [];
  const beats: [string, number][] = [];
  const news: PresenceNews = {
    onUser: (user, revision, read) => users.push({ user, revision, online: read() }),
    onBeat: (gateway, at) => beats.push([gateway, at]),
  };
  return { users, beats, news };
}

t.test('an entry is what was written last, for every gateway, whatever is in the id', async (t) => {
  const { open } = await scene(t);
  const [store, other] = [await open(), await open()];
  for (const each of STRANGE) {
    t.same(await store.read(each), { online: [], revision: 0 }, 'nobody knows of them');
    const online = [
      on('手机 .*>'),
      on('laptop', { session: '', gateway: '', seenAt: 1_700_000_000_000, displaced: 's0' }),
    ];
    const revision = await store.write(each, online, 0);
    t.ok(revision, each);
    t.same(await other.read(each), { online, revision });
    const emptied = await other.write(each, [], revision as number);
    t.same(await store.read(each), { online: [], revision: emptied });
  }
});

t.test('who has not seen the newest writes nothing; of many at once one does', async (t) => {
  const { open } = await scene(t);
  const stores = [await open(), await open(), await open()];
  const first = await stores[0]?.write(user('alice'), [on('a')], 0);
  t.equal(await stores[1]?.write(user('alice'), [on('b')], 0), undefined, 'there is an entry');
  t.equal(await stores[1]?.write(user('alice'), [on('b')], (first as number) + 1), undefined, 'nor from the future');
  t.same((await stores[2]?.read(user('alice')))?.online, [on('a')]);
  let revision = first as number;
  for (let round = 0; round < 20; round++) {
    const written = await Promise.all(
      stores.map((store, k) => store.write(user('alice'), [on(`${round} ${k}`)], revision)),
    );
    const [winner, ...more] = written.flatMap((one, k) => (one === undefined ? [] : [{ k, revision: one }]));
    t.same(more, []);
    t.ok(winner && winner.revision > revision, 'it grows');
    revision = (winner as { revision: number }).revision;
    t.same(await stores[0]?.read(user('alice')), { online: [on(`${round} ${winner?.k}`)], revision });
  }
  t.ok(await stores[0]?.write(user('bob'), [on('a')], 0), 'another user is nobody else’s business');
});

t.test('who follows is told of each change from then on, in order, with the revision a read gives', async (t) => {
  const { open } = await scene(t);
  const [store, other] = [await open(), await open()];
  await store.write(user('before'), [on('a')], 0);
  const heard = listener();
  const following = await other.follow(heard.news, (reason) => t.fail(reason));
  const revisions: (number | undefined)[] = [];
  for (const each of STRANGE) {
    const first = await store.write(each, [on('a')], 0);
    revisions.push(first, await store.write(each, [], first as number));
  }
  await store.beat('g1', 1_700_000_000_000);
  await eventually(() => heard.beats.length === 1, 'all is told');
  t.same(
    heard.users,
    STRANGE.flatMap((each, k) => [
      { user: each, revision: revisions[2 * k], online: [on('a')] },
      { user: each, revision: revisions[2 * k + 1], online: [] },
    ]),
  );
  t.same(heard.beats, [['g1', 1_700_000_000_000]]);
  await following.stop();
  await store.write(user('after'), [on('a')], 0);
  const again = listener();
  const later = await store.follow(again.news, (reason) => t.fail(reason));
  await store.beat('g2', 5);
  await eventually(() => again.beats.length === 1, 'the next one is told');
  t.notOk(
    heard.users.some((one) => one.user === 'after'),
    'who has stopped is told nothing',
  );
  await later.stop();
});

t.test('across a restart of the server the last of each entry is told, and what was written is there', async (t) => {
  const { nats, open } = await scene(t);
  const [store, other] = [await open(), await open()];
  const heard = listener();
  const following = await other.follow(heard.news, (reason) => t.fail(reason));
  await store.write(user('alice'), [on('a')], 0);
  await eventually(() => heard.users.length === 1, 'it is told');
  nats.server.signal('SIGKILL');
  await nats.server.respawn();
  // A write that was answered with silence may have been stored: then the next one begins from it.
  const write = async (): Promise<number | undefined> => {
    const { revision } = await store.read(user('alice'));
    return store.write(user('alice'), [on('b')], revision);
  };
  const next = await eventually(() => write().catch(() => undefined), 'it can be written again');
  await eventually(() => heard.users.at(-1)?.revision === next, 'and is told');
  t.same(heard.users.at(-1)?.online, [on('b')]);
  t.same(await store.read(user('alice')), { online: [on('b')], revision: next });
  await following.stop();
});

t.test('of a gateway the newest beat is known, until it was not heard of for long', async (t) => {
  const { open } = await scene(t);
  const store = await open();
  t.equal(await store.lastBeat('g1'), undefined);
  for (const [gateway, at] of [
    ['g1', 10],
    ['g2', 20],
    ['g1', 30],
    ['g3', 40],
  ] as const)
    await store.beat(gateway, at);
  t.equal(await store.lastBeat('g1'), 30);
  const heard = listener();
  const following = await store.follow(heard.news, (reason) => t.fail(reason));
  await store.forgetGateways(30);
  t.same(await Promise.all(['g1', 'g2', 'g3'].map((gateway) => store.lastBeat(gateway))), [30, undefined, 40]);
  await store.beat('g2', 50);
  await eventually(() => heard.beats.length > 0, 'the next beat');
  t.same(heard.beats, [['g2', 50]], 'what is forgotten is no beat');
  await following.stop();
});

t.test('where the store is lost or gone it is said, once, and what is asked has its code', async (t) => {
  const { nats, open } = await scene(t);
  const store = await open();
  const lost: string[] = [];
  const heard = listener();
  await store.follow(heard.news, (reason) => lost.push(reason));
  const operator = await nats.connect('operator');
  await operator.jsm.streams.delete('KV_presence');
  await eventually(() => lost.length > 0, 'it is noticed');
  t.equal(await codeOf(store.read(user('alice'))), 'LOG_UNAVAILABLE');
  t.equal(await codeOf(store.write(user('alice'), [], 0)), 'LOG_UNAVAILABLE');
  t.equal(await codeOf(store.beat('g', 1)), 'LOG_UNAVAILABLE');
  t.equal(await codeOf(open()), 'STREAM_MISSING');
  t.equal(lost.length, 1);
});
