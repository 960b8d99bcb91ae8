/**
 * Where windows may begin and end after a restart. A window that a stream holds in part must be formed again exactly as it
 * was, so that its plan is the same and the rest of it can be written; before, between and behind such windows the cut is
 * free.
 */
import type { ResumePoint, Span } from '../ports/inbox-writer.ts';
import { MAX_WINDOW_SPAN } from '../protocol/inbox-record.ts';

export interface Cutter {
  /** Up to which position a window that begins at or after `from` may reach, and whether it must reach exactly that far. */
  limit(from: number): { readonly to: number; readonly exact: boolean };
  /** How many records of the plan of `window` stream `k` holds already; Infinity for all. */
  stored(k: number, window: Span): number;
}

/** @param resumePoints one per INBOX stream */
export function cutterFor(resumePoints: readonly ResumePoint[]): Cutter {
  const partial = resumePoints
    .filter(({ records }) => records !== Number.POSITIVE_INFINITY)
    .map(({ window }) => window)
    .sort((a, b) => a.from - b.from);
  /** A position that a checkpoint ends at: a window across it would be stored in one half. */
  const ends = resumePoints.map(({ window }) => window.to).sort((a, b) => a - b);

  return {
    limit(from) {
      const within = partial.find((window) => window.from <= from && from <= window.to);
      if (within) return { to: within.to, exact: true };
      const next = partial.find((window) => window.from > from);
      const end = ends.find((to) => to >= from);
      const free = Math.min(
        from + MAX_WINDOW_SPAN,
        next ? next.from - 1 : Number.POSITIVE_INFINITY,
        end ?? Number.POSITIVE_INFINITY,
      );
      return { to: free, exact: false };
    },
    stored(k, window) {
      const point = resumePoints[k];
      if (!point || window.from > point.window.to) return 0;
      return window.to < point.window.from ? Number.POSITIVE_INFINITY : point.records;
    },
  };
}
