/** Keys with which a backend comes in over HTTP: what each may do, and how much of it. */

/** What a key may be allowed. A command as a user takes the scope of what it changes. */
export const scopes = [
  'messages:write',
  'conversations:read',
  'conversations:write',
  'accounts:read',
  'accounts:write',
  'tokens:write',
  'passwords:write',
] as const;
export type Scope = (typeof scopes)[number];

export interface ApiKey {
  /** What logs and metrics know it by. */
  readonly name: string;
  /** SHA-256 of the key, base64url. A key is 256 random bits, so there is nothing to guess that a slow hash would make dearer. */
  readonly hash: string;
  /** `all`: also what a later version adds. */
  readonly scopes: readonly (Scope | 'all')[];
  /** At each gateway; absent: as many as it can. */
  readonly rate?: Rate;
  /** Milliseconds since 1970; 0: never. */
  readonly expiresAt: number;
}

export interface Rate {
  readonly requestsPerSecond: number;
  /** So many at once, after a pause. */
  readonly burst: number;
}

export const mayDo = (key: ApiKey, scope: Scope): boolean => key.scopes.includes('all') || key.scopes.includes(scope);
