/** The disk is full, ends in the midst of a record, lacks the last ones, or loses its power. */
import { appendFileSync, existsSync, globSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { convStreamName, inboxStreamName } from '../../../src/protocol/subjects.ts';
import type { DeployedNatsServer, Deployment } from '../deployment/deployment.ts';
import { processesOf } from '../deployment/deployment.ts';
import { always, type Fault, killAll, range } from './fault.ts';

/** Enough for a moment of writing, so that it becomes full in the midst of work. */
const LEFT_FREE_BYTES = 256 * 1_024;
const MAX_CUT_BYTES = 4_096;

/** A server that has run out of space takes no more until it is started anew: that is part of the cure. */
const fullDisk: Fault = {
  name: 'full-disk',
  touches: ['nats-servers', 'workers'],
  lastsMs: [2_000, 6_000],
  unavailable: ({ disk }) => (disk ? undefined : 'there is no disk of our own'),
  async inject({ disk, natsServers }, random) {
    disk?.fill(LEFT_FREE_BYTES);
    const restarted = random.chance(0.5);
    if (restarted) {
      await killAll(natsServers);
      for (const server of natsServers) server.start();
    }
    return {
      target: restarted ? 'nats-server restarted on it' : 'it becomes full',
      async heal() {
        disk?.empty();
        await killAll(natsServers);
        for (const server of natsServers) server.start();
      },
    };
  },
};

/** What a crash in the midst of a write leaves behind the last whole record: the beginning of one. */
const tornLogTail: Fault = {
  name: 'torn-log-tail',
  touches: ['nats-servers'],
  lastsMs: [0, 0],
  unavailable: always,
  async inject({ natsServers, topology }, random) {
    const server = random.pick(natsServers);
    const stream = convStreamName(random.pick(range(topology.convStreams)));
    await server.kill('SIGKILL');
    const block = lastBlock(server, stream);
    const bytes = block ? readFileSync(block) : Buffer.alloc(0);
    // A record begins with its own length, of which the highest bit has another meaning.
    const record = bytes.length < 4 ? 0 : bytes.readUInt32LE(0) & 0x7fff_ffff;
    const torn = record > 1 ? random.between(1, record - 1) : 0;
    if (block) appendFileSync(block, bytes.subarray(0, torn));
    return { target: `${server.name}: ${torn} bytes behind ${stream}`, heal: async () => server.start() };
  },
};

const cutTail = (
  name: string,
  streams: (deployment: Deployment) => string[],
  unavailable: Fault['unavailable'],
): Fault => ({
  name,
  touches: ['nats-servers', 'workers'],
  lastsMs: [0, 0],
  unavailable,
  async inject(deployment, random) {
    const server = random.pick(deployment.natsServers);
    const stream = random.pick(streams(deployment));
    await server.kill('SIGKILL');
    const block = lastBlock(server, stream);
    const size = block ? statSync(block).size : 0;
    const cut = Math.min(size, random.between(1, MAX_CUT_BYTES));
    if (block) truncateSync(block, size - cut);
    return { target: `${server.name}: ${cut} bytes off ${stream}`, heal: async () => server.start() };
  },
});

/** Inboxes are derived, so that what was cut off must come back from the log, on every machine. */
const cutInboxTail = cutTail(
  'cut-inbox-tail',
  ({ topology }) => range(topology.inboxStreams).map(inboxStreamName),
  always,
);

const cutLogTail = cutTail(
  'cut-log-tail',
  ({ topology }) => range(topology.convStreams).map(convStreamName),
  ({ replicas }) =>
    replicas > 1 ? undefined : 'what is cut off the only copy of the log is lost, by the hand that cut it',
);

/** Nothing that was not synced is there any more: log, inboxes, state files. */
const powerLoss: Fault = {
  name: 'power-loss',
  touches: ['nats-servers', 'workers', 'gateways', 'links'],
  lastsMs: [0, 2_000],
  unavailable({ disk, profile }) {
    if (!disk) return 'there is no disk of our own';
    return profile === 'default'
      ? 'this profile may lose what was not yet synced: `make chaos-power` measures it'
      : undefined;
  },
  async inject(deployment) {
    const { disk } = deployment;
    disk?.cutPower();
    await killAll(processesOf(deployment));
    return {
      target: 'the machine',
      async heal() {
        disk?.unmount();
        disk?.mount();
        for (const process of processesOf(deployment)) process.start();
      },
    };
  },
};

export const storageFaults: readonly Fault[] = [fullDisk, tornLogTail, cutInboxTail, cutLogTail, powerLoss];

/** The file of the stream that is written to; undefined where it has none yet. */
function lastBlock({ storeDir }: DeployedNatsServer, stream: string): string | undefined {
  const found = globSync(join(storeDir, '*', 'streams', stream, 'msgs', '*.blk')).filter((file) => existsSync(file));
  const numberOf = (file: string): number => Number(/(\d+)\.blk$/.exec(file)?.[1]);
  return found.sort((a, b) => numberOf(a) - numberOf(b)).at(-1);
}
