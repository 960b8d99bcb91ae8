/** `rookery streams`: what the server has against what the files say. */
import {
  type ConsumerConfig,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { Definitions } from './stream-definitions.ts';

export interface FieldChange {
  readonly field: string;
  readonly from: unknown;
  readonly to: unknown;
  /** Why this change would lose data; absent for a harmless one. */
  readonly loses?: string;
}

export interface Difference {
  /** `CONV_0`, or `CONV_0/fan-out` for a consumer. */
  readonly name: string;
  readonly change: 'create' | 'update';
  readonly fields: readonly FieldChange[];
}

/** Limits where less, or a bound where there was none, makes the server delete or refuse. */
const LIMITS = new Set(['max_age', 'max_bytes', 'max_msgs', 'max_msgs_per_subject']);

/** What would have to change, stream by stream; nothing for what stands as the files say. */
export async function diffStreams(jsm: JetStreamManager, wanted: Definitions): Promise<Difference[]> {
  const differences: Difference[] = [];
  for (const config of wanted.streams) {
    const found = await streamConfig(jsm, config.name ?? '');
    push(differences, config.name ?? '', found, config);
  }
  for (const { stream, config } of wanted.consumers) {
    const found = await consumerConfig(jsm, stream, config.durable_name ?? '');
    push(differences, `${stream}/${config.durable_name}`, found, config);
  }
  return differences;
}

/**
 * Creates and updates what differs, and says what it did.
 * @throws RookeryError STREAM_CHANGE_REFUSED when a change would lose data and `allowDataLoss` is not set; then nothing was
 *   changed. Also where the server itself refuses a change.
 */
export async function applyStreams(
  jsm: JetStreamManager,
  wanted: Definitions,
  { allowDataLoss = false }: { readonly allowDataLoss?: boolean } = {},
): Promise<Difference[]> {
  const differences = await diffStreams(jsm, wanted);
  const losses = differences.flatMap(({ name, fields }) =>
    fields.filter(({ loses }) => loses).map(({ field, loses }) => `${name}.${field}: ${loses}`),
  );
  if (losses.length > 0 && !allowDataLoss) {
    throw new RookeryError('STREAM_CHANGE_REFUSED', `this would lose data (--allow-data-loss): ${losses.join('; ')}`);
  }
  for (const { name, change } of differences) {
    try {
      await applyOne(jsm, wanted, name, change);
    } catch (cause) {
      throw new RookeryError('STREAM_CHANGE_REFUSED', `${name}: the server refuses: ${String(cause)}`, { cause });
    }
  }
  return differences;
}

async function applyOne(jsm: JetStreamManager, wanted: Definitions, name: string, change: string): Promise<void> {
  const stream = wanted.streams.find((config) => config.name === name);
  const consumer = wanted.consumers.find((one) => `${one.stream}/${one.config.durable_name}` === name);
  if (stream && change === 'create') await jsm.streams.add(stream as StreamConfig);
  if (stream && change === 'update') await jsm.streams.update(name, stream);
  if (consumer && change === 'create') await jsm.consumers.add(consumer.stream, consumer.config);
  if (consumer && change === 'update') {
    await jsm.consumers.update(consumer.stream, consumer.config.durable_name ?? '', consumer.config);
  }
}

function push(differences: Difference[], name: string, found: object | undefined, wanted: object): void {
  const fields = changesBetween(found ?? {}, wanted);
  if (!found)
    differences.push({ name, change: 'create', fields: fields.map(({ field, from, to }) => ({ field, from, to })) });
  else if (fields.length > 0) differences.push({ name, change: 'update', fields });
}

/** Only what the file states counts: what the server adds of its own is its business. */
function changesBetween(found: object, wanted: object): FieldChange[] {
  const before = found as Record<string, unknown>;
  return Object.entries(wanted)
    .filter(([field, to]) => field !== 'stream' && !same(before[field], to))
    .map(([field, to]) => {
      const loses = lossOf(field, before[field], to);
      return loses ? { field, from: before[field], to, loses } : { field, from: before[field], to };
    });
}

/** The server leaves out what is zero or false. */
function same(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return JSON.stringify([...wanted].sort()) === JSON.stringify([...((found as []) ?? [])].sort());
  return found === wanted || (found === undefined && (wanted === 0 || wanted === false || wanted === -1));
}

function lossOf(field: string, from: unknown, to: unknown): string | undefined {
  if (LIMITS.has(field)) {
    const [before, after] = [unbounded(from), unbounded(to)];
    return after < before ? `a lower limit (${String(from)} → ${String(to)}) deletes what is beyond it` : undefined;
  }
  if (field === 'subjects') {
    const gone = ((from as string[] | undefined) ?? []).filter((subject) => !(to as string[]).includes(subject));
    return gone.length > 0
      ? `${gone.length} subject(s) would belong to no stream: ${gone.slice(0, 3).join(', ')}`
      : undefined;
  }
  if (field === 'storage' || field === 'retention') return 'the server cannot change it on a stream that exists';
  if (field === 'num_replicas' && Number(to) < Number(from)) return 'fewer replicas';
  return undefined;
}

const unbounded = (limit: unknown): number =>
  typeof limit === 'number' && limit > 0 ? limit : Number.POSITIVE_INFINITY;

async function streamConfig(jsm: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await jsm.streams.info(name)).config;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function consumerConfig(
  jsm: JetStreamManager,
  stream: string,
  name: string,
): Promise<ConsumerConfig | undefined> {
  try {
    return (await jsm.consumers.info(stream, name)).config;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof JetStreamApiError &&
  (error.code === JetStreamApiCodes.StreamNotFound || error.code === JetStreamApiCodes.ConsumerNotFound);
