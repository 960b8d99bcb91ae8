/**
 * The rows: what each one measures, beside which limit, and what it must reach. README.md says more of each.
 *
 * A window saturates its row and keeps p99, of the row and of its broadcast, within 250 ms on two cores. Both have the
 * same one: README.md says what a larger one would do to each.
 */
import type { DurabilityProfile } from '../src/adapters/system/nats-configuration.ts';
import type { Shape } from './job.ts';

/** What is said of a row in the table and in latest.json. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly p50Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
  readonly ackP50Ms?: number | undefined;
  readonly ackP99Ms?: number | undefined;
  /** Name of another row of the same run, and this row's value over that one's. */
  readonly limit?: string;
  readonly ratio?: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  readonly refused?: number;
  /** `default`: a fsync each second, `sync`: a fsync each append, `none`: nothing is stored. */
  readonly durability: DurabilityProfile | 'none';
  /** Cores kept busy while measuring, by process. */
  readonly cores?: Readonly<Record<string, number>>;
  /** What the row must reach. */
  readonly must?: string;
  readonly isMet?: boolean;
  /** Where it was measured, if not where the others of latest.json were. */
  readonly machine?: string;
}

/** One bound of a row. */
export interface Must {
  readonly of: 'value' | 'ratio' | 'p50Ms' | 'p99Ms' | 'ackP50Ms';
  readonly least?: number;
  readonly most?: number;
}

export interface LiveRow {
  readonly name: string;
  readonly shape: Shape;
  readonly profile: DurabilityProfile;
  /** What is counted: messages delivered to all, or deliveries. */
  readonly counts: 'messages' | 'deliveries';
  readonly limit?: string;
  readonly musts: readonly Must[];
}

const direct = (pairs: number, window: number): Shape => ({ groups: pairs, members: 2, senders: 1, window });
const group = (members: number, window: number, groups = 1): Shape => ({ groups, members, senders: 4, window });

/** Of the group rows and of the plain broadcasts beside them. */
const GROUPS = {
  '10': group(10, 256),
  '10x20': group(10, 24, 20),
  '100': group(100, 128),
  '500': group(500, 64),
} as const;

export const LIVE_ROWS: readonly LiveRow[] = [
  {
    name: 'direct-1',
    shape: direct(1, 1),
    profile: 'default',
    counts: 'messages',
    limit: 'jetstream-publish-1',
    musts: [
      { of: 'ackP50Ms', most: 0.8 },
      { of: 'p50Ms', most: 2 },
    ],
  },
  {
    name: 'direct-512',
    shape: direct(64, 8),
    profile: 'default',
    counts: 'messages',
    limit: 'jetstream-publish',
    musts: [{ of: 'value', least: 15_000 }],
  },
  {
    name: 'direct-512-sync',
    shape: direct(64, 8),
    profile: 'sync',
    counts: 'messages',
    limit: 'jetstream-publish-sync',
    musts: [{ of: 'ratio', least: 0.8 }],
  },
  {
    name: 'group-10',
    shape: GROUPS['10'],
    profile: 'default',
    counts: 'deliveries',
    limit: 'ws-broadcast-10',
    musts: [],
  },
  {
    name: 'group-10x20',
    shape: GROUPS['10x20'],
    profile: 'default',
    counts: 'deliveries',
    limit: 'ws-broadcast-10x20',
    musts: [{ of: 'ratio', least: 0.6 }],
  },
  {
    name: 'group-100',
    shape: GROUPS['100'],
    profile: 'default',
    counts: 'deliveries',
    limit: 'ws-broadcast-100',
    musts: [{ of: 'ratio', least: 1.3 }],
  },
  {
    name: 'group-500',
    shape: GROUPS['500'],
    profile: 'default',
    counts: 'deliveries',
    limit: 'ws-broadcast-500',
    musts: [
      { of: 'ratio', least: 1.5 },
      { of: 'p99Ms', most: 250 },
    ],
  },
];

/** Asked for by name: no part of a whole run. */
export const EXTRA_LIVE_ROWS: readonly LiveRow[] = [
  {
    name: 'direct-512-one-pair',
    shape: direct(1, 512),
    profile: 'default',
    counts: 'messages',
    limit: 'jetstream-publish',
    musts: [],
  },
];

/** A plain broadcast; each has a second row, `-corked`. */
export const BROADCAST_LIMITS: Readonly<Record<string, Shape>> = Object.fromEntries(
  Object.entries(GROUPS).map(([name, shape]) => [`ws-broadcast-${name}`, shape]),
);

export interface PublishLimit {
  readonly inFlight: number;
  readonly profile: DurabilityProfile;
}

export const PUBLISH_LIMITS: Readonly<Record<string, PublishLimit>> = {
  'jetstream-publish-1': { inFlight: 1, profile: 'default' },
  'jetstream-publish': { inFlight: 512, profile: 'default' },
  'jetstream-publish-sync': { inFlight: 512, profile: 'sync' },
};

export const IDLE = {
  name: 'idle-5000',
  limit: 'raw-ws-idle',
  /** Opened before, so that what the first ones set up for all is not charged to the others. */
  first: 100,
  more: 5_000,
  repeats: 3,
  /** Before each reading. */
  quietMs: 30_000,
  musts: [{ of: 'value', most: 14 }] as readonly Must[],
};

export interface CatchUpRow {
  readonly name: string;
  readonly conversations: number;
  readonly messages: number;
  readonly resumes: number;
  /** Of the gateway, over its defaults. */
  readonly limits: Readonly<Record<string, number>>;
  readonly musts: readonly Must[];
}

/** Messages that came for the device while it was away. */
const AWAY = { conversations: 200, messages: 20_000 } as const;
/** Everything lies past a ring of one entry. */
const NO_RING = { ringMaxEntries: 1 };

export const CATCH_UP_ROWS: readonly CatchUpRow[] = [
  { name: 'catch-up-ring', ...AWAY, resumes: 5, limits: {}, musts: [{ of: 'value', least: 80_000 }] },
  { name: 'catch-up-cold', ...AWAY, resumes: 3, limits: NO_RING, musts: [] },
];

export const EXTRA_CATCH_UP_ROWS: readonly CatchUpRow[] = [
  // All of it from the log, as a device gets it whose cursor means nothing any more.
  { name: 'catch-up-replay', ...AWAY, resumes: 3, limits: { ...NO_RING, maxColdEntries: 1 }, musts: [] },
];

/** Bare rows into one table with one index: what SQLite itself takes. */
export const SQLITE_INSERT = 'sqlite-insert';
/** What a rebuild writes, by one thread that neither reads nor folds. */
export const REBUILT_ROWS = 'rebuild-rows';

export interface ReadRow {
  readonly name: string;
  readonly musts: readonly Must[];
  readonly limit?: string;
}

/** The read model of a user with 1,000 conversations; all but the last ask the same file. */
export const READ_ROWS: readonly ReadRow[] = [
  { name: 'read-ingest', limit: SQLITE_INSERT, musts: [{ of: 'value', least: 50_000 }] },
  { name: 'read-list', musts: [{ of: 'p99Ms', most: 10 }] },
  { name: 'read-history', musts: [{ of: 'p99Ms', most: 5 }] },
  { name: 'read-first-sync', musts: [{ of: 'p99Ms', most: 300 }] },
  { name: 'read-search', musts: [{ of: 'p99Ms', most: 200 }] },
  { name: 'read-rebuild', limit: REBUILT_ROWS, musts: [{ of: 'value', least: 100_000 }] },
];
/** A user with 1,000 conversations, through SDK and gateway. `-tenth`: with a tenth of the past. All three in one deployment. */
export const SYNC_ROWS: readonly ReadRow[] = [
  { name: 'first-sync', musts: [{ of: 'p99Ms', most: 300 }], limit: 'first-sync-tenth' },
  { name: 'first-sync-tenth', musts: [] },
  { name: 'far-behind', musts: [] },
];
/** Messages behind that user; of a quick look a tenth. */
export const SYNC_EVENTS = 1_000_000;

/** Messages behind the file that is asked; of a quick look a tenth. */
export const READ_EVENTS = 1_100_000;

/** Whether a row reaches what it must; undefined where nothing is asked of it. */
export function verdict(row: Row, musts: readonly Must[]): { must: string; isMet: boolean } | undefined {
  if (musts.length === 0) return undefined;
  const isMet = musts.every(({ of, least = -Infinity, most = Infinity }) => {
    const value = row[of];
    return value !== undefined && value >= least && value <= most;
  });
  const must = musts.map(({ of, least, most }) => (least === undefined ? `${of} ≤ ${most}` : `${of} ≥ ${least}`));
  return { must: must.join(', '), isMet };
}
