/**
 * Every screen in both themes and both languages, narrow and wide: no serious finding of axe-core, and a picture of it in
 * `screenshots/`, to be looked at.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { eventually } from '../support/waiting.ts';
import { addressOf, composer, message, say, startWeb } from '../support/web.ts';

const PICTURES = join(import.meta.dirname, '..', '..', 'screenshots');
const WIDE = { width: 1360, height: 860 };
const NARROW = { width: 390, height: 780 };
const SERIOUS = ['serious', 'critical'];

mkdirSync(PICTURES, { recursive: true });
const web = await startWeb({ login: { enabled: true } });
t.teardown(() => web.stop());

async function check(t: Test, page: Page, name: string): Promise<void> {
  // Movements end: half faded in, nothing has its contrast.
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => undefined))));
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
    }),
  );
  const found = violations
    .filter(({ impact }) => SERIOUS.includes(impact ?? ''))
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join('\n')}`,
    );
  t.same(found, [], name);
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

const NAMES = { contacts: 0, inspect: 1, settings: 2 } as const;

async function tour(t: Test, theme: 'light' | 'dark', locale: 'en-GB' | 'zh-CN', size: typeof WIDE): Promise<void> {
  const suffix = `${theme}-${locale.slice(0, 2)}${size === NARROW ? '-narrow' : ''}`;
  const page = await web.person(t, 'alice', { colorScheme: theme, locale, viewport: size, reducedMotion: 'reduce' });
  await page.locator('.row', { hasText: 'Nest box crew' }).waitFor();
  await page.locator('.status-live').waitFor();
  await check(t, page, `list-${suffix}`);
  for (const [name, index] of Object.entries(NAMES)) {
    await page.locator('.tool').nth(index).click();
    await page.locator('.panel').waitFor();
    await check(t, page, `${name}-${suffix}`);
    if (name === 'settings') {
      await page.locator('.panel .card').last().scrollIntoViewIfNeeded();
      await check(t, page, `devices-${suffix}`);
    }
    await page.keyboard.press('Escape');
  }
  await page.locator('.sidebar .bar .icon-button').click();
  await page.locator('.menu [role=menuitem]').nth(1).click();
  await check(t, page, `new-group-${suffix}`);
  await page.keyboard.press('Escape');
  await page.locator('.row', { hasText: 'Nest box crew' }).locator('.row-link').click();
  await message(page, 'Morning all').waitFor();
  await page.locator('.state').first().waitFor();
  await check(t, page, `conversation-${suffix}`);
  await page.locator('.conversation .bar-who').click();
  await page.locator('.panel .cards .card').first().waitFor();
  await check(t, page, `group-${suffix}`);
  await page.keyboard.press('Escape');
  if (size === WIDE) await direct(t, page, suffix);
  await page.locator('.conversation > .bar .icon-button').nth(2).click();
  await page.locator('.search-field').fill(locale === 'zh-CN' ? '周六' : 'saturday');
  await page.locator('.hit').first().waitFor();
  await check(t, page, `search-${suffix}`);
  await page.keyboard.press('Escape');
  await page.locator('.message-mine').first().hover();
  await page.locator('.message-mine .message-menu').first().click();
  const { x = -1, width = 0 } = (await page.locator('.menu').boundingBox()) ?? {};
  t.ok(x >= 0 && x + width <= size.width, `the menu is in sight: ${x} to ${x + width}`);
  await check(t, page, `actions-${suffix}`);
  await page.keyboard.press('Escape');
  await page.locator('.composer .icon-button').first().click();
  await check(t, page, `emoji-${suffix}`);
  await page.context().close();
}

/** A conversation of two, with the other of them there; then back to the group. */
async function direct(t: Test, page: Page, suffix: string): Promise<void> {
  const bob = await web.person(t, 'bob');
  await page.locator('.row', { hasText: 'Bob Keller' }).locator('.row-link').click();
  await page.locator('.bar-online').waitFor();
  await page.locator('.conversation .bar-who').click();
  await page.locator('.panel .who').waitFor();
  await check(t, page, `direct-${suffix}`);
  await page.keyboard.press('Escape');
  await page.locator('.row', { hasText: 'Nest box crew' }).locator('.row-link').click();
  await message(page, 'Morning all').waitFor();
  await bob.context().close();
}

t.test('who one is', async (t) => {
  for (const [theme, locale] of [
    ['light', 'en-GB'],
    ['dark', 'zh-CN'],
  ] as const) {
    const page = await web.window({ colorScheme: theme, locale, viewport: WIDE, reducedMotion: 'reduce' });
    await page.goto('/');
    await page.locator('.people').waitFor();
    await check(t, page, `sign-in-${theme}-${locale.slice(0, 2)}`);
    if (theme === 'light') {
      await page.getByRole('button', { name: 'Make a demo conversation' }).click();
      await page.getByText('It is there').waitFor();
    }
    await page.context().close();
  }
});

for (const [theme, locale, size] of [
  ['light', 'en-GB', WIDE],
  ['dark', 'zh-CN', WIDE],
  ['dark', 'en-GB', NARROW],
  ['light', 'zh-CN', NARROW],
] as const) {
  t.test(`every screen, ${theme}, ${locale}, ${size.width} wide`, (t) => tour(t, theme, locale, size));
}

t.test('the keyboard alone suffices to find a conversation, answer, and come back', async (t) => {
  const page = await web.person(t, 'bob', { viewport: WIDE });
  await page.locator('.row', { hasText: 'Nest box crew' }).waitFor();
  await page.locator('.row-link').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await composer(page).waitFor();
  t.equal(await page.evaluate(() => document.activeElement?.tagName), 'TEXTAREA', 'one can write at once');
  await page.keyboard.type('typed without a mouse');
  await page.keyboard.press('Enter');
  // The timeline has it: what is only on its way cannot be changed.
  await page.locator('[data-n]', { hasText: 'typed without a mouse' }).waitFor();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.type(', and mended');
  await page.keyboard.press('Enter');
  await message(page, 'typed without a mouse, and mended').waitFor();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.locator('.menu').waitFor();
  // Until it has the focus, the key goes elsewhere.
  const isClosed = async (): Promise<boolean> => {
    await page.keyboard.press('Escape');
    return (await page.locator('.menu').count()) === 0;
  };
  await eventually(isClosed, 'the menu closes');
});

t.test('where there is a login alone, one signs in with a password, and is told when it is wrong', async (t) => {
  const only = await startWeb({ auth: {}, login: { enabled: true } });
  t.teardown(() => only.stop());
  const page = await only.window({ viewport: WIDE });
  await page.goto(addressOf('carol'));
  await page.getByLabel('Password').fill('not the one');
  await page.locator('form').getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('User name or password is wrong.').waitFor();
  await check(t, page, 'login-light-en');
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${only.apiKey}` };
  const account = JSON.stringify({ user: 'carol', profile: { name: 'Carol' } });
  await fetch(`${only.gateway.address}/v1/accounts`, { method: 'POST', headers, body: account });
  const body = JSON.stringify({ password: 'correct horse' });
  const answer = await fetch(`${only.gateway.address}/v1/accounts/carol/password`, { method: 'PUT', headers, body });
  t.ok(answer.ok, await answer.text());
  await page.getByLabel('Password').fill('correct horse');
  await page.locator('form').getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.status-live').waitFor();
  await page.reload();
  await page.locator('.status-live').waitFor();
  await page.goto(addressOf('carol', 'direct:carol:dave'));
  await say(page, 'signed in');
  await message(page, 'signed in').waitFor();
  const signOut = `${only.gateway.address}/v1/accounts/carol/sign-out`;
  await fetch(signOut, { method: 'POST', headers: { authorization: headers.authorization } });
  await page.getByLabel('Password').waitFor();
});
