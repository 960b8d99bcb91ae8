/** `rookery streams`: what the server has against what the files say. */
import {
  type ConsumerConfig,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { RookeryError } from '../../../protocol/error-codes.ts';
import type { Definitions } from './stream-definitions.ts';

export interface FieldChange {
  readonly field: string;
  readonly from: unknown;
  readonly to: unknown;
  /** Why this change would lose data; absent for a harmless one. */
  readonly loses?: string;
  /** Why no permission helps: the server has no such change. */
  readonly impossible?: string;
}

export interface Difference {
  /** `CONV_0`, or `CONV_0/fan-out` for a consumer. */
  readonly name: string;
  readonly change: 'create' | 'update' | 'delete';
  readonly fields: readonly FieldChange[];
}

/** The server refuses a subject that another stream still has: that other one may be about to give it up. */
const SUBJECTS_OVERLAP = 10065;

/** What would have to change, stream by stream; nothing for what stands as the files say. */
export async function diffStreams(jsm: JetStreamManager, wanted: Definitions): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const name of await leftOver(jsm, wanted)) {
    const loses = 'the topology has no such stream: with it go its messages';
    differences.push({ name, change: 'delete', fields: [{ field: 'name', from: name, to: undefined, loses }] });
  }
  for (const config of wanted.streams) {
    const found = await unlessMissing(async () => (await jsm.streams.info(config.name ?? '')).config);
    differences.push(...difference(config.name ?? '', found, config, streamVerdict));
  }
  for (const { stream, config } of wanted.consumers) {
    const durable = config.durable_name ?? '';
    const found = await unlessMissing(async () => (await jsm.consumers.info(stream, durable)).config);
    differences.push(...difference(`${stream}/${durable}`, found, config, consumerVerdict));
  }
  return differences;
}

/**
 * Creates and updates what differs, and says what it did.
 * @throws RookeryError STREAM_CHANGE_REFUSED when a change is impossible, or would lose data and `allowDataLoss` is not
 *   set: then nothing was changed. Also where the server itself refuses one: what came before it in the list is done.
 */
export async function applyStreams(
  jsm: JetStreamManager,
  wanted: Definitions,
  { allowDataLoss = false }: { readonly allowDataLoss?: boolean } = {},
): Promise<Difference[]> {
  const differences = await diffStreams(jsm, wanted);
  refuse('the server has no such change', differences, ({ impossible }) => impossible);
  if (!allowDataLoss) refuse('this would lose data (--allow-data-loss)', differences, ({ loses }) => loses);
  const waiting = [...differences];
  for (let postponed = 0; waiting.length > 0; ) {
    const next = waiting.shift() as Difference;
    try {
      await applyOne(jsm, wanted, next);
      postponed = 0;
    } catch (cause) {
      waiting.push(next);
      postponed += 1;
      if (mayWait(cause) && postponed < waiting.length) continue;
      throw new RookeryError('STREAM_CHANGE_REFUSED', `${next.name}: the server refuses: ${String(cause)}`, { cause });
    }
  }
  return differences;
}

function refuse(
  reason: string,
  differences: readonly Difference[],
  verdict: (change: FieldChange) => string | undefined,
): void {
  const found = differences.flatMap(({ name, fields }) =>
    fields.filter(verdict).map((change) => `${name}.${change.field}: ${verdict(change)}`),
  );
  if (found.length > 0) throw new RookeryError('STREAM_CHANGE_REFUSED', `${reason}: ${found.join('; ')}`);
}

async function applyOne(jsm: JetStreamManager, wanted: Definitions, { name, change }: Difference): Promise<void> {
  const stream = wanted.streams.find((config) => config.name === name);
  const consumer = wanted.consumers.find((one) => `${one.stream}/${one.config.durable_name}` === name);
  if (change === 'delete') await jsm.streams.delete(name);
  if (stream && change === 'create') await jsm.streams.add(stream as StreamConfig);
  if (stream && change === 'update') await jsm.streams.update(name, stream);
  if (consumer && change === 'create') await jsm.consumers.add(consumer.stream, consumer.config);
  if (consumer && change === 'update') {
    await jsm.consumers.update(consumer.stream, consumer.config.durable_name ?? '', consumer.config);
  }
}

/** Streams the topology once numbered and no longer has. */
async function leftOver(jsm: JetStreamManager, { streams, families }: Definitions): Promise<string[]> {
  const names: string[] = [];
  for await (const name of jsm.streams.names()) names.push(name);
  const isNumbered = (name: string): boolean =>
    families.some((family) => name.startsWith(family) && /^\d+$/.test(name.slice(family.length)));
  return names.filter((name) => isNumbered(name) && !streams.some((config) => config.name === name)).sort();
}

type Config = Partial<StreamConfig> | Partial<ConsumerConfig>;
type Verdict = (field: string, from: unknown, to: unknown) => Pick<FieldChange, 'loses' | 'impossible'>;

/** Only what the file states counts: what the server adds of its own (defaults, `_nats.*` metadata) is its business. */
function difference(name: string, found: Config | undefined, wanted: Config, verdict: Verdict): Difference[] {
  const before = (found ?? {}) as Record<string, unknown>;
  const fields = Object.entries(wanted)
    .filter(([field, to]) => !same(before[field], to))
    .map(([field, to]) => ({ field, from: before[field], to, ...(found && verdict(field, before[field], to)) }));
  if (!found) return [{ name, change: 'create', fields }];
  return fields.length > 0 ? [{ name, change: 'update', fields }] : [];
}

/** The server leaves out what is zero, false or unbounded, and keeps subjects in an order of its own. */
function same(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return JSON.stringify([...wanted].sort()) === JSON.stringify([...((found as string[] | undefined) ?? [])].sort());
  }
  return found === wanted || (found === undefined && (wanted === 0 || wanted === false || wanted === -1));
}

function streamVerdict(field: string, from: unknown, to: unknown): ReturnType<Verdict> {
  switch (field) {
    case 'max_age':
    case 'max_bytes':
    case 'max_msgs':
    case 'max_msgs_per_subject':
      return bound(to) < bound(from) ? { loses: 'a lower limit deletes what is beyond it' } : {};
    case 'subjects':
      return subjectsVerdict((from as string[] | undefined) ?? [], to as string[]);
    case 'storage':
      return { impossible: 'a stream keeps its kind of storage; make another and copy' };
    case 'retention':
      return from === 'workqueue' || to === 'workqueue'
        ? { impossible: 'a stream cannot become a work queue, nor cease to be one' }
        : { loses: 'messages that no consumer waits for are deleted' };
    case 'discard':
      return to === 'old' ? { loses: 'a full stream would drop its oldest messages instead of refusing new ones' } : {};
    case 'deny_delete':
    case 'deny_purge':
      return to === false ? { impossible: 'a stream that forbids it forbids it for ever' } : {};
    case 'num_replicas':
      return Number(to) < Number(from) ? { loses: 'fewer copies survive fewer failures' } : {};
    default:
      return {};
  }
}

/** What nats-server checks in `checkConfigUpdate` of consumer.go. */
function consumerVerdict(field: string, from: unknown, to: unknown): ReturnType<Verdict> {
  switch (field) {
    case 'deliver_policy':
    case 'ack_policy':
    case 'replay_policy':
    case 'max_waiting':
      return { impossible: 'a consumer keeps it for life; delete the consumer and apply again' };
    case 'max_deliver':
      return bound(to) < bound(from) ? { loses: 'what was delivered so often is given up' } : {};
    default:
      return {};
  }
}

function subjectsVerdict(from: readonly string[], to: readonly string[]): ReturnType<Verdict> {
  const gone = from.filter((subject) => !to.some((wider) => covers(wider, subject)));
  if (gone.length === 0) return {};
  const some = gone.slice(0, 3).join(', ');
  return { loses: `what it holds of ${gone.length} subject(s) would be read there by nobody: ${some}` };
}

/** Whether every subject that `subject` matches is matched by `wider`. */
function covers(wider: string, subject: string): boolean {
  const outer = wider.split('.');
  const inner = subject.split('.');
  for (const [i, token] of outer.entries()) {
    if (token === '>') return inner.length > i;
    if (inner[i] === undefined || inner[i] === '>') return false;
    if (token !== '*' && token !== inner[i]) return false;
  }
  return outer.length === inner.length;
}

/** Nothing, 0 and -1 are no bound. */
const bound = (limit: unknown): number => (typeof limit === 'number' && limit > 0 ? limit : Number.POSITIVE_INFINITY);

/** Another stream has the subjects still, or the consumer's stream is among those to come. */
const mayWait = (cause: unknown): boolean =>
  cause instanceof JetStreamApiError &&
  (cause.code === SUBJECTS_OVERLAP || cause.code === JetStreamApiCodes.StreamNotFound);

async function unlessMissing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    const isMissing =
      error instanceof JetStreamApiError &&
      (error.code === JetStreamApiCodes.StreamNotFound || error.code === JetStreamApiCodes.ConsumerNotFound);
    if (isMissing) return undefined;
    throw error;
  }
}
