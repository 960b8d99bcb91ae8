/** How one comes in: as a demo person in development, with a password where there is a login, or with a token from elsewhere. */
import { signal } from '@preact/signals';
import { login, type UserId } from '../../sdk/index.ts';

export interface WaysIn {
  readonly devTokens: boolean;
  readonly login: boolean;
}

interface Kept {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

const ANSWER_WITHIN_MS = 10_000;
const WAYS_KEY = 'rookery:ways-in';
const keyOf = (user: UserId): string => `rookery:token:${user}`;

/** People who are made up, so that a newcomer has somebody to be. */
export const DEMO_PEOPLE = ['alice', 'bob', '陈晨', 'dora'] as const as readonly string[] as readonly UserId[];

/** What was told last time, until it is told again: without a connection one comes in all the same. */
export const waysIn = signal<WaysIn | undefined>(JSON.parse(localStorage.getItem(WAYS_KEY) ?? 'null') ?? undefined);
export const waysInFailed = signal(false);

export async function askWaysIn(): Promise<void> {
  try {
    const answer = await fetch('/v1/sign-in', { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    waysIn.value = (await answer.json()) as WaysIn;
    waysInFailed.value = false;
    localStorage.setItem(WAYS_KEY, JSON.stringify(waysIn.value));
  } catch {
    waysInFailed.value = true;
  }
}

/** @throws RookeryError LOGIN_REFUSED, TOO_MANY_ATTEMPTS, …; what `fetch` throws */
export async function logIn(user: UserId, password: string): Promise<void> {
  const { token, expiresAt } = await login(location.origin, { user, password });
  localStorage.setItem(keyOf(user), JSON.stringify({ token, expiresAt } satisfies Kept));
}

export function forgetToken(user: UserId): void {
  localStorage.removeItem(keyOf(user));
}

export const hasToken = (user: UserId): boolean => keptToken(user) !== undefined;

/** For the connection. @throws where there is none: one has to log in */
export async function tokenOf(user: UserId): Promise<string> {
  const kept = keptToken(user);
  if (kept) return kept;
  const answer = await fetch('/v1/dev/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user }),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (!answer.ok) throw new Error(`no token: status ${answer.status}`);
  return ((await answer.json()) as { token: string }).token;
}

function keptToken(user: UserId): string | undefined {
  const { token, expiresAt } = JSON.parse(localStorage.getItem(keyOf(user)) ?? '{}') as Partial<Kept>;
  return token !== undefined && (expiresAt ?? 0) > Date.now() ? token : undefined;
}

/** One a user and browser, so that all its tabs are one device. */
export function deviceOf(user: UserId): string {
  const key = `rookery:device:${user}`;
  const known = localStorage.getItem(key);
  if (known !== null) return known;
  const device = `web-${crypto.randomUUID()}`;
  localStorage.setItem(key, device);
  return device;
}
