/** What all commands of an operator have in common: where the deployment is, how an answer is written, and Ctrl-C. */
import type { Command } from 'commander';
import type { Nats, NatsAccess, Role } from '../adapters/jetstream/connect.ts';
import type { Log } from '../ports/log.ts';
import { asRookeryError, RookeryError } from '../protocol/error-codes.ts';
import type { Topology } from '../protocol/subjects.ts';
import { endBar } from './progress.ts';

/** As a shell has it for a program that SIGINT ended. */
export const INTERRUPTED_EXIT_CODE = 130;
const TERMINATED_EXIT_CODE = 143;
/** Something was looked for and is not as it should be; also of an error. */
export const DIFFERS_EXIT_CODE = 1;

export const EXIT_CODES = `
Exit codes: 0 done · 1 an error, told as its code, or a difference that was found · 130 interrupted`;

export interface OperatorOptions {
  readonly config?: string;
  /** Undefined: not said. */
  readonly json?: boolean;
}

export interface Operator {
  readonly nats: Nats;
  /** For who needs a connection more. */
  readonly access: NatsAccess;
  readonly topology: Topology;
  /** Folders of the workers on this machine, unless an option names another. */
  readonly stateDirs: {
    readonly readModel: string;
    readonly fanOut: string;
    /** The configuration says where the read model is; else it is looked for where `make dev` has it. */
    readonly isReadModelNamed: boolean;
  };
  readonly log: Log;
  /** Aborted by Ctrl-C; a second one ends the process at once. */
  readonly stop: AbortSignal;
}

/** A command with the options that all have. */
export function operatorCommand(parent: Command, usage: string, description: string, examples: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option(
      '--config <file>',
      'JSON file with `nats`, `topology` and `stateDirs`: operator.json of `rookery dev`, or that of any process',
    )
    .option('--json', 'JSON, one object a line')
    .addHelpText('after', `\nExamples:\n${examples}\n${EXIT_CODES}`);
}

/**
 * As `connectNats`; whoever finds nobody there is told what to start.
 * @param file the configuration that was named
 * @throws RookeryError CONFIGURATION_INVALID, LOG_UNAVAILABLE
 */
export async function connected(access: NatsAccess, role: Role, name: string, log: Log, file?: string): Promise<Nats> {
  const { connectNats } = await import('../adapters/jetstream/connect.ts');
  try {
    return await connectNats(access, role, `rookery ${name}`, log);
  } catch (thrown) {
    const { code, message, cause } = asRookeryError(thrown);
    const isNobodyThere = code === 'LOG_UNAVAILABLE' || (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    if (!isNobodyThere) throw thrown;
    const hint = file === undefined ? 'does `make dev` run?' : `does the deployment of ${file} run?`;
    throw new RookeryError(code, `${message}; ${hint}`, { cause });
  }
}

/**
 * @param goOn what to type, or what to know, after Ctrl-C; a function is asked when it comes
 * @throws RookeryError CONFIGURATION_INVALID, LOG_UNAVAILABLE
 */
export async function withOperator(
  { config: file }: OperatorOptions,
  name: string,
  goOn: string | (() => string),
  work: (operator: Operator) => Promise<void>,
): Promise<void> {
  const { loadDeployment, operatorSchema } = await import('../processes/configuration/operator.ts');
  const { createLog } = await import('../adapters/system/log.ts');
  const { config, origins } = loadDeployment(operatorSchema, { file });
  const isReadModelNamed = origins.some(({ field, from }) => field === 'stateDirs.readModel' && from !== 'default');
  const log = createLog('cli', 'silent');
  const stop = interruptible(goOn);
  const { unlessStopped } = await import('../application/pause.ts');
  const nats = await unlessStopped(stop, connected(config.nats, 'operator', name, log, file));
  if (!nats) return;
  try {
    const { topology } = config;
    const stateDirs = { ...config.stateDirs, isReadModelNamed };
    await work({ nats, access: config.nats, topology, stateDirs, log, stop });
  } catch (thrown) {
    // Who is stopped waits for nobody: that nobody answers is not what ended it.
    if (!stop.aborted || asRookeryError(thrown).code !== 'LOG_UNAVAILABLE') throw thrown;
  } finally {
    await nats.nc.close();
  }
}

/**
 * Aborts at the first Ctrl-C, which then says how to go on; the second one ends the process where it is. So does SIGTERM, which is
 * also what a reader of stdout that went away makes of it, or a disk that is full (rookery.ts, which tells of what is an error).
 */
export function interruptible(goOn: string | (() => string)): AbortSignal {
  const interrupted = new AbortController();
  process.stdout.on('error', () => (isOutputLost = true));
  const onSignal = (exitCode: number): void => {
    if (interrupted.signal.aborted) process.exit(exitCode);
    process.exitCode = exitCode;
    if (goOn && exitCode !== 0) {
      // The terminal has written ^C on this line.
      const isOwnLine = endBar() || process.stderr.isTTY !== true;
      process.stderr.write(`${isOwnLine ? '' : '\n'}${typeof goOn === 'string' ? goOn : goOn()}\n`);
    }
    interrupted.abort();
  };
  process.on('SIGINT', () => onSignal(INTERRUPTED_EXIT_CODE));
  process.on('SIGTERM', () => onSignal(isOutputLost ? 0 : TERMINATED_EXIT_CODE));
  return interrupted.signal;
}

let isOutputLost = false;

/** Written when whoever reads is ready for more: nothing piles up here. */
export async function print(text: string): Promise<void> {
  const { stdout } = process;
  endBar();
  if (isOutputLost || stdout.write(`${text}\n`)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stdout.off('drain', done).off('error', done);
      resolve();
    };
    stdout.on('drain', done).on('error', done);
  });
}

/** An id from the command line. @throws RookeryError BAD_ID */
export function idFrom<Id>(text: string | undefined, parse: (value: unknown) => Id | undefined, what: string) {
  if (text === undefined) return undefined;
  const id = parse(text);
  if (id === undefined) throw new RookeryError('BAD_ID', `${what} ${JSON.stringify(text.slice(0, 64))} is none`);
  return id;
}
