import { uuidv7 } from '../../sdk/index.ts';

/** How far the server's clock is ahead of ours: an id that seems a day old is refused, and many a device's clock is wrong. */
let aheadMs = 0;

export function serverIsAheadBy(ms: number): void {
  aheadMs = ms;
}

/** Milliseconds since 1970, by the server's clock as far as it is known. */
export const serverNowMs = (): number => Date.now() + aheadMs;

export const newId = (): string => uuidv7(serverNowMs());
