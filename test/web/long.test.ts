/** A conversation of a hundred thousand messages: only what is seen is drawn, and any place of it can be reached. */
import t from 'tap';
import { Flood } from '../support/flood.ts';
import { eventually } from '../support/waiting.ts';
import { isConnected, message, openDirect, startWeb } from '../support/web.ts';

const COUNT = 100_000;
/** Far more than a screen shows. */
const MAX_DRAWN = 100;

// All is written at once: the workers come after.
const web = await startWeb({ limits: { maxLaneBacklog: 2 * COUNT } });
t.teardown(() => web.stop());

t.test(
  'a hundred thousand messages: the end at once, the beginning, the middle, and back',
  { timeout: 300_000 },
  async (t) => {
    const writer = await Flood.of(web.gateway, 'writer');
    await writer.write(COUNT, 'reader', (n) => `message number ${n}${n % 7 === 0 ? '\nwith a second line' : ''}`);
    writer.end();
    const page = await web.person(t, 'reader');
    await isConnected(page);
    await page.locator('.row', { hasText: String(COUNT) }).waitFor({ timeout: 120_000 });
    await openDirect(page, 'reader', 'writer');
    const timeline = page.locator('.timeline');
    const drawn = (): Promise<number> => page.locator('.slot').count();
    // Nothing is read yet: it opens where the reader left off.
    await message(page, 'message number 1\n').or(message(page, 'message number 2')).first().waitFor();
    await page.getByRole('button', { name: 'To the newest message' }).click();
    await message(page, `message number ${COUNT}`).waitFor();
    t.ok((await drawn()) < MAX_DRAWN, `${await drawn()} drawn`);

    await timeline.evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
    await eventually(async () => {
      const [text = ''] = await page.locator('.bubble .text').allInnerTexts();
      const n = Number(/number (\d+)/.exec(text)?.[1]);
      return n > COUNT * 0.4 && n < COUNT * 0.6;
    }, 'the middle');
    t.ok((await drawn()) < MAX_DRAWN, `${await drawn()} drawn`);

    const numbers = async (): Promise<number[]> =>
      (await page.locator('.bubble .text').allInnerTexts()).map((text) => Number(/number (\d+)/.exec(text)?.[1]));
    for (let i = 0; i < 20; i++) await page.mouse.wheel(0, -400);
    await eventually(async () => {
      const seen = await numbers();
      return seen.length > 10 && seen.every((n, i) => i === 0 || n === (seen[i - 1] as number) + 1);
    }, 'each in its place, none twice and none missing');

    await timeline.evaluate((element) => element.scrollTo(0, 0));
    await eventually(async () => (await numbers())[0] === 1, 'the beginning');
    await page.getByRole('button', { name: 'To the newest message' }).click();
    await message(page, `message number ${COUNT}`).waitFor();
  },
);
