/** What a newcomer does first: two windows, two people, a message. */
import t from 'tap';
import { eventually } from '../support/waiting.ts';
import {
  addressOf,
  complaints,
  composer,
  isConnected,
  message,
  openDirect,
  say,
  startWeb,
  texts,
} from '../support/web.ts';

const web = await startWeb();
t.teardown(() => web.stop());

t.test('two windows, two people of the demo: a message crosses, is seen as read, and is answered', async (t) => {
  const [alice, bob] = [await web.window(), await web.window()];
  for (const [page, name] of [
    [alice, 'Alice'],
    [bob, 'Bob'],
  ] as const) {
    complaints(t, page);
    await page.goto('/');
    await page.getByRole('button', { name }).click();
    await isConnected(page);
  }
  await alice.getByRole('button', { name: 'New conversation' }).click();
  await alice.getByRole('menuitem', { name: 'Write to' }).click();
  await alice.getByRole('textbox', { name: 'Write to' }).fill('bob');
  await alice.getByRole('button', { name: 'Enter' }).click();
  await say(alice, 'hello **bob** 你好 🪺');
  await message(alice, '你好').getByText('Delivered', { exact: true }).waitFor({ state: 'attached' });
  await bob.locator('.row', { hasText: 'hello **bob** 你好 🪺' }).locator('.row-link').click();
  await message(bob, '你好').waitFor();
  await message(alice, '你好').getByText('Read', { exact: true }).waitFor({ state: 'attached' });
  await say(bob, 'hello yourself');
  await message(alice, 'hello yourself').waitFor();
  t.same(await texts(alice), ['hello **bob** 你好 🪺', 'hello yourself']);
  t.same(await texts(bob), await texts(alice));
});

t.test('a short demo conversation by one click, once however often', async (t) => {
  const page = await web.window();
  complaints(t, page);
  for (let i = 0; i < 2; i++) {
    await page.goto('/');
    await page.reload();
    await page.getByRole('button', { name: 'Make a demo conversation' }).click();
    await page.getByText('It is there').waitFor();
  }
  await page.goto(addressOf('dora'));
  await page.locator('.row', { hasText: 'Nest box crew' }).locator('.row-link').click();
  await message(page, 'Morning all').waitFor();
  await eventually(async () => (await texts(page)).length === 7, 'all seven, none twice');
});

t.test('a reload shows what was seen and typed, before there is a connection', async (t) => {
  const carol = await web.person(t, 'carol');
  await openDirect(carol, 'carol', 'alice');
  await say(carol, 'remember this');
  await message(carol, 'remember this')
    .getByText(/^(Sent|Delivered|Read)$/)
    .waitFor({ state: 'attached' });
  await composer(carol).fill('half a thou');
  await carol.route('**/v1/dev/token', (route) => route.abort());
  await carol.reload();
  await message(carol, 'remember this').waitFor();
  t.equal(await composer(carol).inputValue(), 'half a thou');
  await carol.getByText('Offline.').waitFor();
});

t.test('what is written without a connection goes out in order, once', async (t) => {
  const [dave, erin] = [await web.person(t, 'dave'), await web.person(t, 'erin')];
  await openDirect(dave, 'dave', 'erin');
  await openDirect(erin, 'erin', 'dave');
  await isConnected(dave);
  await isConnected(erin);
  await dave.context().setOffline(true);
  await dave.route('**/v1/dev/token', (route) => route.abort());
  for (const text of ['one', 'two', 'three']) await say(dave, text);
  t.same(await texts(dave), ['one', 'two', 'three']);
  await dave.unroute('**/v1/dev/token');
  await dave.context().setOffline(false);
  await message(erin, 'three').waitFor();
  t.same(await texts(erin), ['one', 'two', 'three']);
  await eventually(
    async () => (await dave.locator('.state').allInnerTexts()).every((state) => state === 'Read'),
    'read',
  );
});

t.test('who has sent something can scroll up, and stays there when somebody else writes', async (t) => {
  const [fay, gus] = [await web.person(t, 'fay'), await web.person(t, 'gus')];
  await openDirect(fay, 'fay', 'gus');
  await openDirect(gus, 'gus', 'fay');
  const long = Array.from({ length: 200 }, (_, i) => `line ${i}`).join('\n');
  await say(fay, long);
  await say(fay, 'after it');
  await message(fay, 'after it').getByText('Read', { exact: true }).waitFor({ state: 'attached' });
  const timeline = fay.locator('.timeline');
  const top = (): Promise<number> => timeline.evaluate((element) => element.scrollTop);
  const end = await top();
  t.ok(end > 2_000, `there is room above: ${end} px`);
  await timeline.hover();
  await fay.mouse.wheel(0, -2_000);
  await eventually(async () => (await top()) < end - 1_500, 'it is scrolled up');
  await eventually(async () => (await fay.locator('.to-end').count()) > 0, 'the way back is offered');
  const up = await top();
  await say(gus, 'meanwhile');
  await fay.locator('.row', { hasText: 'meanwhile' }).waitFor();
  await fay.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  t.ok(Math.abs((await top()) - up) < 100, `stays: ${up} px, then ${await top()} px`);
  await say(fay, 'and back');
  await eventually(async () => (await top()) > end - 100, 'what one sends oneself is looked at');
});
