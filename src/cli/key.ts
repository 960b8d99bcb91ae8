/** `rookery key`: API keys for backends, in the folder that gateways read (`auth.apiKeyDir`). */
import type { Command } from 'commander';
import { scopes as eachScope, type Scope } from '../ports/api-keys.ts';

const DAY_MS = 24 * 3_600_000;
const DEFAULT_DIR = 'data/api-keys';
const SCOPES = ['all', ...eachScope] as const;

const EXAMPLES = `
Examples:
  rookery key create shop --scope messages:write conversations:read
  rookery key create crm --scope accounts:read accounts:write --rate 50 --burst 100 --days 90
  rookery key list
  rookery key list --config other/operator.json    of another deployment
  rookery key revoke shop                   counts no more within a second, at every gateway`;

interface FolderFlags {
  readonly dir?: string;
  readonly config?: string;
}

interface CreateFlags extends FolderFlags {
  readonly scope: readonly string[];
  readonly rate?: string;
  readonly burst?: string;
  readonly days?: string;
}

export function registerKey(program: Command): void {
  const key = program
    .command('key')
    .description('API keys for backends: what each may do, and how much of it')
    .addHelpText('after', EXAMPLES);
  const command = (name: string, description: string): Command =>
    key
      .command(name)
      .description(description)
      .option('--config <file>', 'JSON file with `auth`: the gateway’s, or operator.json of `rookery dev`')
      .option('--dir <dir>', `folder of the keys (default: auth.apiKeyDir, ${DEFAULT_DIR})`);
  command('create', 'make a key and print it: it stands nowhere else')
    .argument('<name>', 'what logs and metrics know it by')
    .requiredOption('--scope <scopes...>', `what it may do, as docs/HTTP.md tells: ${SCOPES.join(', ')}`)
    .option('--rate <n>', 'requests a second, at each gateway (default: without a limit)')
    .option('--burst <n>', 'requests at once, after a pause (default: those of a second)')
    .option('--days <n>', 'how long it counts (default: until it is revoked)')
    .action(create);
  command('list', 'names, scopes, rates and ends; never a key').action(list);
  command('revoke', 'take a key back')
    .argument('<name>', 'as `list` shows it')
    .action(async (name: string, flags: FolderFlags) => {
      const { removeApiKeyFile } = await import('../adapters/system/api-key-files.ts');
      removeApiKeyFile(await folderOf(flags), name);
      console.log(`revoked ${name}`);
    });
}

/** @throws RookeryError CONFIGURATION_INVALID, also for a gateway that reads no folder */
async function folderOf({ dir, config: file }: FolderFlags): Promise<string> {
  if (dir !== undefined) return dir;
  const { loadFromAnyProcess } = await import('../processes/configuration/operator.ts');
  const { authSchema } = await import('../processes/configuration/gateway.ts');
  const { apiKeyDir } = loadFromAnyProcess(authSchema, { file }).config.auth;
  if (apiKeyDir !== '' || file === undefined) return apiKeyDir || DEFAULT_DIR;
  const { RookeryError } = await import('../protocol/error-codes.ts');
  throw new RookeryError('CONFIGURATION_INVALID', `${file} has no auth.apiKeyDir: its gateway reads no keys; or --dir`);
}

/** @throws RookeryError CONFIGURATION_INVALID */
async function scopesOf(names: readonly string[]): Promise<(Scope | 'all')[]> {
  const { RookeryError } = await import('../protocol/error-codes.ts');
  return names.map((name) => {
    const scope = SCOPES.find((known) => known === name);
    if (scope) return scope;
    throw new RookeryError('CONFIGURATION_INVALID', `--scope ${name}: there is none; there are ${SCOPES.join(', ')}`);
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
  const [dir, scopes] = [await folderOf(flags), await scopesOf(flags.scope)];
  const key = newApiKey();
  const now = Date.now();
  createApiKeyFile(dir, {
    name,
    hash: hashOfApiKey(key),
    scopes,
    ...(rate !== undefined && { rate: { requestsPerSecond: rate, burst: burst ?? Math.max(1, Math.ceil(rate)) } }),
    createdAt: now,
    expiresAt: days === undefined ? 0 : now + Math.round(days * DAY_MS),
  });
  console.log(key);
}

async function list(flags: FolderFlags): Promise<void> {
  const { readApiKeyFiles } = await import('../adapters/system/api-key-files.ts');
  const keys = readApiKeyFiles(await folderOf(flags));
  for (const { name, scopes, rate, createdAt, expiresAt } of keys) {
    const pace = rate ? `${rate.requestsPerSecond} a second, ${rate.burst} at once` : 'any rate';
    const end = expiresAt === 0 ? 'no end' : `until ${new Date(expiresAt).toISOString()}`;
    console.log(`${name}  ${scopes.join(',')}  ${pace}  since ${new Date(createdAt).toISOString()}  ${end}`);
  }
  if (keys.length === 0) console.log('no keys');
}
