/** The files of `streams/` as JetStream configurations for one deployment. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConsumerConfig, StreamConfig } from '@nats-io/jetstream';
import { PARTITIONS, partitionsOfRange, type Topology } from '../../protocol/subjects.ts';

export const STREAMS_DIR = join(import.meta.dirname, '..', '..', '..', 'streams');

export interface Definitions {
  readonly streams: readonly Partial<StreamConfig>[];
  readonly consumers: readonly { readonly stream: string; readonly config: Partial<ConsumerConfig> }[];
}

export interface Deployment {
  readonly topology: Topology;
  readonly replicas: number;
}

type Template = Record<string, unknown> & { readonly range?: 'conv' | 'inbox' };

export function loadDefinitions({ topology, replicas }: Deployment, dir = STREAMS_DIR): Definitions {
  const streams = templatesIn(dir).flatMap((template) =>
    expand(template, topology).map((config) => ({ ...config, num_replicas: replicas })),
  );
  const consumers = templatesIn(join(dir, 'consumers')).flatMap((template) =>
    expand(template, topology).map(({ stream, ...config }) => ({ stream: String(stream), config })),
  );
  return { streams, consumers };
}

const templatesIn = (dir: string): Template[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as Template);

function expand({ range, ...template }: Template, topology: Topology): Record<string, unknown>[] {
  if (!range) return [template];
  const count = range === 'conv' ? topology.convStreams : topology.inboxStreams;
  return Array.from({ length: count }, (_, k) => {
    const config = JSON.parse(JSON.stringify(template).replaceAll('<k>', String(k))) as Record<string, unknown>;
    const subjects = config.subjects as string[] | undefined;
    return subjects
      ? { ...config, subjects: subjects.flatMap((subject) => subjectsOfRange(subject, k, count)) }
      : config;
  });
}

function subjectsOfRange(subject: string, k: number, count: number): string[] {
  if (!subject.includes('<p>')) return [subject];
  if (count === 1) return [subject.replace('<p>', '*')];
  const [from, to] = partitionsOfRange(k, Math.min(count, PARTITIONS));
  return Array.from({ length: to - from + 1 }, (_, i) => subject.replace('<p>', String(from + i)));
}
