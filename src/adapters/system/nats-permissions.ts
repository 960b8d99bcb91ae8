/**
 * What each role may do on NATS, and no more. `allow` is all there is; `deny` takes out of it what wildcards bring along.
 *
 * A role that reads a stream does so by ordered consumers, whose names are random: so it may create, pull and delete
 * consumers on that stream, but never the durable `fan-out`, which is the fan-out worker's place in the log (the worker
 * alone may make it anew).
 */
import { convStreamName, inboxStreamName, type Topology, USER_STREAM } from '../../protocol/subjects.ts';

export const natsRoles = ['gateway', 'fan-out-worker', 'read-model-worker', 'operator'] as const;
export type NatsRole = (typeof natsRoles)[number];

interface Rule {
  readonly allow: readonly string[];
  readonly deny?: readonly string[];
}

export interface Permissions {
  readonly publish: Rule;
  readonly subscribe: Rule;
}

export function permissionsOf(role: NatsRole, topology: Topology): Permissions {
  const conv = numbered(topology.convStreams, convStreamName);
  const inbox = numbered(topology.inboxStreams, inboxStreamName);
  switch (role) {
    case 'gateway':
      return {
        publish: {
          allow: [
            ...['conv.>', 'user.>', 'view.*', 'query.*', 'tailed.*', 'typing', 'counted'],
            ...[...conv, ...inbox, USER_STREAM].flatMap(reading),
            ...bucket('cursors'),
            ...bucket('presence'),
            ...reading('KV_presence'),
          ],
          deny: onFanOut,
        },
        subscribe: { allow: ['_INBOX_gateway.>', 'notice.*', 'typing', 'counted'] },
      };
    case 'fan-out-worker':
      return {
        publish: {
          allow: [
            ...['inbox.>', 'pack.>', 'term.>', 'cp.>', 'dead.>', 'notice.*'],
            // The answers to view requests. (`allow_responses` would keep a table of every reply subject seen, and each
            // message of a pull carries one: too dear at 100,000 a second.)
            '_INBOX_gateway.>',
            ...[...conv, ...inbox].flatMap(reading),
            ...conv.flatMap(lane),
            // What is derived is made anew where it was lost (adapters/jetstream/streams/derived-streams.ts).
            ...inbox.map((stream) => `$JS.API.STREAM.CREATE.${stream}`),
            ...bucket('leases'),
          ],
          deny: api('DELETE'),
        },
        subscribe: { allow: ['_INBOX_fan-out-worker.>', 'view.*', 'tailed.*'] },
      };
    case 'read-model-worker':
      return {
        publish: {
          allow: [...conv.flatMap(reading), '_INBOX_gateway.>', 'standing.told.read-model.*'],
          deny: onFanOut,
        },
        subscribe: { allow: ['_INBOX_read-model-worker.>', 'query.*', 'standing.asked'] },
      };
    case 'operator':
      return { publish: { allow: ['>'] }, subscribe: { allow: ['>'] } };
  }
}

const numbered = (count: number, nameOf: (k: number) => string): string[] =>
  Array.from({ length: count }, (_, k) => nameOf(k));

const directGet = (stream: string): string[] => [`$JS.API.DIRECT.GET.${stream}`, `$JS.API.DIRECT.GET.${stream}.>`];

const reading = (stream: string): string[] => [
  `$JS.API.STREAM.INFO.${stream}`,
  // Of the leader: what must not be a copy's that may be behind, and what such a copy lacks.
  `$JS.API.STREAM.MSG.GET.${stream}`,
  ...directGet(stream),
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.API.CONSUMER.INFO.${stream}.*`,
  `$JS.API.CONSUMER.DELETE.${stream}.*`,
];

/** What running a lane takes beyond reading: to set the durable's place, and to ack. */
const lane = (stream: string): string[] => [
  `$JS.API.CONSUMER.RESET.${stream}.fan-out`,
  `$JS.ACK.${stream}.fan-out.>`,
  // With domain and account hash in front (ADR-15).
  `$JS.ACK.*.*.${stream}.fan-out.>`,
];

const bucket = (name: string): string[] => [
  `$JS.API.STREAM.INFO.KV_${name}`,
  `$JS.API.STREAM.MSG.GET.KV_${name}`,
  ...directGet(`KV_${name}`),
  `$KV.${name}.>`,
];

/** One verb of the consumer API on the durable `fan-out`, in both forms of its subject. */
const api = (verb: string): string[] => [`$JS.API.CONSUMER.${verb}.*.fan-out`, `$JS.API.CONSUMER.${verb}.*.fan-out.>`];

/** What who only reads the log may not do to the fan-out's place in it. */
const onFanOut = [...api('CREATE'), ...api('MSG.NEXT'), ...api('DELETE')];
