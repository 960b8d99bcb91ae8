#!/usr/bin/env -S node --max-semi-space-size=4
/** The `rookery` command. Each subcommand lives in a file of its own, loaded only when it is called. */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { Command } from 'commander';
import { asRookeryError } from '../protocol/error-codes.ts';
import { registerChat } from './chat.ts';
import { registerCluster } from './cluster.ts';
import { registerCompletion } from './completion.ts';
import { registerConfig } from './config.ts';
import { registerDead } from './dead.ts';
import { registerDev } from './dev.ts';
import { registerExport } from './export.ts';
import { registerImport } from './import.ts';
import { registerKey } from './key.ts';
import { registerProcesses } from './processes.ts';
import { endBar } from './progress.ts';
import { registerReadModel } from './read-model.ts';
import { registerRebuild } from './rebuild.ts';
import { registerReplay } from './replay.ts';
import { registerShow } from './show.ts';
import { registerStats } from './stats.ts';
import { registerStreams } from './streams.ts';
import { registerTail } from './tail.ts';
import { registerToken } from './token.ts';
import { registerVerify } from './verify.ts';

const EXAMPLES = `
Examples:
  rookery dev                          everything on this machine
  rookery chat --as alice --to bob     chat in a terminal
  rookery token --user alice           a token for development
  rookery config check gateway         what is in force and where it came from
  rookery streams diff                 the server's streams against the files`;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('rookery')
  .version(version)
  .description('An event-sourced instant-messaging engine on NATS JetStream')
  .showHelpAfterError('(--help shows what there is)')
  .addHelpText('after', EXAMPLES);

registerDev(program);
registerChat(program);
registerToken(program);
registerKey(program);
registerProcesses(program);
registerStreams(program);
registerCluster(program);
registerConfig(program);
registerDead(program);
registerReadModel(program);
registerTail(program);
registerShow(program);
registerReplay(program);
registerVerify(program);
registerStats(program);
registerRebuild(program);
registerCompletion(program);
registerExport(program);
registerImport(program);

// A reader that went away (`rookery … | head`) is no error: who can drain drains, anybody else is done. A full disk is one.
let isOutputLost = false;
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (isOutputLost) return;
  isOutputLost = true;
  const isError = code !== 'EPIPE';
  if (isError) {
    endBar();
    console.error(`FILE_UNUSABLE: what was to be said cannot be written: ${message}`);
    // Whatever the command makes of its being ended.
    process.on('exit', () => (process.exitCode = 1));
  }
  if (process.listenerCount('SIGTERM') === 0) process.exit(isError ? 1 : 0);
  process.kill(process.pid, 'SIGTERM');
});

try {
  await program.parseAsync();
} catch (thrown) {
  const error = asRookeryError(thrown);
  const text = error.code === 'INTERNAL' ? String((thrown as Error).stack ?? thrown) : error.message;
  endBar();
  console.error(`${error.code}: ${text}${whereFrom(error)}`);
  process.exitCode = 1;
}
// Who did not do what was asked ends here: a connection that is never greeted would keep it.
if (process.exitCode) process.stdout.write('', () => process.stderr.write('', () => process.exit()));

/** A relative path does not say from where it was looked for. */
function whereFrom({ cause }: Error): string {
  const { code, path = '/' } = (cause ?? {}) as NodeJS.ErrnoException;
  return code !== 'ENOENT' || isAbsolute(path) ? '' : `; paths are relative to the current folder, ${process.cwd()}`;
}
