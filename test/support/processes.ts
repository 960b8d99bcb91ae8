/** Processes of ours as a test runs them: real ones, that can be killed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './waiting.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');

export interface RunningProcess {
  readonly child: ChildProcess;
  /** Lines of its log so far. */
  readonly lines: string[];
  /** Resolves with the signal or code it ended by. */
  readonly ended: Promise<string>;
  /** The first log line with this `what`. */
  said(what: string): Promise<Record<string, unknown>>;
}

/** `rookery <command> --config <file>` with a configuration of its own. */
export function startProcess(command: string, configuration: object, dir: string): RunningProcess {
  const file = join(dir, `${command}-${crypto.randomUUID()}.json`);
  writeFileSync(file, JSON.stringify(configuration));
  // It ends with this test, also with one that was killed.
  const args = [CLI, command, '--with-parent', '--config', file];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const waiting = new Map<string, (line: Record<string, unknown>) => void>();
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      const { what } = JSON.parse(line) as { what: string };
      waiting.get(what)?.(JSON.parse(line));
    }
  });
  child.stderr.on('data', (chunk: Buffer) => lines.push(chunk.toString()));
  const ended = new Promise<string>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? String(code))));
  return {
    child,
    lines,
    ended,
    said(what) {
      const found = lines.find((line) => line.startsWith('{') && JSON.parse(line).what === what);
      if (found) return Promise.resolve(JSON.parse(found));
      return new Promise((resolve, reject) => {
        waiting.set(what, resolve);
        void ended.then((how) =>
          reject(new Error(`${command} ended (${how}) before it said "${what}":\n${lines.join('\n')}`)),
        );
      });
    },
  };
}

/** Resolves when a process that was sent SIGSTOP has really stopped: the signal takes its time on a busy machine. */
export async function stopped(pid: number | undefined): Promise<void> {
  const state = (): string => execFileSync('ps', ['-o', 'state=', '-p', String(pid)]).toString();
  await eventually(() => state().startsWith('T'), 'the process stops');
}
