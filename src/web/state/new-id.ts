import { uuidv7 } from '../../sdk/index.ts';

/** How far the server's clock is ahead of ours: an id that seems a day old is refused, and many a device's clock is wrong. */
let aheadMs = 0;

export function serverIsAheadBy(ms: number): void {
  aheadMs = ms;
}

export const newId = (): string => uuidv7(Date.now() + aheadMs);
