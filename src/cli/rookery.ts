#!/usr/bin/env node
/** The `rookery` command. Each subcommand lives in a file of its own, loaded only when it is called. */
import { Command } from 'commander';
import { asRookeryError } from '../protocol/error-codes.ts';
import { registerChat } from './chat.ts';
import { registerConfig } from './config.ts';
import { registerDead } from './dead.ts';
import { registerDev } from './dev.ts';
import { registerProcesses } from './processes.ts';
import { registerStreams } from './streams.ts';
import { registerToken } from './token.ts';

const program = new Command('rookery')
  .description('An event-sourced instant-messaging engine on NATS JetStream')
  .showHelpAfterError('(--help shows what there is)');

registerDev(program);
registerChat(program);
registerToken(program);
registerProcesses(program);
registerStreams(program);
registerConfig(program);
registerDead(program);

// A reader that went away (`rookery … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  await program.parseAsync();
} catch (thrown) {
  const error = asRookeryError(thrown);
  const text = error.code === 'INTERNAL' ? String((thrown as Error).stack ?? thrown) : error.message;
  console.error(`${error.code}: ${text}`);
  process.exitCode = 1;
}
