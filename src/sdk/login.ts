/**
 * The built-in login, where the server offers it:
 *
 * ```ts
 * const token = async () => (await login('https://chat.example', { user, password })).token;
 * const client = await createClient({ url: 'wss://chat.example/v1/ws', token, device: 'laptop' });
 * ```
 *
 * A password goes straight to the server: nothing here keeps it.
 */
import { type ErrorCode, errorCodes, RookeryError } from '../protocol/error-codes.ts';

const ANSWER_WITHIN_MS = 30_000;

export interface LoggedIn {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * @param server `https://host:port`
 * @throws RookeryError LOGIN_REFUSED, TOO_MANY_ATTEMPTS (with retryAfterMs), ACCOUNT_DEACTIVATED, OVERLOADED, …; what `fetch` throws
 */
export async function login(server: string, credentials: { user: string; password: string }): Promise<LoggedIn> {
  return (await post(server, '/v1/login', credentials)) as LoggedIn;
}

/** All tokens issued until now count no more. @throws as `login` */
export async function changePassword(
  server: string,
  change: { user: string; password: string; newPassword: string },
): Promise<void> {
  await post(server, '/v1/password', change);
}

async function post(server: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(new URL(path, server), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  const text = await response.text();
  if (response.ok) return text === '' ? undefined : JSON.parse(text);
  throw refusalIn(text, response.status);
}

/** A proxy's page is no answer of ours. */
function refusalIn(text: string, status: number): RookeryError {
  try {
    const { code, message, retryAfterMs } = JSON.parse(text) as Record<string, unknown>;
    if (typeof code === 'string' && Object.hasOwn(errorCodes, code)) {
      const options = typeof retryAfterMs === 'number' ? { retryAfterMs } : {};
      return new RookeryError(code as ErrorCode, String(message), options);
    }
  } catch {
    // As where the code is none.
  }
  return new RookeryError('INTERNAL', `the server answered with status ${status}`);
}
