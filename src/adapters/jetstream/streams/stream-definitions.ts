/** The files of `streams/` as JetStream configurations for one deployment. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConsumerConfig, StorageType, type StreamConfig } from '@nats-io/jetstream';
import { type Static, type TObject, Type } from 'typebox';
import { Value } from 'typebox/value';
import { RookeryError } from '../../../protocol/error-codes.ts';
import { PARTITIONS, partitionsOfRange, type Topology } from '../../../protocol/subjects.ts';

export const STREAMS_DIR = join(import.meta.dirname, '..', '..', '..', '..', 'streams');

export interface Definitions {
  readonly streams: readonly Partial<StreamConfig>[];
  readonly consumers: readonly { readonly stream: string; readonly config: Partial<ConsumerConfig> }[];
  /** Beginnings of the names that a topology numbers (`CONV_`): a stream of such a name that is not listed is left over. */
  readonly families: readonly string[];
}

export interface Deployment {
  readonly topology: Topology;
  /** Copies of each stream; 3 in a cluster of three. */
  readonly replicas: number;
}

const strict = { additionalProperties: false };
/** A count or a size, or -1 for none. */
const limit = Type.Integer({ minimum: -1 });
const nanoseconds = Type.Integer({ minimum: 0 });
/** Stands for as many streams as the topology has of it. */
const range = Type.Optional(Type.Union([Type.Literal('conv'), Type.Literal('inbox')]));

/** What a stream may say here. What it does not say is the server's default, and not compared. */
const streamTemplate = Type.Object(
  {
    name: Type.String({ pattern: '^[A-Za-z_]+(<k>)?$' }),
    range,
    description: Type.String(),
    subjects: Type.Array(Type.String(), { minItems: 1 }),
    storage: Type.Union([Type.Literal('file'), Type.Literal('memory')]),
    retention: Type.Union([Type.Literal('limits'), Type.Literal('interest'), Type.Literal('workqueue')]),
    discard: Type.Union([Type.Literal('old'), Type.Literal('new')]),
    max_age: nanoseconds,
    max_bytes: limit,
    max_msgs: limit,
    max_msgs_per_subject: Type.Optional(limit),
    max_msg_size: limit,
    // Required: nats-server 2.15 caps a stream at 1,000 consumers unless the stream says otherwise.
    max_consumers: Type.Integer({ minimum: 1 }),
    duplicate_window: nanoseconds,
    allow_direct: Type.Boolean(),
    allow_batched: Type.Optional(Type.Boolean()),
    allow_rollup_hdrs: Type.Optional(Type.Boolean()),
    deny_delete: Type.Optional(Type.Boolean()),
    deny_purge: Type.Optional(Type.Boolean()),
  },
  strict,
);

const consumerTemplate = Type.Object(
  {
    stream: Type.String({ pattern: '^[A-Za-z_]+(<k>)?$' }),
    range,
    durable_name: Type.String(),
    description: Type.String(),
    ack_policy: Type.Union([Type.Literal('explicit'), Type.Literal('all'), Type.Literal('none')]),
    deliver_policy: Type.Union([Type.Literal('all'), Type.Literal('new'), Type.Literal('last')]),
    replay_policy: Type.Union([Type.Literal('instant'), Type.Literal('original')]),
    ack_wait: nanoseconds,
    max_deliver: limit,
    max_ack_pending: Type.Integer({ minimum: 1 }),
    max_waiting: Type.Integer({ minimum: 1 }),
    filter_subject: Type.Optional(Type.String()),
  },
  strict,
);

/** @throws RookeryError CONFIGURATION_INVALID that names the file and what is wrong in it */
export function loadDefinitions({ topology, replicas }: Deployment, dir = STREAMS_DIR): Definitions {
  const templates = read(dir, streamTemplate);
  return {
    streams: templates.flatMap((template) =>
      expand(template, topology).map((config) => replicated(config as Partial<StreamConfig>, replicas)),
    ),
    consumers: read(join(dir, 'consumers'), consumerTemplate).flatMap((template) =>
      expand(template, topology).map(({ stream, ...config }) => ({
        stream,
        config: config as Partial<ConsumerConfig>,
      })),
    ),
    families: templates.flatMap(({ name, range }) => (range ? [name.replace('<k>', '')] : [])),
  };
}

/**
 * Buckets of a cluster live in the memory of its members. What they hold is made anew (a lease is taken again, a device says where
 * it is), and after a power cut of all members at once nats-server 2.15 may find their files, which it writes over all the time,
 * unreadable, and have no leader for them any more.
 */
function replicated(config: Partial<StreamConfig>, replicas: number): Partial<StreamConfig> {
  const isBucket = config.name?.startsWith('KV_') === true;
  return { ...config, num_replicas: replicas, ...(isBucket && replicas > 1 && { storage: StorageType.Memory }) };
}

function read<Schema extends TObject>(dir: string, schema: Schema): Static<Schema>[] {
  const names = readdirSync(dir).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => {
    const path = join(dir, name);
    try {
      const template: unknown = JSON.parse(readFileSync(path, 'utf8'));
      const [problem] = Value.Errors(schema, template);
      if (problem) throw new Error(`${problem.instancePath || 'the whole'} ${problem.message}`);
      return template as Static<Schema>;
    } catch (cause) {
      throw new RookeryError('CONFIGURATION_INVALID', `${path}: ${(cause as Error).message}`, { cause });
    }
  });
}

/** The template once, or once for each stream of its range. */
function expand<Template extends { readonly range?: 'conv' | 'inbox'; readonly subjects?: readonly string[] }>(
  { range, ...template }: Template,
  topology: Topology,
): Omit<Template, 'range'>[] {
  if (!range) return [template];
  const count = range === 'conv' ? topology.convStreams : topology.inboxStreams;
  return Array.from({ length: count }, (_, k) => {
    const config = JSON.parse(JSON.stringify(template).replaceAll('<k>', String(k))) as Omit<Template, 'range'>;
    if (!template.subjects) return config;
    return { ...config, subjects: config.subjects?.flatMap((subject) => subjectsOfRange(subject, k, count)) };
  });
}

function subjectsOfRange(subject: string, k: number, count: number): string[] {
  if (!subject.includes('<p>')) return [subject];
  if (count === 1) return [subject.replace('<p>', '*')];
  const [from, to] = partitionsOfRange(k, Math.min(count, PARTITIONS));
  return Array.from({ length: to - from + 1 }, (_, i) => subject.replace('<p>', String(from + i)));
}
