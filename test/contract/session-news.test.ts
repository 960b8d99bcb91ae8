/** What `SessionNews` promises, on a real nats-server. */
import t from 'tap';
import { JetstreamSessionNews } from '../../src/adapters/jetstream/session-news.ts';
import type { SessionOpened } from '../../src/ports/session-news.ts';
import { device, user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

t.test('what one gateway announces every gateway hears, whatever is in the ids', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const [one, two] = await Promise.all([nats.connect('gateway'), nats.connect('gateway')]);
  const heard: [SessionOpened[], SessionOpened[]] = [[], []];
  const news = [one, two].map(({ nc }, i) => {
    const gateway = new JetstreamSessionNews(nc);
    gateway.onAnnounced((opened) => heard[i as 0 | 1].push(opened));
    return gateway;
  });
  await Promise.all([one.nc.flush(), two.nc.flush()]);
  const opened = ['alice', '陈 晨.*>', '🪶'].map((name, i) => ({
    user: user(name),
    device: device(`${name} phone`),
    session: `s-${i}`,
    openedAt: 1_700_000_000_000 + i,
  }));
  for (const one of opened) news[0]?.announce(one);
  await eventually(() => heard.every((list) => list.length === 3), 'three announcements with both');
  t.same(heard, [opened, opened]);
});

t.test('a closed connection swallows the news: they cost a session, no more', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { nc } = await nats.connect('gateway');
  const news = new JetstreamSessionNews(nc);
  await nc.close();
  t.doesNotThrow(() => news.announce({ user: user('a'), device: device('d'), session: 's', openedAt: 1 }));
});
