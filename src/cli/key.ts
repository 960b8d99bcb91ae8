/** `rookery key`: API keys for backends, in the folder that gateways read (`auth.apiKeyDir`). */
import type { Command } from 'commander';
import type { Scope } from '../ports/api-keys.ts';

const DAY_MS = 24 * 3_600_000;
const DEFAULT_DIR = 'data/api-keys';

const EXAMPLES = `
Examples:
  rookery key create shop --scope messages:write conversations:read
  rookery key create crm --scope accounts:read accounts:write --rate 50 --burst 100 --days 90
  rookery key list
  rookery key revoke shop                   counts no more within a second, at every gateway`;

interface CreateFlags {
  readonly dir: string;
  readonly scope: readonly (Scope | 'all')[];
  readonly rate?: string;
  readonly burst?: string;
  readonly days?: string;
}

export function registerKey(program: Command): void {
  const key = program
    .command('key')
    .description('API keys for backends: what each may do, and how much of it')
    .addHelpText('after', EXAMPLES);
  key
    .command('create')
    .description('make a key and print it: it stands nowhere else')
    .argument('<name>', 'what logs and metrics know it by')
    .requiredOption('--scope <scopes...>', 'what it may do: `all`, or of docs/HTTP.md')
    .option('--rate <n>', 'requests a second, at each gateway (default: without a limit)')
    .option('--burst <n>', 'requests at once, after a pause (default: those of a second)')
    .option('--days <n>', 'how long it counts (default: until it is revoked)')
    .option('--dir <dir>', 'folder of the keys', DEFAULT_DIR)
    .action(create);
  key
    .command('list')
    .description('names, scopes, rates and ends; never a key')
    .option('--dir <dir>', 'folder of the keys', DEFAULT_DIR)
    .action(list);
  key
    .command('revoke')
    .description('take a key back')
    .argument('<name>', 'as `list` shows it')
    .option('--dir <dir>', 'folder of the keys', DEFAULT_DIR)
    .action(async (name: string, { dir }: { dir: string }) => {
      const { removeApiKeyFile } = await import('../adapters/system/api-key-files.ts');
      removeApiKeyFile(dir, name);
      console.log(`revoked ${name}`);
    });
}

async function create(name: string, flags: CreateFlags): Promise<void> {
  const { createApiKeyFile, hashOfApiKey, newApiKey } = await import('../adapters/system/api-key-files.ts');
  const { RookeryError } = await import('../protocol/error-codes.ts');
  const number = (option: 'rate' | 'burst' | 'days'): number | undefined => {
    const text = flags[option];
    if (text === undefined || Number(text) > 0) return text === undefined ? undefined : Number(text);
    throw new RookeryError('CONFIGURATION_INVALID', `--${option} ${text}: must be a number above 0`);
  };
  const [rate, burst, days] = [number('rate'), number('burst'), number('days')];
  if (burst !== undefined && rate === undefined)
    throw new RookeryError('CONFIGURATION_INVALID', '--burst: needs --rate');
  const key = newApiKey();
  const now = Date.now();
  createApiKeyFile(flags.dir, {
    name,
    hash: hashOfApiKey(key),
    scopes: flags.scope,
    ...(rate !== undefined && { rate: { requestsPerSecond: rate, burst: burst ?? Math.max(1, Math.ceil(rate)) } }),
    createdAt: now,
    expiresAt: days === undefined ? 0 : now + Math.round(days * DAY_MS),
  });
  console.log(key);
}

async function list({ dir }: { dir: string }): Promise<void> {
  const { readApiKeyFiles } = await import('../adapters/system/api-key-files.ts');
  const keys = readApiKeyFiles(dir);
  for (const { name, scopes, rate, createdAt, expiresAt } of keys) {
    const pace = rate ? `${rate.requestsPerSecond} a second, ${rate.burst} at once` : 'any rate';
    const end = expiresAt === 0 ? 'no end' : `until ${new Date(expiresAt).toISOString()}`;
    console.log(`${name}  ${scopes.join(',')}  ${pace}  since ${new Date(createdAt).toISOString()}  ${end}`);
  }
  if (keys.length === 0) console.log('no keys');
}
