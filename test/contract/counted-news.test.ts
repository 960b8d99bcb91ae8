/** What ports/counted-news.ts promises, on a real nats-server with the rights of production. */
import t from 'tap';
import { JetstreamCountedNews } from '../../src/adapters/jetstream/between-processes/counted-news.ts';
import type { Counted } from '../../src/ports/counted-news.ts';
import { packr } from '../../src/protocol/messagepack.ts';
import { COUNTED_SUBJECT } from '../../src/protocol/subjects.ts';
import { user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const ALL: readonly Counted[] = [
  { type: 'guess', user: user('陈 晨.*>'), address: '2001:db8::1' },
  { type: 'contactRequest', user: user('🪶') },
  { type: 'guess', user: user('alice'), address: '' },
  { type: 'loggedIn', user: user('alice'), address: '::1' },
];

t.test('what a gateway announces the others hear and not itself; what is not understood is nothing', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const connections = await Promise.all([nats.connect('gateway'), nats.connect('gateway')]);
  const heard: [Counted[], Counted[], Counted[]] = [[], [], []];
  const [one, other] = connections.map(({ nc }, k) => new JetstreamCountedNews(nc, `gateway ${k}`));
  one?.onAnnounced((counted) => heard[0].push(counted));
  other?.onAnnounced((counted) => heard[1].push(counted));
  other?.onAnnounced((counted) => heard[2].push(counted));
  for (const { nc } of connections) await nc.flush();
  const strange = [['x', 'guess', 'alice', 7], ['x', 'later', 'alice'], ['x', 'guess', '', 'a'], 'text', null];
  for (const data of strange) connections[0]?.nc.publish(COUNTED_SUBJECT, packr.pack(data));
  connections[0]?.nc.publish(COUNTED_SUBJECT, Buffer.from([0xc1]));
  for (const counted of ALL) one?.announce(counted);
  await eventually(() => heard[2].length === ALL.length, 'all are heard');
  t.same(heard, [[], ALL, ALL]);
  await connections[0]?.nc.close();
  t.doesNotThrow(() => one?.announce(ALL[0] as Counted), 'without a connection nothing');
});
