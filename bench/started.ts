/**
 * What the bench has started and must stop: in the end of each row, on an error, and on Ctrl-C. Children of ours end by
 * themselves when their parent is gone (their standard input or IPC channel ends), so that not even a kill -9 leaves any.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { NODE_FLAGS } from '../src/adapters/system/node-flags.ts';

/** After it a child that was asked to end is killed. */
const END_WITHIN_MS = 20_000;

const started = new Set<() => Promise<void>>();
let isEnding = false;

/** Keeps `stop` for the case that the bench is cut short; gives what stops now, once. */
export function stoppable(stop: () => Promise<void>): () => Promise<void> {
  if (isEnding) throw new Error('the bench is being stopped');
  let stopping: Promise<void> | undefined;
  const once = (): Promise<void> =>
    (stopping ??= stop().finally(() => {
      started.delete(once);
    }));
  started.add(once);
  return once;
}

/** Newest first; goes on where one fails. From here on nothing can be started. */
export async function stopAll(): Promise<void> {
  isEnding = true;
  for (const stop of [...started].reverse()) await stop().catch((error: unknown) => console.error(String(error)));
}

/** Whether the bench is being stopped: what fails then is no finding. */
export const isStopping = (): boolean => isEnding;

export interface Child {
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** A process of the product, as an operator runs it. Its log goes to this one's. */
export function startProduct(script: string, args: readonly string[], nodeFlags: readonly string[]): Child {
  // Ctrl-C in a terminal reaches this process alone: it stops the parts in their order.
  const child = spawn(process.execPath, [...NODE_FLAGS, ...nodeFlags, script, ...args], {
    stdio: ['pipe', 'inherit', 'inherit'],
    detached: true,
  });
  child.stdin?.on('error', () => undefined);
  return { process: child, stop: stoppable(() => ended(child, () => child.kill('SIGTERM'))) };
}

/** A part of the bench, which speaks with it over IPC. */
export function startOwn(script: string, args: readonly string[] = [], nodeFlags: readonly string[] = []): Child {
  const child = fork(script, [...args], { execArgv: [...nodeFlags], detached: true });
  return { process: child, stop: stoppable(() => ended(child, () => child.connected && child.disconnect())) };
}

async function ended(child: ChildProcess, ask: () => unknown): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  ask();
  const killer = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS);
  await gone;
  clearTimeout(killer);
}
