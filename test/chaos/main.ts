/**
 * The fault suite: a deployment, a workload that writes down all it does, faults from a seed, and a checker that decides from
 * what was written down. `make chaos` runs it; docs/RELIABILITY.md says what comes out.
 *
 *   node test/chaos/main.ts [--seed 7] [--minutes 5] [--faults a,b] [--nodes 1|3] [--profile default|sync|cluster]
 *                           [--streams 2] [--report <file>] [--source <checkout>] [--keep yes|no]
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Deployment, type Profile, settled } from './deployment/deployment.ts';
import { whyNoDisk } from './deployment/disk.ts';
import { whyNoNetworks } from './deployment/network.ts';
import { startOneNode } from './deployment/one-node.ts';
import { startThreeNodes } from './deployment/three-nodes.ts';
import { faultsFor } from './faults/catalogue.ts';
import { Proof, type Verdict } from './proof.ts';
import { Random } from './random.ts';
import { type Report, tableOf } from './report.ts';
import { disturb, HEALED_WITHIN_MS } from './schedule.ts';

/** JetStream's own is two minutes; here so short that retries come in after it. */
const DUPLICATE_WINDOW_MS = 2_000;
/** A device whose connection is half-open is found out within seconds, not within a minute and a half. */
const HEARTBEAT_MS = 2_000;

interface Options {
  readonly seed: number;
  readonly forMs: number;
  readonly faults: readonly string[];
  readonly nodes: 1 | 3;
  readonly profile: Profile;
  readonly streams: number;
  readonly reportFile: string | undefined;
  /** Another checkout to put to the test. */
  readonly source: string | undefined;
  /** Whether what a violation has left is kept. */
  readonly keep: boolean;
}

const options = optionsFrom(process.argv.slice(2));
const say = (line: string): void => console.log(line);
const cancelled = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => cancelled.abort());
process.exitCode = (await run(options)) ? 0 : 1;

/** @returns whether every promise held */
async function run(options: Options): Promise<boolean> {
  const { seed, forMs, nodes, profile, streams } = options;
  const where = nodes === 1 ? 'one node' : 'three nodes';
  say(`seed ${seed}: ${where}, profile ${profile}, ${streams} × ${streams} streams, ${forMs / 60_000} min`);
  const deployment = await deploy(options);
  let ok = false;
  try {
    const report = await prove(deployment, options);
    ok = report.violations.length === 0 && !cancelled.signal.aborted;
    say(tableOf(report));
    if (options.reportFile) appendFileSync(options.reportFile, `${JSON.stringify(report)}\n`);
    for (const violation of report.violations) say(`\nVIOLATION\n${violation}`);
    say(cancelled.signal.aborted ? 'STOPPED before its end' : ok ? 'PASSED: every promise held' : 'FAILED');
  } finally {
    if (ok || !options.keep || cancelled.signal.aborted) await deployment.stop();
    else {
      await deployment.halt();
      say(`\nhistory, schedule and logs are kept in ${deployment.dir}; again with SEED=${seed}`);
    }
  }
  return ok;
}

async function deploy({ nodes, profile, streams, source }: Options): Promise<Deployment> {
  const topology = { convStreams: streams, inboxStreams: streams };
  const noDisk = whyNoDisk(tmpdir());
  if (noDisk) say(`not run here: everything that needs a disk of its own (full disk, power loss): ${noDisk}`);
  const site = {
    ...{ topology, duplicateWindowMs: DUPLICATE_WINDOW_MS, links: true, disk: !noDisk },
    limits: { heartbeatMs: HEARTBEAT_MS },
    ...(source !== undefined && { source }),
  };
  if (nodes === 1) return startOneNode({ ...site, profile: oneOf(['default', 'sync'], profile, 'profile') });
  const noNetworks = whyNoNetworks();
  if (noNetworks) say(`not run here: partitions by network namespaces, links part the nodes instead: ${noNetworks}`);
  const ofCluster = oneOf(['default', 'cluster'], profile, 'profile');
  return startThreeNodes({ ...site, profile: ofCluster, networks: !noNetworks });
}

/** The workload goes on from before the first fault until after the last. */
async function prove(deployment: Deployment, options: Options): Promise<Report> {
  const { seed, forMs, faults } = options;
  const dir = join(deployment.dir, 'proof');
  mkdirSync(dir);
  const { available, unavailable } = faultsFor(deployment, faults);
  for (const { name, why } of unavailable) say(`not run here: ${name}: ${why}`);
  if (available.length === 0) throw new Error('none of the faults can be had here');
  await settled(deployment, HEALED_WITHIN_MS);
  const proof = Proof.begin(deployment, { seed, dir });
  const startedAt = performance.now();
  const { happened, violation } = await disturb(deployment, {
    ...{ forMs, faults: available, random: new Random(seed), say, cancelled: cancelled.signal },
    logFile: join(dir, 'schedule.jsonl'),
  });
  const verdict: Verdict = violation ? await proof.abandon(violation) : await proof.end();
  return {
    ...{ seed, deployment: deployment.kind, profile: deployment.profile, topology: deployment.topology },
    ...{ minutes: (performance.now() - startedAt) / 60_000, happened, incidents: deployment.incidents },
    ...verdict,
  };
}

/** What is not said follows from the seed: so the seeds together cover the profiles and topologies. */
function optionsFrom(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      minutes: { type: 'string', default: '5' },
      faults: { type: 'string', default: '' },
      nodes: { type: 'string', default: '1' },
      profile: { type: 'string' },
      streams: { type: 'string' },
      report: { type: 'string' },
      source: { type: 'string' },
      keep: { type: 'string', default: 'yes' },
    },
  });
  const seed = Number(values.seed);
  const nodes = oneOf(['1', '3'], values.nodes, 'nodes') === '1' ? 1 : 3;
  const profile = nodes === 3 ? 'cluster' : seed % 2 === 0 ? 'sync' : 'default';
  return {
    ...{ seed, nodes },
    forMs: Number(values.minutes) * 60_000,
    faults: values.faults.split(',').filter((name) => name !== ''),
    profile: oneOf(['default', 'sync', 'cluster'], values.profile ?? profile, 'profile'),
    streams: values.streams === undefined ? 1 + (Math.floor(seed / 2) % 2) : Number(values.streams),
    reportFile: values.report,
    source: values.source,
    keep: oneOf(['yes', 'no'], values.keep, 'keep') === 'yes',
  };
}

function oneOf<const Name extends string>(names: readonly Name[], given: string, what: string): Name {
  const found = names.find((name) => name === given);
  if (found === undefined) throw new Error(`--${what} ${given}: must be ${names.join(' or ')}`);
  return found;
}
