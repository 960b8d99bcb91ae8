/** Notifications: asked for by a setting, shown while nobody looks, one a conversation. */
import type { Page } from 'playwright-core';
import t from 'tap';
import { eventually } from '../support/waiting.ts';
import { addressOf, isConnected, openDirect, pageIn, say, startWeb } from '../support/web.ts';

const web = await startWeb();
t.teardown(() => web.stop());

interface Shown {
  readonly title: string;
  readonly body: string;
  readonly isClosed: boolean;
}

/** A browser without a screen shows none: one that notes them, and whether its leave was asked for. */
function noteNotifications(): void {
  const notes = { shown: [] as object[], asked: 0 };
  class Noted {
    static permission = 'default';
    static async requestPermission(): Promise<string> {
      notes.asked += 1;
      Noted.permission = 'granted';
      return Noted.permission;
    }
    readonly title: string;
    readonly body: string | undefined;
    isClosed = false;
    onclick: (() => void) | null = null;
    constructor(title: string, { body }: { body?: string }) {
      this.title = title;
      this.body = body;
      notes.shown.push(this);
    }
    close(): void {
      this.isClosed = true;
    }
  }
  Object.assign(window, { Notification: Noted, notes });
}

const notesOf = (page: Page): Promise<{ shown: Shown[]; asked: number }> =>
  page.evaluate(() => {
    const { notes } = window as unknown as { notes: { shown: Shown[]; asked: number } };
    const shown = notes.shown.map(({ title, body, isClosed }) => ({ title, body, isClosed }));
    return { shown, asked: notes.asked };
  });

/** As when somebody turns to another window, or back. */
const turn = (page: Page, state: 'visible' | 'hidden'): Promise<void> =>
  page.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);

const shows = (page: Page, expected: readonly Shown[]): Promise<boolean> =>
  eventually(async () => JSON.stringify((await notesOf(page)).shown) === JSON.stringify(expected), 'notifications');

/** Whether somebody looks was asked before this, and is answered: in the order of the questions. */
const looked = (page: Page): Promise<unknown> => page.evaluate(() => navigator.locks.query());

/** A time of the settings as the server has it: the panel is opened anew, and shows what the account says. */
async function setTime(page: Page, label: string, time: string): Promise<void> {
  const field = page.getByLabel(label, { exact: true });
  await field.fill(time);
  await eventually(async () => {
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Settings' }).click();
    return (await field.inputValue()) === time;
  }, `${label} ${time}`);
}

t.test('who wants to be told is, while they look elsewhere, once a conversation', async (t) => {
  const alice = await web.window();
  await alice.context().addInitScript(noteNotifications);
  await alice.goto(addressOf('alice'));
  const bob = await web.person(t, 'bob');
  await openDirect(bob, 'bob', 'alice');
  await isConnected(alice);
  await isConnected(bob);
  await turn(alice, 'hidden');
  await say(bob, 'not wanted');
  await alice.locator('.row', { hasText: 'not wanted' }).waitFor();
  await eventually(async () => (await alice.title()) === '(1) Rookery', 'the title counts');
  t.same(await notesOf(alice), { shown: [], asked: 0 }, 'nobody is asked before they want it');

  await turn(alice, 'visible');
  await alice.getByRole('button', { name: 'Settings' }).click();
  await alice.getByLabel('Notify me while I look elsewhere').check();
  t.equal((await notesOf(alice)).asked, 1);
  await say(bob, 'seen anyway');
  await alice.locator('.row', { hasText: 'seen anyway' }).waitFor();
  await looked(alice);
  await turn(alice, 'hidden');
  await say(bob, 'first');
  await shows(alice, [{ title: 'bob', body: 'first', isClosed: false }]);
  await say(bob, 'second');
  const both = [
    { title: 'bob', body: 'first', isClosed: true },
    { title: 'bob', body: 'second', isClosed: false },
  ];
  await shows(alice, both);

  const other = await pageIn(alice.context());
  await other.goto(addressOf('alice'));
  await isConnected(other);
  await say(bob, 'seen in another tab');
  await alice.locator('.row', { hasText: 'seen in another tab' }).waitFor();
  await looked(alice);
  await turn(other, 'hidden');
  await say(bob, 'third');
  await shows(alice, [
    ...both.map((one) => ({ ...one, isClosed: true })),
    { title: 'bob', body: 'third', isClosed: false },
  ]);
  t.same((await notesOf(other)).shown, [], 'one tab tells for all');

  await alice.evaluate(() => {
    const { notes } = window as unknown as { notes: { shown: { onclick(): void }[] } };
    notes.shown.at(-1)?.onclick();
  });
  await turn(alice, 'visible');
  await alice.locator('.bubble', { hasText: 'third' }).waitFor();
  t.ok((await notesOf(alice)).shown.every(({ isClosed }) => isClosed));
});

t.test('not in the hours in which one does not want to be disturbed, nor of what is muted', async (t) => {
  const carol = await web.window();
  await carol.context().addInitScript(noteNotifications);
  await carol.goto(addressOf('carol'));
  const dave = await web.person(t, 'dave');
  await openDirect(dave, 'dave', 'carol');
  await isConnected(carol);
  await carol.getByRole('button', { name: 'Settings' }).click();
  await carol.getByLabel('Notify me while I look elsewhere').check();
  await carol.getByLabel('No notifications each day').check();
  await setTime(carol, 'from', '00:00');
  await setTime(carol, 'to', '00:00');
  await turn(carol, 'hidden');
  await say(dave, 'quiet');
  await carol.locator('.row', { hasText: 'quiet' }).waitFor();
  await carol.getByLabel('No notifications each day').uncheck();
  await carol.getByLabel('from', { exact: true }).waitFor({ state: 'detached' });
  await say(dave, 'aloud');
  await shows(carol, [{ title: 'dave', body: 'aloud', isClosed: false }]);
  await carol.locator('.row', { hasText: 'aloud' }).hover();
  await carol.getByRole('button', { name: 'More about dave' }).click();
  await carol.getByRole('menuitem', { name: 'Mute' }).click();
  await carol.locator('.row .row-sign').waitFor();
  await say(dave, 'muted');
  await carol.locator('.row', { hasText: 'muted' }).waitFor();
  t.equal((await notesOf(carol)).shown.length, 1);
});
