/** `rookery config check`: what is in force, and where each value came from. */
import type { Command } from 'commander';
import type { TObject } from 'typebox';

const SECRET = /secret|password|apiKeys/i;

export function registerConfig(program: Command): void {
  program
    .command('config')
    .description('configuration of the processes')
    .command('check')
    .description('print what is in force and where it came from')
    .argument('<process>', 'gateway or fan-out-worker')
    .option('--config <file>', 'JSON file')
    .action(async (name: string, { config: file }: { config?: string }) => {
      const { loadConfiguration } = await import('../processes/configuration/load.ts');
      const { RookeryError } = await import('../protocol/error-codes.ts');
      const { gatewaySchema } = await import('../processes/configuration/gateway.ts');
      const { fanOutWorkerSchema } = await import('../processes/configuration/fan-out-worker.ts');
      const schemas: Record<string, TObject> = { gateway: gatewaySchema, 'fan-out-worker': fanOutWorkerSchema };
      const schema = schemas[name];
      if (!schema)
        throw new RookeryError('CONFIGURATION_INVALID', `no process ${name}: ${Object.keys(schemas).join(', ')}`);
      const { origins } = loadConfiguration(schema, { file });
      const width = Math.max(...origins.map(({ field }) => field.length));
      for (const { field, value, from } of origins) {
        const shown = SECRET.test(field) && value !== '' ? '(set)' : JSON.stringify(value);
        console.log(`${field.padEnd(width)}  ${from.padEnd(11)}  ${shown}`);
      }
    });
}
