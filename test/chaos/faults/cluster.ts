/** What only a cluster can suffer: it loses a leader, or is parted, or is restarted one by one while all goes on. */
import { convStreamName, inboxStreamName } from '../../../src/protocol/subjects.ts';
import { eventually } from '../../support/waiting.ts';
import {
  type DeployedProcess,
  type Deployment,
  processNamed,
  type Route,
  replicated,
} from '../deployment/deployment.ts';
import type { Random } from '../random.ts';
import { type Fault, range } from './fault.ts';

const LED_WITHIN_MS = 30_000;
/** Of one process in a rolling restart, until it is back and no replica is behind. */
const BACK_WITHIN_MS = 60_000;

const alone = ({ natsServers }: Deployment): string | undefined =>
  natsServers.length > 1 ? undefined : 'there is one nats-server';

interface Led {
  readonly stream: string;
  readonly leader: DeployedProcess;
}

/** Of the log or of the inboxes, whoever leads it now. */
async function someLeader(deployment: Deployment, random: Random): Promise<Led> {
  const { operator, topology } = deployment;
  const names = [
    ...range(topology.convStreams).map(convStreamName),
    ...range(topology.inboxStreams).map(inboxStreamName),
  ];
  const stream = random.pick(names);
  const found = await eventually(
    () =>
      operator.jsm.streams.info(stream).then(
        ({ cluster }) => cluster?.leader || undefined,
        () => undefined,
      ),
    `${stream} has a leader`,
    LED_WITHIN_MS,
  );
  return { stream, leader: processNamed(deployment, found) };
}

const leaderFault = (
  name: string,
  lastsMs: Fault['lastsMs'],
  harm: (leader: DeployedProcess) => Promise<void>,
  heal: (leader: DeployedProcess) => void,
): Fault => ({
  ...{ name, lastsMs, touches: ['nats-servers'], unavailable: alone },
  async inject(deployment, random) {
    const { stream, leader } = await someLeader(deployment, random);
    await harm(leader);
    return { target: `${leader.name}, which leads ${stream}`, heal: async () => heal(leader) };
  },
});

/** At times so long that another is chosen (4 to 9 s), at times it comes back before. */
const killLeader = leaderFault(
  'kill-leader',
  [0, 15_000],
  (leader) => leader.kill('SIGKILL'),
  (leader) => leader.start(),
);

/** One that does not know that others have taken it for dead. */
const pauseLeader = leaderFault(
  'pause-leader',
  [1_000, 12_000],
  (leader) => leader.pause(),
  (leader) => leader.resume(),
);

const cut = (
  name: string,
  lastsMs: Fault['lastsMs'],
  choose: (deployment: Deployment, random: Random) => Promise<Cut>,
): Fault => ({
  ...{ name, lastsMs, touches: ['nats-servers', 'links'], unavailable: alone },
  async inject(deployment, random) {
    const { target, isCut } = await choose(deployment, random);
    const routes = deployment.routes.filter(isCut);
    const way = random.pick(routes[0]?.ways ?? []);
    for (const route of routes) route.part(way);
    const heal = async (): Promise<void> => {
      for (const route of routes) route.join();
    };
    return { target: `${target} (${way})`, heal };
  },
});

interface Cut {
  readonly target: string;
  readonly isCut: (route: Route) => boolean;
}

const touching =
  (name: string) =>
  ({ from, to }: Route): boolean =>
    from === name || to === name;

/** Clients reach it all the same, and it knows of nothing that goes on elsewhere. */
const cutOffNode = cut('cut-off-node', [1_000, 15_000], async ({ natsServers }, random) => {
  const { name } = random.pick(natsServers);
  return { target: name, isCut: touching(name) };
});

const cutOffLeader = cut('cut-off-leader', [1_000, 15_000], async (deployment, random) => {
  const { stream, leader } = await someLeader(deployment, random);
  return { target: `${leader.name}, which leads ${stream},`, isCut: touching(leader.name) };
});

/** Two that do not see each other, and a third that sees both. */
const partRoute = cut('part-two-nodes', [1_000, 15_000], async ({ natsServers }, random) => {
  const left = random.pick(natsServers);
  const right = random.pick(natsServers.filter((server) => server !== left));
  return {
    target: `${left.name} from ${right.name}`,
    isCut: (route) => touching(left.name)(route) && touching(right.name)(route),
  };
});

/** A release: each process asked to end and started again, the next one when all is whole. */
const rollingRestart: Fault = {
  name: 'rolling-restart',
  touches: ['nats-servers', 'workers', 'gateways', 'links'],
  lastsMs: [0, 0],
  unavailable: alone,
  async inject(deployment) {
    const { natsServers, workers, gateways } = deployment;
    for (const process of [...natsServers, ...workers, ...gateways]) {
      await process.kill('SIGTERM');
      process.start();
      await eventually(() => process.isReady(), `${process.name} is back`, BACK_WITHIN_MS);
      await replicated(deployment);
    }
    return { target: 'every process, one by one', heal: async () => undefined };
  },
};

export const clusterFaults: readonly Fault[] = [
  killLeader,
  pauseLeader,
  cutOffNode,
  cutOffLeader,
  partRoute,
  rollingRestart,
];
