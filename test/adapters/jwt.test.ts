import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import t, { type Test as Tap } from 'tap';
import { JwtTokens, signDevToken, type TokenOptions } from '../../src/adapters/jwt/tokens.ts';
import { codeOf } from '../support/code-of.ts';
import { eventually } from '../support/waiting.ts';

const dir = mkdtempSync(join(tmpdir(), 'rookery-jwt-'));
t.teardown(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

const SECRET = 'a secret of at least thirty-two bytes';
const secretFile = file('secret', SECRET);
const { publicKey, privateKey } = await generateKeyPair('ES256');
const jwkSet = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] });
const jwks = file('jwks.json', jwkSet);

const base: TokenOptions = { mode: 'secret', secretFile, jwks: '', issuer: '', audience: '' };
const soon = Math.floor(Date.now() / 1_000) + 600;
const other = await generateKeyPair('ES256');
const otherKeys = JSON.stringify({ keys: [{ ...(await exportJWK(other.publicKey)), kid: 'k2', alg: 'ES256' }] });

/** Undefined: it is away. */
async function keyServer(t: Tap): Promise<{ url: string; fetched: number; keys: string | undefined }> {
  const server = createServer((_request, response) => {
    told.fetched += 1;
    response.writeHead(told.keys ? 200 : 500, { 'content-type': 'application/json' }).end(told.keys ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const told = { url: `http://127.0.0.1:${port}/keys`, fetched: 0, keys: jwkSet as string | undefined };
  return told;
}

const { now } = Date;
/** From now on it is so much later than it is. */
function shiftClock(t: Tap, byMs: number): void {
  Date.now = () => now() + byMs;
  t.teardown(() => (Date.now = now));
}

interface Claims {
  readonly [claim: string]: unknown;
}
const claims: Claims = { sub: 'alice', exp: soon };
const signed = (payload: Claims, alg = 'HS256', key: Parameters<SignJWT['sign']>[0] = Buffer.from(SECRET)) =>
  new SignJWT({ ...payload }).setProtectedHeader({ alg, ...(alg === 'ES256' && { kid: 'k1' }) }).sign(key);
const judge = async (options: Partial<TokenOptions>, token: Promise<string> | string): Promise<string> =>
  codeOf(new JwtTokens({ ...base, ...options }).verify(await token));

t.test('a good token says who, until when, and on which device', async (t) => {
  const tokens = new JwtTokens(base);
  const alice = { user: 'alice', expiresAt: soon * 1_000 };
  t.same(await tokens.verify(await signed(claims)), { ...alice, credential: { issuedAt: 0 } });
  t.same(await tokens.verify(await signed({ ...claims, device: 'phone', iat: 1_790_000_000.5 })), {
    ...alice,
    device: 'phone',
    credential: { issuedAt: 1_790_000_000_500 },
  });
  t.match(await tokens.verify(await signDevToken(secretFile, '陈晨', 60_000)), { user: '陈晨' });
});

t.test('what a token lacks or has wrong makes it invalid', async (t) => {
  const past = soon - 1_200;
  const cases: readonly [string, string, Claims, Partial<TokenOptions>?][] = [
    ['no exp', 'TOKEN_INVALID', { sub: 'alice' }],
    ['no sub', 'TOKEN_INVALID', { exp: soon }],
    ['sub is no id', 'TOKEN_INVALID', { ...claims, sub: 'x'.repeat(129) }],
    ['device is no id', 'TOKEN_INVALID', { ...claims, device: '' }],
    ['expired', 'TOKEN_EXPIRED', { ...claims, exp: past }],
    ['not valid yet', 'TOKEN_INVALID', { ...claims, nbf: soon - 60 }],
    ['another issuer', 'TOKEN_INVALID', { ...claims, iss: 'them' }, { issuer: 'us' }],
    ['no issuer', 'TOKEN_INVALID', claims, { issuer: 'us' }],
    ['another audience', 'TOKEN_INVALID', { ...claims, aud: 'them' }, { audience: 'us' }],
    ['all as asked for', 'accepted', { ...claims, iss: 'us', aud: ['us', 'them'] }, { issuer: 'us', audience: 'us' }],
  ];
  for (const [name, code, payload, options = {}] of cases) t.equal(await judge(options, signed(payload)), code, name);
});

t.test('a remembered token expires like any other', async (t) => {
  const tokens = new JwtTokens(base);
  // For two seconds at least: it is looked at before, on however busy a machine.
  const token = await signed({ ...claims, exp: Math.floor(Date.now() / 1_000) + 3 });
  t.equal(await codeOf(tokens.verify(token)), 'accepted');
  await eventually(async () => (await codeOf(tokens.verify(token))) === 'TOKEN_EXPIRED', 'it expires');
  t.equal(await codeOf(tokens.verify(token)), 'TOKEN_EXPIRED');
});

t.test('with public keys only what their owner signed is taken', async (t) => {
  const options = { mode: 'jwks', jwks } as const;
  t.equal(await judge(options, signed(claims, 'ES256', privateKey)), 'accepted');
  t.equal(await judge(options, signed(claims, 'ES256', (await generateKeyPair('ES256')).privateKey)), 'TOKEN_INVALID');
  t.equal(await judge(options, signed(claims)), 'TOKEN_INVALID', 'HS256 is not for public keys');
  const publicPem = Buffer.from(await exportSPKI(publicKey));
  t.equal(await judge(options, signed(claims, 'HS256', publicPem)), 'TOKEN_INVALID', 'the public key as a secret');
  t.equal(await judge({}, signed(claims, 'ES256', privateKey)), 'TOKEN_INVALID', 'ES256 is not for a secret');
});

t.test('keys are fetched from a key server; while it is away no token is judged', async (t) => {
  const server = await keyServer(t);
  const options = { mode: 'jwks', jwks: server.url } as const;
  const tokens = new JwtTokens({ ...base, ...options });
  const good = await signed(claims, 'ES256', privateKey);
  t.equal(await codeOf(tokens.verify(good)), 'accepted');
  t.equal(await codeOf(tokens.verify(good)), 'accepted');
  t.equal(await codeOf(tokens.verify(await signed({ ...claims, sub: 'bob' }, 'ES256', privateKey))), 'accepted');
  t.equal(server.fetched, 1, 'keys and tokens are remembered');
  server.keys = undefined;
  t.equal(await judge(options, good), 'INTERNAL', 'not TOKEN_INVALID: a new token would not help');
});

t.test('a key that left the key server counts for ten minutes at most, also for a token that was seen', async (t) => {
  const server = await keyServer(t);
  const tokens = new JwtTokens({ ...base, mode: 'jwks', jwks: server.url });
  const seen = await signed({ ...claims, exp: soon + 86_400 }, 'ES256', privateKey);
  const judged = (): Promise<string> => codeOf(tokens.verify(seen));
  await judged();
  t.equal(await judged(), 'accepted');
  shiftClock(t, 599_000);
  server.keys = otherKeys;
  t.equal(await judged(), 'accepted');
  t.equal(server.fetched, 1);
  shiftClock(t, 601_000);
  server.keys = jwkSet;
  t.equal(await judged(), 'accepted', 'it is still there');
  t.equal(await judged(), 'accepted');
  t.equal(server.fetched, 2, 'and the set is asked for again');
  server.keys = undefined;
  shiftClock(t, 1_202_000);
  t.equal(await judged(), 'INTERNAL', 'nobody knows whether the key still counts');
  server.keys = otherKeys;
  t.equal(await judged(), 'TOKEN_INVALID');
});

t.test('a token with a new key has the set fetched, and ends the old ones at once', async (t) => {
  const server = await keyServer(t);
  const tokens = new JwtTokens({ ...base, mode: 'jwks', jwks: server.url });
  const seen = await signed(claims, 'ES256', privateKey);
  await tokens.verify(seen);
  t.equal(await codeOf(tokens.verify(seen)), 'accepted');
  server.keys = otherKeys;
  shiftClock(t, 31_000);
  const newer = new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'k2' });
  t.equal(await codeOf(tokens.verify(await newer.sign(other.privateKey))), 'accepted');
  t.equal(await codeOf(tokens.verify(seen)), 'TOKEN_INVALID');
});

t.test('a configuration that cannot work is refused at start', async (t) => {
  const code = 'CONFIGURATION_INVALID';
  t.throws(() => new JwtTokens({ ...base, secretFile: file('short', 'short') }), { code });
  t.throws(() => new JwtTokens({ ...base, secretFile: join(dir, 'missing') }), { code });
  t.throws(() => new JwtTokens({ ...base, mode: 'jwks', jwks: join(dir, 'missing') }), { code });
  t.throws(() => new JwtTokens({ ...base, mode: 'jwks', jwks: file('broken', '{') }), { code });
});
