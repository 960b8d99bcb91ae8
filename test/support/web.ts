/** The web client in a real browser, served by a real gateway with its workers. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { findBrowser } from '../../scripts/browser.ts';
import type { Gateway } from '../../src/processes/gateway.ts';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { API_KEY, startTestGateway, type TestGateways } from './gateway.ts';
import { quiet } from './nats.ts';

const BUILT = join(import.meta.dirname, '..', '..', 'dist', 'web', 'index.html');
/** On a machine that runs all the other tests as well. */
const WITHIN_MS = 60_000;

export interface WebScene {
  readonly gateways: TestGateways;
  readonly gateway: Gateway;
  readonly browser: Browser;
  /** With which a backend comes. */
  readonly apiKey: string;
  /** A window of a browser of its own, in which nobody has been. */
  window(options?: BrowserContextOptions): Promise<Page>;
  /** A window in which somebody is signed in; what it complains of fails the test. */
  person(t: Test, user: string, options?: BrowserContextOptions): Promise<Page>;
  stop(): Promise<void>;
}

export async function startWeb(options: Parameters<typeof startTestGateway>[0] = {}): Promise<WebScene> {
  if (!existsSync(BUILT)) throw new Error('the web client is not built: `make dist/web/index.html`');
  const gateways = await startTestGateway({ auth: { devTokens: true }, ...options });
  const { nats } = gateways;
  const worker = await startReadModelWorker(
    {
      nats: { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile },
      ...{ topology: nats.topology, logLevel: 'silent', stateDir: join(nats.dataDir, 'read-model') },
    },
    quiet,
  );
  const { path, environment } = findBrowser();
  const env = { ...(process.env as Record<string, string>), ...environment };
  const browser = await chromium.launch({ executablePath: path, env, args: ['--no-sandbox'] });
  const window = async (more: BrowserContextOptions = {}): Promise<Page> => {
    const context = await browser.newContext({ baseURL: gateways.gateway.address, locale: 'en-GB', ...more });
    return pageIn(context);
  };
  return {
    gateways,
    gateway: gateways.gateway,
    browser,
    apiKey: API_KEY,
    window,
    async person(t, user, more) {
      const page = await window(more);
      complaints(t, page);
      await page.goto(addressOf(user));
      return page;
    },
    async stop() {
      await browser.close();
      await worker.drain();
      await gateways.stop();
    },
  };
}

export async function pageIn(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN_MS);
  return page;
}

/** Errors of the page, and what its policy has kept from running, fail the test. */
export function complaints(t: Test, page: Page): void {
  page.on('pageerror', (error) => t.fail(`the page failed: ${error.stack ?? error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) t.fail(`the policy was met: ${message.text()}`);
  });
}

export const addressOf = (user: string, conversation?: string): string =>
  `/#/${[user, conversation].flatMap((part) => (part === undefined ? [] : [encodeURIComponent(part)])).join('/')}`;

export const isConnected = (page: Page): Promise<void> => page.getByText('Connected', { exact: true }).waitFor();

/** Opens the conversation with `peer`. */
export async function openDirect(page: Page, me: string, peer: string): Promise<void> {
  const id = `direct:${[me, peer].sort().join(':')}`;
  await page.goto(addressOf(me, id));
  await composer(page).waitFor();
}

export const composer = (page: Page) => page.getByRole('textbox', { name: 'Write a message' });

export async function say(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await composer(page).press('Enter');
}

export const message = (page: Page, text: string) => page.locator('.bubble', { hasText: text });

/** Texts of the messages on the screen, in their order. */
export const texts = (page: Page): Promise<string[]> => page.locator('.bubble .text').allInnerTexts();
