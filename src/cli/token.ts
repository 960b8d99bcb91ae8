/** `rookery token`: a token for development, signed with the deployment's secret. */
import type { Command } from 'commander';

interface Options {
  readonly user: string;
  readonly config?: string;
  readonly secretFile?: string;
  readonly days: string;
}

const DAY_MS = 24 * 3_600_000;

export function registerToken(program: Command): void {
  program
    .command('token')
    .description('print a token for a user (HS256, for development)')
    .requiredOption('--user <id>', 'whom the token speaks for')
    .option('--config <file>', 'JSON file with `auth`: the gateway’s, or operator.json of `rookery dev`')
    .option('--secret-file <file>', 'file with the secret (default: auth.secretFile, data/jwt-secret)')
    .option('--days <n>', 'how long it is valid', '7')
    .action(async ({ user, config, secretFile, days }: Options) => {
      const { parseUserId } = await import('../domain/ids.ts');
      const { RookeryError } = await import('../protocol/error-codes.ts');
      const { signToken } = await import('../adapters/jwt/tokens.ts');
      const { loadFromAnyProcess } = await import('../processes/configuration/operator.ts');
      const { authSchema } = await import('../processes/configuration/gateway.ts');
      if (!parseUserId(user)) throw new RookeryError('BAD_ID', 'a user id is 1 to 128 bytes of UTF-8');
      const lifetimeMs = Number(days) * DAY_MS;
      if (!(lifetimeMs > 0 && Number.isFinite(lifetimeMs)))
        throw new RookeryError('CONFIGURATION_INVALID', `--days ${days}: must be a number above 0`);
      const flags = { auth: { secretFile } };
      const { auth } = loadFromAnyProcess(authSchema, { file: config, flags }).config;
      if (auth.mode === 'jwks')
        throw new RookeryError('CONFIGURATION_INVALID', 'auth.mode is jwks: tokens are made by your identity provider');
      console.log(await signToken(auth, user, Date.now() + lifetimeMs));
    });
}
