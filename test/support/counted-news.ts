import type { Counted, CountedNews } from '../../src/ports/counted-news.ts';

/** News of two gateways: what one announces the other hears. */
export function newsOfTwo(): [CountedNews, CountedNews] {
  const listeners: [((counted: Counted) => void)[], ((counted: Counted) => void)[]] = [[], []];
  const one = (own: 0 | 1, other: 0 | 1): CountedNews => ({
    announce: (counted) => {
      for (const heard of listeners[other]) heard(counted);
    },
    onAnnounced: (heard) => void listeners[own].push(heard),
  });
  return [one(0, 1), one(1, 0)];
}

/** Of a gateway that is alone. */
export const noNews: CountedNews = { announce: () => undefined, onAnnounced: () => undefined };
