/**
 * Twice the load that saturates the system, for minutes: it must refuse, say when to come again, stay within its memory, and
 * be as quick as before within seconds of the end. `make chaos-overload MINUTES=5`.
 *
 * Generator and system share the machine, as in the bench: saturation is measured in the same run, and twice of it is what
 * the open loop sends.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { residentKiB } from '../../../bench/usage.ts';
import { type Deployment, processesOf, settled } from '../deployment/deployment.ts';
import { startOneNode } from '../deployment/one-node.ts';
import type { Balance, FromLoad, Load, Second, ToLoad } from './job.ts';

const PAIRS = 64;
/** Messages a second that the system hardly notices: by them its latency before and after is measured. */
const CALM_PER_S = 200;
const CALM_S = 5;
const SATURATION_S = 10;
const WARM_UP_S = 3;
/** "As before": within this many times the calm p99 of before, in every second from then on. */
const AS_BEFORE = 3;
/** Below it a p99 is as good as any. */
const QUICK_MS = 20;
const BACK_WITHIN_S = 10;
const SETTLED_WITHIN_MS = 60_000;

/**
 * Resident memory that each process may take at most. A gateway: what a bare one takes, its ring, its appends and what its
 * sockets may leave unread (docs/GUARANTEES.md); a worker: its caches and two portions of 4 MiB. nats-server keeps what its
 * clients have not read (`max_pending`) and caches of blocks.
 */
const MAX_RESIDENT_MIB = { gateway: 768, 'fan-out-worker': 512, 'nats-server': 1_024 } as const;

async function run(overloadS: number): Promise<boolean> {
  const deployment = await startOneNode({
    ...{ profile: 'default', topology: { convStreams: 1, inboxStreams: 1 } },
    ...{ links: false, disk: false, limits: {} },
  });
  const memory = new MemoryWatch(deployment);
  const load = new LoadProcess();
  try {
    await settled(deployment, SETTLED_WITHIN_MS);
    await load.connect({
      urls: deployment.gateways.map(({ url }) => url),
      secretFile: deployment.secretFile,
      pairs: PAIRS,
    });
    const calm = await load.stage(CALM_PER_S, WARM_UP_S, CALM_S);
    const saturated = await load.stage('closed', WARM_UP_S, SATURATION_S);
    const saturation = Math.round(sum(saturated, 'delivered') / SATURATION_S);
    console.log(`saturated at ${saturation} messages/s; now ${2 * saturation} a second for ${overloadS} s`);
    const over = await load.stage(2 * saturation, 0, overloadS);
    const after = await load.stage(CALM_PER_S, 0, BACK_WITHIN_S + CALM_S);
    const balance = await load.settle();
    return judged({ calm, saturated, over, after }, balance, memory.peaks(), 2 * saturation);
  } finally {
    memory.stop();
    load.stop();
    await deployment.stop();
  }
}

interface Course {
  readonly calm: readonly Second[];
  readonly saturated: readonly Second[];
  readonly over: readonly Second[];
  readonly after: readonly Second[];
}

/** Prints the tables, and what was not kept. */
function judged(course: Course, balance: Balance, peaks: readonly Peak[], perS: number): boolean {
  const { calm, saturated, over, after } = course;
  const backAfterS = secondsUntilCalm(after, calm);
  console.log(
    '\n| stage | sent/s | acked/s | refused/s | kept from writing/s | ack p50 / p99 ms | delivery p50 / p99 ms |',
  );
  console.log('|---|---|---|---|---|---|---|');
  for (const [name, seconds] of [
    ['calm', calm],
    ['saturated', saturated],
    ['twice of it', over],
    ['after', after.slice(backAfterS)],
  ] as const) {
    console.log(rowOf(name, seconds));
  }
  console.log('\n| process | resident at most, MiB | bound |\n|---|---|---|');
  for (const { name, mib, bound } of peaks) console.log(`| ${name} | ${mib} | ${bound} |`);
  console.log(`\n${JSON.stringify(balance)}\nas before ${backAfterS} s after the end`);

  const errors = Object.assign({}, ...over.map((second) => second.errors)) as Record<string, number>;
  const wrong = [
    ...(sum(over, 'sent') + sum(over, 'unwritten') < 0.9 * perS * over.length
      ? [`only ${sum(over, 'sent')} were sent: the generator is the limit`]
      : []),
    ...(sum(over, 'refused') === 0 ? ['nothing was refused'] : []),
    ...(sum(over, 'refusedWithoutTime') > 0 ? ['a refusal named no time'] : []),
    ...Object.keys(errors).map((code) => `an error other than OVERLOADED: ${code}`),
    ...(balance.lost > 0 ? [`${balance.lost} acked messages were not delivered`] : []),
    ...(balance.unanswered > 0 ? [`${balance.unanswered} requests were never answered`] : []),
    ...(balance.closedSockets > 0 ? [`${balance.closedSockets} sockets were closed`] : []),
    ...(backAfterS > BACK_WITHIN_S ? [`not as before within ${BACK_WITHIN_S} s`] : []),
    ...peaks.filter(({ mib, bound }) => mib > bound).map(({ name }) => `${name} took more memory than its bound`),
  ];
  for (const line of wrong) console.log(`VIOLATION: ${line}`);
  return wrong.length === 0;
}

/** How many seconds went by until every one to come was as calm as before; the number of all where none was. */
function secondsUntilCalm(after: readonly Second[], calm: readonly Second[]): number {
  const usual = Math.max(QUICK_MS, AS_BEFORE * median(calm.map(({ deliveryP99Ms }) => deliveryP99Ms)));
  return after.findLastIndex(({ deliveryP99Ms, delivered }) => delivered === 0 || deliveryP99Ms > usual) + 1;
}

function rowOf(name: string, seconds: readonly Second[]): string {
  const perS = (field: Count): string =>
    Math.round(sum(seconds, field) / Math.max(1, seconds.length)).toLocaleString('en');
  const ms = (field: 'ackP50Ms' | 'ackP99Ms' | 'deliveryP50Ms' | 'deliveryP99Ms'): string =>
    median(seconds.map((second) => second[field])).toFixed(1);
  const latencies = `${ms('ackP50Ms')} / ${ms('ackP99Ms')} | ${ms('deliveryP50Ms')} / ${ms('deliveryP99Ms')}`;
  return `| ${name} | ${perS('sent')} | ${perS('acked')} | ${perS('refused')} | ${perS('unwritten')} | ${latencies} |`;
}

type Count = 'sent' | 'acked' | 'delivered' | 'refused' | 'unwritten' | 'refusedWithoutTime';

function sum(seconds: readonly Second[], field: Count): number {
  return seconds.reduce((total, second) => total + second[field], 0);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

interface Peak {
  readonly name: string;
  readonly mib: number;
  readonly bound: number;
}

class MemoryWatch {
  readonly #deployment: Deployment;
  readonly #peaks = new Map<string, Peak>();
  readonly #timer: NodeJS.Timeout;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    this.#timer = setInterval(() => this.#look(), 1_000);
  }

  peaks(): readonly Peak[] {
    return [...this.#peaks.values()];
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const { name, role, pid } of processesOf(this.#deployment)) {
      if (pid === undefined) continue;
      const mib = Math.round(residentKiB(pid) / 1_024);
      if (mib > (this.#peaks.get(name)?.mib ?? 0)) this.#peaks.set(name, { name, mib, bound: MAX_RESIDENT_MIB[role] });
    }
  }
}

class LoadProcess {
  readonly #child: ChildProcess = fork(join(import.meta.dirname, 'generator.ts'), { detached: true });
  readonly #seconds: Second[] = [];
  #heard: (message: FromLoad) => void = () => undefined;

  constructor() {
    this.#child.on('message', (message: FromLoad) => {
      if ('second' in message) this.#seconds.push(message.second);
      this.#heard(message);
    });
  }

  async connect(load: Load): Promise<void> {
    this.#say({ load });
    await this.#next((message) => 'ready' in message || undefined);
  }

  /** @returns the seconds behind the first `skipS` */
  async stage(perS: number | 'closed', skipS: number, lastsS: number): Promise<readonly Second[]> {
    this.#say({ stage: { perS } });
    const from = this.#seconds.length + skipS;
    await this.#next(() => this.#seconds.length >= from + lastsS || undefined);
    return this.#seconds.slice(from, from + lastsS);
  }

  async settle(): Promise<Balance> {
    this.#say({ settle: true });
    return this.#next((message) => ('balance' in message ? message.balance : undefined));
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #say(message: ToLoad): void {
    this.#child.send(message);
  }

  /** Resolves with the first that `look` finds; @throws what the generator threw, or its end */
  #next<T>(look: (message: FromLoad) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null): void => reject(new Error(`the generator ended: ${code}`));
      this.#child.once('exit', ended);
      this.#heard = (message) => {
        if ('error' in message) reject(new Error(message.error));
        const found = look(message);
        if (found === undefined) return;
        this.#child.off('exit', ended);
        resolve(found);
      };
    });
  }
}

// Behind the classes, which are not there before their lines.
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' } } });
process.exitCode = (await run(Number(values.minutes) * 60)) ? 0 : 1;
