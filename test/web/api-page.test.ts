/** The page of the HTTP API in a real browser: whose it is, what it says of a bad request, and that its policy is not met. */
import { chromium } from 'playwright-core';
import t from 'tap';
import { findBrowser } from '../../scripts/browser.ts';
import { startTestGateway } from '../support/gateway.ts';
import { complaints, pageIn } from '../support/web.ts';

const { gateway, stop } = await startTestGateway();
t.teardown(stop);
const { path, environment } = findBrowser();
const env = { ...(process.env as Record<string, string>), ...environment };
const browser = await chromium.launch({ executablePath: path, env, args: ['--no-sandbox'] });
t.teardown(() => browser.close());

t.test('nothing foreign on it, and nothing that its own policy forbids', async (t) => {
  const page = await pageIn(await browser.newContext());
  complaints(t, page);
  await page.goto(`${gateway.address}/docs/`);
  await page.getByText('Send a message as a user').click();
  const response = page.locator('.response', { hasText: '400' });
  t.match(await response.first().innerText(), /names the field/);
  t.equal(await page.title(), 'Rookery: HTTP');
  t.equal(await page.locator('.topbar, img[src^="data:"]').count(), 0);
  const icon = await page.locator('link[rel=icon]').getAttribute('href');
  const answer = await page.request.get(new URL(icon ?? '', page.url()).href);
  t.match(await answer.text(), /^<svg/);
});
