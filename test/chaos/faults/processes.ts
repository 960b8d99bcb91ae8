/** A process is killed, or stops and goes on. */
import type { DeployedProcess, Deployment, ProcessRole } from '../deployment/deployment.ts';
import { always, type Fault, type Part } from './fault.ts';

interface Kind {
  readonly role: ProcessRole;
  readonly part: Part;
  readonly all: (deployment: Deployment) => readonly DeployedProcess[];
}

const kinds: readonly Kind[] = [
  { role: 'gateway', part: 'gateways', all: ({ gateways }) => gateways },
  { role: 'fan-out-worker', part: 'workers', all: ({ workers }) => workers },
  { role: 'nats-server', part: 'nats-servers', all: ({ natsServers }) => natsServers },
];

const kill = ({ role, part, all }: Kind): Fault => ({
  name: `kill-${role}`,
  touches: [part],
  lastsMs: [0, 3_000],
  unavailable: always,
  async inject(deployment, random) {
    const victim = random.pick(all(deployment));
    await victim.kill('SIGKILL');
    return { target: victim.name, heal: async () => victim.start() };
  },
});

/** Long enough, at times, that others take the paused one for dead. */
const pause = ({ role, part, all }: Kind): Fault => ({
  name: `pause-${role}`,
  touches: [part],
  lastsMs: [200, 8_000],
  unavailable: always,
  async inject(deployment, random) {
    const victim = random.pick(all(deployment));
    await victim.pause();
    return { target: victim.name, heal: async () => victim.resume() };
  },
});

/** As in a release: asked to end, started again. */
const restart = ({ role, part, all }: Kind): Fault => ({
  name: `restart-${role}`,
  touches: [part],
  lastsMs: [0, 500],
  unavailable: always,
  async inject(deployment, random) {
    const victim = random.pick(all(deployment));
    await victim.kill('SIGTERM');
    return { target: victim.name, heal: async () => victim.start() };
  },
});

/** Every socket is gone at once, and all devices come back together: a reconnect storm. */
const killAllGateways: Fault = {
  name: 'kill-all-gateways',
  touches: ['gateways'],
  lastsMs: [0, 2_000],
  unavailable: always,
  async inject({ gateways }) {
    await Promise.all(gateways.map((gateway) => gateway.kill('SIGKILL')));
    const heal = async (): Promise<void> => {
      for (const gateway of gateways) gateway.start();
    };
    return { target: 'every gateway', heal };
  },
};

export const processFaults: readonly Fault[] = [
  ...kinds.map(kill),
  ...kinds.map(pause),
  ...kinds.map(restart),
  killAllGateways,
];
