/** A deployment as an operator's command line meets it: a real server, events in its log, and the `rookery` command. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import { type ConversationEvent, partOf } from '../../src/domain/conversation.ts';
import type { ConversationId, UserId } from '../../src/domain/ids.ts';
import { startFanOutWorker } from '../../src/processes/fan-out-worker.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject, messageIdOf, type Topology } from '../../src/protocol/subjects.ts';
import { bytes, msgId } from './given.ts';
import { quiet, startNats, type TestNats } from './nats.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Run {
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly said: { stdout: string; stderr: string };
  readonly ended: Promise<Outcome>;
}

/** An event without its id, which is given by the order of appending. */
export type Said = ConversationEvent extends infer E ? (E extends unknown ? Omit<E, 'id'> : never) : never;

export interface Operated {
  readonly nats: TestNats;
  readonly operator: Nats;
  readonly configFile: string;
  /** Gives the position. */
  append(to: ConversationId, event: Said, id?: string): Promise<number>;
  start(...args: string[]): Run;
  run(...args: string[]): Promise<Outcome>;
  /** With another file of configuration. */
  runWith(config: string, ...args: string[]): Promise<Outcome>;
  /** What each line says. @throws what was written to stderr where there is no line */
  json(...args: string[]): Promise<Record<string, unknown>[]>;
  startWorker(name?: string): Promise<{ drain(): Promise<void> }>;
  /** Stops the workers. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

export async function startOperated(topology: Topology = { convStreams: 1, inboxStreams: 1 }): Promise<Operated> {
  const nats = await startNats({ topology });
  const operator = await nats.connect('operator');
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  const configFile = join(nats.dataDir, 'operator.json');
  writeFileSync(configFile, JSON.stringify({ nats: access, topology }));
  let count = 0;
  const workers: { drain(): Promise<void> }[] = [];
  const startWith = (config: string, ...args: string[]): Run => {
    const child = spawn(process.execPath, [CLI, ...args, '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // What is looked for in the current folder is not that of whoever runs the test.
      cwd: nats.dataDir,
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (said.stdout += chunk));
    child.stderr.on('data', (chunk) => (said.stderr += chunk));
    const ended = new Promise<Outcome>((resolve) => child.once('close', (code) => resolve({ code, ...said })));
    return { child, said, ended };
  };
  const start = (...args: string[]): Run => startWith(configFile, ...args);
  const run = (...args: string[]): Promise<Outcome> => start(...args).ended;
  return {
    nats,
    operator,
    configFile,
    async append(to, event, id = `id-${String(++count).padStart(6, '0')}`) {
      const full = { ...event, id: msgId(id) } as ConversationEvent;
      const headers = { msgID: messageIdOf(to, full.by, full.id) };
      return (await operator.js.publish(conversationSubject(to, partOf(full)), encodeLogEvent(full), headers)).seq;
    },
    start,
    run,
    runWith: (config, ...args) => startWith(config, ...args).ended,
    async json(...args) {
      const { stdout, stderr } = await run(...args, '--json');
      if (stdout === '') throw new Error(`${args.join(' ')}: ${stderr}`);
      return stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    },
    async startWorker(name = 'a') {
      const config = {
        nats: access,
        topology,
        logLevel: 'silent' as const,
        stateDir: join(nats.dataDir, `fan-out-${name}`),
      };
      const worker = await startFanOutWorker(config, quiet);
      workers.push(worker);
      return worker;
    },
    async drain() {
      for (const worker of workers.splice(0)) await worker.drain();
    },
    async stop() {
      for (const worker of workers) await worker.drain();
      await nats.stop();
    },
  };
}

export const says = (by: UserId, text: string): Said => ({
  type: 'messageSent',
  by,
  contentType: 'text/plain',
  body: bytes(text),
});
