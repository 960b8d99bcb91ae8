/** `rookery config check`: what is in force, and where each value came from. */
import type { Command } from 'commander';
import type { TObject } from 'typebox';
import type { Origin } from '../processes/configuration/load.ts';

const EXAMPLES = `
Examples:
  rookery config check                                what every process would do
  rookery config check gateway --config gateway.json
  ROOKERY_LIMITS__MAX_SESSIONS=100 rookery config check gateway`;

export function registerConfig(program: Command): void {
  program
    .command('config')
    .description('configuration of the processes')
    .command('check')
    .description('print what is in force, where it came from and what it means')
    .argument('[process]', 'gateway, fan-out-worker, read-model-worker or dev; without: all')
    .option('--config <file>', 'JSON file of the process')
    .addHelpText('after', EXAMPLES)
    .action(check);
}

async function check(name: string | undefined, { config: file }: { config?: string }): Promise<void> {
  const { loadConfiguration, variablesOf } = await import('../processes/configuration/load.ts');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const { gatewaySchema } = await import('../processes/configuration/gateway.ts');
  const { fanOutWorkerSchema } = await import('../processes/configuration/fan-out-worker.ts');
  const { readModelWorkerSchema } = await import('../processes/configuration/read-model-worker.ts');
  const { devSchema } = await import('../processes/configuration/dev.ts');
  const schemas: Record<string, TObject> = {
    gateway: gatewaySchema,
    'fan-out-worker': fanOutWorkerSchema,
    'read-model-worker': readModelWorkerSchema,
    dev: devSchema,
  };
  if (name !== undefined && !Object.hasOwn(schemas, name)) {
    const known = Object.keys(schemas).join(', ');
    throw new RookeryError('CONFIGURATION_INVALID', `there is no process ${name}; there are ${known}`);
  }
  if (name === undefined && file !== undefined) {
    throw new RookeryError('CONFIGURATION_INVALID', 'a file is of one process: name it');
  }
  for (const [process, schema] of Object.entries(schemas)) {
    if (name !== undefined && name !== process) continue;
    console.log(`${process}\n${tableOf(loadConfiguration(schema, { file }).origins)}\n`);
  }
  // Named apart: it finds the nats-server binary, which is before any configuration.
  const known = new Set([...variablesOf(Object.values(schemas)), 'ROOKERY_NATS_SERVER']);
  const unknown = Object.keys(process.env).filter(
    (variable) => variable.startsWith('ROOKERY_') && !known.has(variable),
  );
  for (const variable of unknown) console.error(`${variable} is in the environment, and no process has such a field`);
}

function tableOf(origins: readonly Origin[]): string {
  const rows = origins.map((origin) => [origin.field, shown(origin), origin.from, origin.schema?.description ?? '']);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

function shown({ value, schema }: Origin): string {
  const isSet = Array.isArray(value) ? value.length > 0 : value !== '';
  if (schema?.secret && isSet) return '(set)';
  // A password in a URL.
  return JSON.stringify(value).replaceAll(/\/\/[^/@"]+@/g, '//(set)@');
}
