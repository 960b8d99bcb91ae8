/** What is derived from the log is deleted by mistake. It must come back, and nobody types a command. */
import { FAN_OUT_DURABLE } from '../../../src/adapters/jetstream/log/lane-source.ts';
import { convStreamName, inboxStreamName } from '../../../src/protocol/subjects.ts';
import { always, type Fault, range } from './fault.ts';

/** The worker's place in the log: its own position stands in its state file. */
const deleteDurable: Fault = {
  name: 'delete-durable',
  touches: ['nats-servers'],
  lastsMs: [0, 0],
  unavailable: always,
  async inject({ operator, topology }, random) {
    const stream = convStreamName(random.pick(range(topology.convStreams)));
    await operator.jsm.consumers.delete(stream, FAN_OUT_DURABLE);
    return { target: `${stream}/${FAN_OUT_DURABLE}`, heal: async () => undefined };
  },
};

/** What every gateway's tail hangs on. */
const deleteTails: Fault = {
  name: 'delete-tails',
  touches: ['nats-servers'],
  lastsMs: [0, 0],
  unavailable: always,
  async inject({ operator, topology }, random) {
    const stream = inboxStreamName(random.pick(range(topology.inboxStreams)));
    let deleted = 0;
    for await (const { name } of operator.jsm.consumers.list(stream)) {
      // An ordered consumer may be gone by itself meanwhile.
      if (await operator.jsm.consumers.delete(stream, name).catch(() => false)) deleted += 1;
    }
    return { target: `${deleted} consumers of ${stream}`, heal: async () => undefined };
  },
};

const deleteInbox: Fault = {
  name: 'delete-inbox',
  touches: ['nats-servers', 'workers'],
  lastsMs: [0, 0],
  unavailable: always,
  async inject({ operator, topology }, random) {
    const stream = inboxStreamName(random.pick(range(topology.inboxStreams)));
    const before = await operator.jsm.streams.info(stream);
    await operator.jsm.streams.delete(stream);
    return {
      target: stream,
      heal: async () => undefined,
      async verify() {
        const { created, config } = await operator.jsm.streams.info(stream);
        if (String(created) === String(before.created)) throw new Error(`${stream} is the one that was deleted`);
        for (const field of ['num_replicas', 'max_bytes', 'max_age', 'allow_batched'] as const) {
          if (config[field] !== before.config[field]) throw new Error(`${stream} came back with another ${field}`);
        }
      },
    };
  },
};

export const streamFaults: readonly Fault[] = [deleteDurable, deleteTails, deleteInbox];
