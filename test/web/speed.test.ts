/** What comes is painted in the next frame, and however much has come, no more of it is held than is looked at. */
import type { CDPSession, Page } from 'playwright-core';
import t from 'tap';
import { Flood } from '../support/flood.ts';
import { eventually } from '../support/waiting.ts';
import { addressOf, isConnected, message, openDirect, startWeb } from '../support/web.ts';

const COUNT = 100_000;
const WITHIN_MS = 240_000;

const web = await startWeb({ limits: { maxLaneBacklog: 2 * COUNT } });
t.teardown(() => web.stop());

interface Held {
  readonly heapBytes: number;
  readonly nodes: number;
  readonly listeners: number;
}

/** What is left when all that nobody holds is gone. */
async function heldBy(cdp: CDPSession): Promise<Held> {
  for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage');
  const { metrics } = await cdp.send('Performance.getMetrics');
  const of = (wanted: string): number => metrics.find(({ name }) => name === wanted)?.value ?? Number.NaN;
  return { heapBytes: of('JSHeapUsedSize'), nodes: of('Nodes'), listeners: of('JSEventListeners') };
}

/** Bytes of the heap that each message more may cost: of one that is held, its objects alone are several times as many. */
const MAX_BYTES_PER_MESSAGE = 100;
/** Far more than a screen shows. */
const MAX_NODES = 4_000;

t.test(
  'memory is flat while a hundred thousand messages come to an open conversation',
  { timeout: 2 * WITHIN_MS },
  async (t) => {
    const page = await web.person(t, 'reader');
    await openDirect(page, 'reader', 'writer');
    await isConnected(page);
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('Performance.enable');
    const writer = await Flood.of(web.gateway, 'writer');
    const held: Held[] = [];
    let written = 0;
    for (const upTo of [20_000, 60_000, COUNT]) {
      await writer.write(upTo - written, 'reader', (n) => `message number ${n} of very many, each a line long`);
      written = upTo;
      await message(page, `message number ${upTo} `).waitFor({ timeout: WITHIN_MS });
      held.push(await heldBy(cdp));
    }
    writer.end();
    const [first, , last] = held as [Held, Held, Held];
    const perMessage = (last.heapBytes - first.heapBytes) / (COUNT - 20_000);
    t.ok(perMessage < MAX_BYTES_PER_MESSAGE, `${JSON.stringify(held)}: ${perMessage} bytes for each more`);
    t.ok(last.nodes < MAX_NODES && last.listeners < MAX_NODES, JSON.stringify(held));
  },
);

/** Messages that are watched, `every` so many milliseconds one. */
const WATCHED = 500;
const EVERY_MS = 20;

interface Watched {
  /**
   * By the message's number: how many frames began from its coming until it was seen on the screen at the beginning of one, or a later
   * one (of many that come at once the first go past the upper edge).
   */
  readonly frames: Record<number, number>;
}

/**
 * In the page, before its own code: notes in which frame the socket brings each message (“tick 7”), and looks at the beginning of
 * each frame which of them stand on the screen, as the frame before has painted them.
 */
function watchTicks(): void {
  let frame = 0;
  const cameIn = new Map<number, number>();
  const frames: Record<number, number> = {};
  Object.assign(window, { watched: { frames } });
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      // Before the client's own: its listener comes later.
      this.addEventListener('message', ({ data }) => {
        const text = new TextDecoder('latin1').decode(data as ArrayBuffer);
        for (const [, n] of text.matchAll(/tick (\d+) /g)) cameIn.set(Number(n), frame);
      });
    }
  };
  const look = (): void => {
    frame += 1;
    const place = document.querySelector('.timeline')?.getBoundingClientRect();
    let newest = 0;
    for (const element of place && cameIn.size > 0 ? document.querySelectorAll('.bubble .text') : []) {
      const { top, bottom } = element.getBoundingClientRect();
      if (top < (place?.top ?? 0) || bottom > (place?.bottom ?? 0)) continue;
      newest = Math.max(newest, Number(/tick (\d+) /.exec(element.textContent ?? '')?.[1] ?? 0));
    }
    for (const [n, came] of cameIn) {
      if (n > newest) continue;
      frames[n] = frame - came;
      cameIn.delete(n);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

t.test('at fifty messages a second each is on the screen in the next frame', async (t) => {
  const page: Page = await web.window();
  await page.addInitScript(watchTicks);
  await page.goto(addressOf('watcher', 'direct:ticker:watcher'));
  await isConnected(page);
  const ticker = await Flood.of(web.gateway, 'ticker');
  ticker.send('watcher', 'the first');
  await message(page, 'the first').waitFor();
  for (let n = 1; n <= WATCHED; n++) {
    ticker.send('watcher', `tick ${n} of the clock`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  const seen = (): Promise<Watched['frames']> =>
    page.evaluate(() => (window as unknown as { watched: Watched }).watched.frames);
  await eventually(async () => Object.keys(await seen()).length === WATCHED, 'all were on the screen');
  ticker.end();
  const late = Object.entries(await seen()).filter(([, frames]) => frames > 2);
  // The first frame that begins behind the message paints it; the one after that sees it painted.
  t.same(late, []);
});
