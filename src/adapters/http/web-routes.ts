/**
 * The web client at `/`: files that were built, and how one gets a token here.
 *
 * What a message holds can never run in it: scripts and styles come from files of ours alone, nothing is asked of anybody
 * else, and the page can be framed by nobody.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

export interface WebRoutesParts {
  /** Folder of the built files. */
  readonly folder: string;
  readonly waysIn: {
    /** Anybody gets a token for any user: development. */
    readonly devTokens: boolean;
    /** A password against a token. */
    readonly login: boolean;
  };
}

/** The name of a file here changes with its content. */
const HASHED = /\/assets\/[^/]+$/;
const FOR_EVER = 'public, max-age=31536000, immutable';
/** Asked again each time: a new version is seen at once. */
const ASKED_AGAIN = 'no-cache';

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types rookery',
].join('; ');

const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
} as const;

/** Built? In a checkout perhaps not yet. */
export const hasWebClient = (folder: string): boolean => existsSync(join(folder, 'index.html'));

export async function registerWebRoutes(http: FastifyInstance, { folder, waysIn }: WebRoutesParts): Promise<void> {
  const schema = { summary: 'How one gets a token here', tags: ['login'], security: [] };
  http.get('/v1/sign-in', { schema }, async () => waysIn);
  if (!hasWebClient(folder)) return;
  await http.register(fastifyStatic, {
    root: folder,
    // A route for each file: one for all would take every path that no other takes, also the malformed ones.
    wildcard: false,
    preCompressed: true,
    cacheControl: false,
    setHeaders(reply, path) {
      reply.headers({ ...HEADERS, 'cache-control': HASHED.test(path) ? FOR_EVER : ASKED_AGAIN });
    },
  });
}
