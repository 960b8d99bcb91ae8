/** What may happen to a client: its gateway is killed, its connection is lost, it is reloaded, it has several tabs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { freePort } from '../support/nats.ts';
import { startProcess } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';
import { addressOf, composer, isConnected, message, openDirect, pageIn, say, startWeb, texts } from '../support/web.ts';

const web = await startWeb();
t.teardown(() => web.stop());

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `message ${from + i}`);

/** Two who have their conversation open. */
async function pair(t: Parameters<typeof web.person>[0], me: string, peer: string, baseURL?: string) {
  const options = baseURL === undefined ? {} : { baseURL };
  const [one, other] = [await web.person(t, me, options), await web.person(t, peer, options)];
  await openDirect(one, me, peer);
  await openDirect(other, peer, me);
  await Promise.all([isConnected(one), isConnected(other)]);
  return [one, other] as const;
}

const shows = (page: Page, expected: readonly string[]): Promise<boolean> =>
  eventually(async () => JSON.stringify(await texts(page)) === JSON.stringify(expected), `${expected.length} messages`);

t.test('a gateway killed while people write: nothing is lost or doubled, in one order', async (t) => {
  const { nats } = web.gateways;
  const port = await freePort();
  const secretFile = join(nats.dataDir, 'kill-secret');
  writeFileSync(secretFile, 'a secret of at least thirty-two bytes');
  const configuration = {
    nats: { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile },
    ...{ topology: nats.topology, port, auth: { secretFile, devTokens: true } },
  };
  const start = async () => {
    const gateway = startProcess('gateway', configuration, nats.dataDir);
    await gateway.said('gateway started');
    return gateway;
  };
  let gateway = await start();
  t.teardown(() => gateway.child.kill('SIGKILL'));
  const [alice, bob] = await pair(t, 'kill-a', 'kill-b', `http://127.0.0.1:${port}`);
  for (const text of numbered(1, 5)) await say(alice, text);
  gateway.child.kill('SIGKILL');
  await gateway.ended;
  for (const text of numbered(6, 10)) await say(alice, text);
  await alice.getByText('Offline.').waitFor();
  gateway = await start();
  await shows(bob, numbered(1, 10));
  await shows(alice, numbered(1, 10));
  await isConnected(alice);
  await say(bob, 'all there');
  await message(alice, 'all there').waitFor();
});

t.test('what is written without a connection outlives a reload, and goes out in order, once', async (t) => {
  const [dave, erin] = await pair(t, 'dave', 'erin');
  // The page is let go of, and no other connection is let in.
  await dave.routeWebSocket('**/v1/ws', (socket) => socket.close());
  await dave.reload();
  await dave.getByText('Offline.').waitFor();
  for (const text of numbered(1, 3)) await say(dave, text);
  await composer(dave).fill('and a draft');
  await dave.reload();
  await shows(dave, numbered(1, 3));
  t.equal(await composer(dave).inputValue(), 'and a draft');
  t.same(await dave.locator('.state').allInnerTexts(), Array(3).fill('Waiting to be sent'));
  const next = await pageIn(dave.context());
  await dave.close();
  await next.goto(addressOf('dave', 'direct:dave:erin'));
  await shows(erin, numbered(1, 3));
  await shows(next, numbered(1, 3));
  await eventually(
    async () => (await next.locator('.state').allInnerTexts()).every((state) => state === 'Read'),
    'all are read',
  );
});

t.test('opened once, it opens without a connection, and shows what was seen', async (t) => {
  const [jan, kim] = await pair(t, 'jan', 'kim');
  await say(kim, 'seen before');
  await message(jan, 'seen before').waitFor();
  await jan.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  await eventually(() => jan.evaluate(async () => (await caches.match('/')) !== undefined), 'the page is kept');
  await jan.context().setOffline(true);
  await jan.reload();
  await message(jan, 'seen before').waitFor();
  await jan.getByText('Offline.').waitFor();
});

t.test('two tabs of one person share one connection; when the first is closed the other goes on', async (t) => {
  const [first, other] = await pair(t, 'fay', 'gus');
  const second = await pageIn(first.context());
  await second.goto(addressOf('fay', 'direct:fay:gus'));
  await isConnected(second);
  await second.getByRole('button', { name: 'Inspect' }).click();
  await second.getByText('Another tab holds the connection').waitFor();
  await say(second, 'from the second tab');
  await message(first, 'from the second tab').waitFor();
  await message(other, 'from the second tab').waitFor();
  await first.close();
  await second.getByText('This tab holds the connection').waitFor();
  await say(second, 'and on');
  await message(other, 'and on').waitFor();
  t.same(await texts(other), ['from the second tab', 'and on']);
  t.same(await texts(second), await texts(other));
});

t.test(
  'what is refused says why and what can be done, and is one message however often it is sent again',
  async (t) => {
    const [hal, ida] = await pair(t, 'hal', 'ida');
    const second = await pageIn(hal.context());
    await second.goto(addressOf('hal', 'direct:hal:ida'));
    await isConnected(second);
    await ida.getByRole('button', { name: 'About this conversation' }).last().click();
    await ida.getByRole('button', { name: 'Block', exact: true }).click();
    await ida.getByRole('button', { name: 'Contacts', exact: true }).click();
    await ida.getByText('Blocked', { exact: true }).waitFor();
    await say(hal, 'are you there?');
    for (const tab of [hal, second]) await tab.getByText('They do not take messages from you.').waitFor();
    await ida.getByRole('button', { name: 'Unblock' }).click();
    await ida.getByText('Blocked', { exact: true }).waitFor({ state: 'detached' });
    const presses = [hal, second].map((tab) =>
      tab.getByRole('button', { name: 'Send again' }).click({ clickCount: 2, timeout: 2_000 }),
    );
    // The slower tab may find that there is nothing to press any more.
    await Promise.allSettled(presses);
    await message(ida, 'are you there?').waitFor();
    await say(hal, 'good');
    await message(ida, 'good').waitFor();
    for (const page of [ida, hal, second]) await shows(page, ['are you there?', 'good']);
  },
);
