/** The list and the way through it: what is put away, what was said on a day, and what has happened while one was far away. */
import t from 'tap';
import { Flood } from '../support/flood.ts';
import { user } from '../support/given.ts';
import { directWith, friend, type Past, writePast } from '../support/long-past.ts';
import { eventually } from '../support/waiting.ts';
import { addressOf, complaints, isConnected, message, openDirect, pageIn, say, startWeb } from '../support/web.ts';

// Little of an inbox is read for one device: who was away for more asks what has changed.
const web = await startWeb({ limits: { ringMaxEntries: 100, maxColdEntries: 50 } });
t.teardown(() => web.stop());

t.test('a conversation is put away, stays so, and is taken out again', async (t) => {
  const [alice, bob] = [await web.person(t, 'alice'), await web.person(t, 'bob')];
  await openDirect(bob, 'bob', 'alice');
  for (const page of [alice, bob]) await isConnected(page);
  await say(bob, 'for the archive');
  const row = alice.locator('.row', { hasText: 'for the archive' });
  const act = async (action: string): Promise<void> => {
    await row.hover();
    await alice.getByRole('button', { name: 'More about bob' }).click();
    await alice.getByRole('menuitem', { name: action, exact: true }).click();
  };
  const showArchive = async (): Promise<void> => {
    await alice.getByRole('button', { name: 'New conversation' }).click();
    await alice.getByRole('menuitem', { name: 'Archive' }).click();
  };
  await row.waitFor();
  await act('Archive');
  await row.waitFor({ state: 'detached' });
  await alice.reload();
  await isConnected(alice);
  await showArchive();
  await row.waitFor();
  await act('Take out of the archive');
  await alice.getByText('The archive is empty').waitFor();
  await alice.getByRole('button', { name: 'All conversations' }).click();
  await row.waitFor();
  t.equal(await alice.locator('.row').count(), 1);
});

t.test('one goes to what was said first on a day', async (t) => {
  const page = await web.person(t, 'carol');
  const writer = await Flood.of(web.gateway, 'dave');
  const today = await page.evaluate(() => {
    const now = new Date();
    return [now.getFullYear(), now.getMonth() + 1, now.getDate()]
      .map((part) => String(part).padStart(2, '0'))
      .join('-');
  });
  await writer.write(300, 'carol', (n) => `of this day ${n} `);
  writer.end();
  await isConnected(page);
  await page.locator('.row', { hasText: 'of this day 300' }).waitFor();
  await openDirect(page, 'carol', 'dave');
  await page.getByRole('button', { name: 'To the newest message' }).click();
  await message(page, 'of this day 300').waitFor();
  const jump = page.locator('.date-jump input');
  await jump.fill(today);
  await page.locator('.slot-highlighted', { hasText: 'of this day 1 ' }).waitFor();
  await jump.fill('2199-01-01');
  await page.locator('.slot-highlighted', { hasText: 'of this day 300 ' }).waitFor();
  t.equal(await message(page, 'of this day 1 ').count(), 0, 'where nothing was said yet, the newest');
});

t.test(
  'who was far away is told how far, then has the list as it is, and what was said in what they open',
  async (t) => {
    const past: Past = { to: user('erin'), conversations: 150, friends: 'friend', messages: 6_000 };
    const seen = directWith(past, 7);
    const first = await web.person(t, 'erin');
    const writer = await Flood.of(web.gateway, friend(past, 7));
    await writer.write(3, 'erin', (n) => `seen before ${n} `);
    await first.goto(addressOf('erin', seen));
    await message(first, 'seen before 3').waitFor();
    await eventually(async () => (await first.locator('.badge').count()) === 0, 'read');
    const page = await pageIn(first.context());
    complaints(t, page);
    await first.close();

    const { nc } = await web.gateways.nats.connect('operator');
    await writePast(nc, past);
    await page.addInitScript(() => {
      const behind: string[] = [];
      Object.assign(window, { behind });
      new MutationObserver(() => {
        const words = document.querySelector('.status')?.textContent ?? '';
        if (words.includes('behind') && behind.at(-1) !== words) behind.push(words);
      }).observe(document, { subtree: true, childList: true, characterData: true });
    });
    await page.goto(addressOf('erin'));
    await isConnected(page);
    const told = await page.evaluate(() => (window as unknown as { behind: string[] }).behind);
    // Without a cursor kept (the first page was closed soon) it is a device with nothing: of its list a page of 100 is told at first.
    t.ok(
      told.some((words) => /^Catching up: (150|100) conversations behind$/.test(words)),
      JSON.stringify(told),
    );
    await eventually(async () => (await page.title()) === `(${past.messages}) Rookery`, 'all of it is counted');
    await page.goto(addressOf('erin', seen));
    await message(page, 'seen before 3').waitFor();
    await page.getByRole('button', { name: 'To the newest message' }).click();
    await message(page, `message ${past.messages - past.conversations + 7} of a long past`).waitFor();
    await writer.write(1, 'erin', () => 'and on ');
    writer.end();
    await message(page, 'and on').waitFor();
  },
);
