/** `rookery token`: a token for development, signed with the deployment's secret. */
import type { Command } from 'commander';

const DAY_MS = 24 * 3_600_000;

export function registerToken(program: Command): void {
  program
    .command('token')
    .description('print a token for a user (HS256, for development)')
    .requiredOption('--user <id>', 'whom the token speaks for')
    .option('--secret-file <file>', 'file with the secret', 'data/jwt-secret')
    .option('--days <n>', 'how long it is valid', '7')
    .action(async ({ user, secretFile, days }: { user: string; secretFile: string; days: string }) => {
      const { parseUserId } = await import('../domain/ids.ts');
      const { RookeryError } = await import('../protocol/error-codes.ts');
      const { signDevToken } = await import('../adapters/jwt/tokens.ts');
      if (!parseUserId(user)) throw new RookeryError('BAD_ID', 'a user id is 1 to 128 bytes of UTF-8');
      const lifetimeMs = Number(days) * DAY_MS;
      if (!(lifetimeMs > 0))
        throw new RookeryError('CONFIGURATION_INVALID', `--days ${days}: must be a number above 0`);
      console.log(await signDevToken(secretFile, user, lifetimeMs));
    });
}
