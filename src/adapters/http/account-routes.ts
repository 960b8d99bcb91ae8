/** Accounts over HTTP, for a backend with its key. */
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify';
import { Type } from 'typebox';
import type { Account, AccountKind, ProfileChanges, UserSettings } from '../../domain/account.ts';
import { parseUserId, type UserId } from '../../domain/ids.ts';
import type { Scope } from '../../ports/api-keys.ts';
import {
  parseAccountKind,
  parseProfile,
  parseProfileChanges,
  parseUserSettings,
} from '../../protocol/account-fields.ts';
import { asRookeryError, type ErrorCode, RookeryError } from '../../protocol/error-codes.ts';
import { fitName } from '../../protocol/fit-name.ts';
import { type Access, forBackend, type Guarded } from './authorization.ts';

/** Lines of one import. */
const MAX_IMPORT_LINES = 1_000;
const MAX_IMPORT_BYTES = 4_194_304;

interface AccountToCreate {
  readonly user: UserId;
  readonly kind: AccountKind;
  readonly profile: ProfileChanges;
}

interface AccountChanges {
  readonly profile?: ProfileChanges;
  readonly settings?: Partial<UserSettings>;
  readonly active?: boolean;
}

interface ImportResult {
  readonly user: UserId;
  readonly result: string;
  readonly code?: ErrorCode;
  readonly message?: string;
}

export interface AccountRoutesParts {
  readonly access: Access;
  readonly accounts: {
    get(user: UserId): Promise<Account>;
    create(account: AccountToCreate): Promise<Account>;
    change(user: UserId, changes: AccountChanges): Promise<Account>;
    signOut(user: UserId): Promise<void>;
    mintToken(user: UserId, about: { name: string; expiresAt: number }): Promise<{ id: string; token: string }>;
    revokeToken(user: UserId, id: string): Promise<void>;
    import(lines: readonly AccountToCreate[]): Promise<readonly ImportResult[]>;
  };
}

const profileSchema = Type.Object(
  {
    name: Type.Optional(Type.String({ description: 'shown to everybody' })),
    avatar: Type.Optional(Type.String({ description: 'address of a picture' })),
    fields: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]), {
        description: 'free fields; null takes one away',
      }),
    ),
  },
  { additionalProperties: false },
);

const accountBody = Type.Object(
  {
    user: Type.String({ description: 'id of the user, as in the `sub` of tokens' }),
    kind: Type.Optional(Type.Union([Type.Literal('person'), Type.Literal('bot')])),
    profile: Type.Optional(profileSchema),
  },
  { additionalProperties: false },
);

const changesBody = Type.Object(
  {
    profile: Type.Optional(profileSchema),
    settings: Type.Optional(Type.Object({}, { description: 'quietHours, lastSeenFor, messagesFrom' })),
    active: Type.Optional(Type.Boolean({ description: 'false deactivates, true reactivates' })),
  },
  { additionalProperties: false, minProperties: 1 },
);

const tokenBody = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128, description: 'what it is for' }),
    expiresAt: Type.Optional(Type.Integer({ minimum: 0, description: 'milliseconds since 1970; 0: never' })),
  },
  { additionalProperties: false },
);

type Body = Record<string, unknown>;

export function registerAccountRoutes(http: FastifyInstance, { access, accounts }: AccountRoutesParts): void {
  const by = (scope: Scope, summary: string, body: Pick<FastifySchema, 'body'> = {}): Guarded =>
    forBackend(access, scope, { summary, tags: ['accounts'], ...body });

  const creating = by('accounts:write', 'Create an account, of a person or a bot', { body: accountBody });
  http.post('/v1/accounts', creating, async (request, reply) => {
    return reply.code(201).send(shown(await accounts.create(accountOf(request.body))));
  });
  const asking = by('accounts:read', 'An account: profile, settings, tokens of a bot');
  http.get('/v1/accounts/:user', asking, async (request) => shown(await accounts.get(userOf(request))));
  const changing = by('accounts:write', 'Change an account; what is left out stays', { body: changesBody });
  http.patch('/v1/accounts/:user', changing, async (request) => {
    const { profile, settings, active } = request.body as Body;
    const changes = {
      ...(profile !== undefined && { profile: parseProfileChanges(profile) }),
      ...(settings !== undefined && { settings: parseUserSettings(settings) }),
      ...(active !== undefined && { active: active === true }),
    };
    return shown(await accounts.change(userOf(request), changes));
  });
  const signingOut = by('accounts:write', 'Tokens issued until now count no more');
  http.post('/v1/accounts/:user/sign-out', signingOut, async (request, reply) => {
    await accounts.signOut(userOf(request));
    return reply.code(204).send();
  });

  const minting = by('tokens:write', 'A token for a bot, told this once', { body: tokenBody });
  http.post('/v1/accounts/:user/tokens', minting, async (request, reply) => {
    const { name, expiresAt = 0 } = request.body as { name: string; expiresAt?: number };
    return reply.code(201).send(await accounts.mintToken(userOf(request), { name: fitName(name, 'name'), expiresAt }));
  });
  const revoking = by('tokens:write', "Take a bot's token back; its sessions end");
  http.delete('/v1/accounts/:user/tokens/:token', revoking, async (request, reply) => {
    await accounts.revokeToken(userOf(request), String((request.params as Body).token));
    return reply.code(204).send();
  });

  // One account a line.
  http.addContentTypeParser('application/x-ndjson', { parseAs: 'string' }, (_request, body, done) => {
    const lines = (body as string).split('\n').filter((line) => line.trim() !== '');
    try {
      done(null, lines.map(parseLine));
    } catch (error) {
      done(error as Error);
    }
  });
  const importing = by('accounts:write', 'Many accounts at once; the same again changes nothing');
  http.post('/v1/accounts/import', { ...importing, bodyLimit: MAX_IMPORT_BYTES }, async (request) => {
    const lines = request.body;
    if (!Array.isArray(lines) || lines.length > MAX_IMPORT_LINES) {
      throw new RookeryError('BAD_REQUEST', `a list of at most ${MAX_IMPORT_LINES} accounts is expected`);
    }
    return { results: await importLines(lines, accounts) };
  });
}

/** A line that is wrong in itself fails as one that is refused does: the others are imported. In the order of the lines. */
async function importLines(lines: readonly unknown[], accounts: AccountRoutesParts['accounts']) {
  const parsed = lines.map((line) => {
    try {
      return { account: accountOf(line) };
    } catch (thrown) {
      const { code, message } = asRookeryError(thrown);
      return { failure: { result: 'failed', code, message } };
    }
  });
  const imported = await accounts.import(parsed.flatMap(({ account }) => (account ? [account] : [])));
  const results = imported.values();
  return parsed.map(({ failure }, i) => ({ line: i + 1, ...(failure ?? results.next().value) }));
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Told of with its number, as any other line that is wrong.
    return undefined;
  }
}

function accountOf(value: unknown): AccountToCreate {
  if (typeof value !== 'object' || value === null) throw new RookeryError('BAD_REQUEST', 'an account is an object');
  const { user, kind = 'person', profile = {} } = value as Body;
  const id = parseUserId(user);
  if (!id) throw new RookeryError('BAD_ID', '`user` must be an id');
  return { user: id, kind: parseAccountKind(kind), profile: parseProfile(profile) };
}

function userOf(request: FastifyRequest): UserId {
  const user = parseUserId((request.params as Body).user);
  if (!user) throw new RookeryError('BAD_ID', 'the user in the path is no id');
  return user;
}

/** Without what only the log needs, and without hashes. */
const shown = ({ user, kind, state, profile, settings, botTokens }: Account) => ({
  user,
  kind,
  active: state !== 'deactivated',
  profile,
  settings,
  ...(kind === 'bot' && { tokens: botTokens.map(({ hash: _, ...token }) => token) }),
});
