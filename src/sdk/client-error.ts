/** What only the client itself can say. All else that is thrown is a RookeryError with the server's code. */

export const clientErrorCodes = {
  /** So much waits to be sent that no more is taken: wait for `flushed()`, or for the connection. */
  OUTBOX_FULL: { retry: true },
  /** The client was closed, or has stopped for good. What was stored goes out when a client starts on the same storage. */
  CLIENT_CLOSED: { retry: false },
} as const satisfies Record<string, { readonly retry: boolean }>;

export type ClientErrorCode = keyof typeof clientErrorCodes;

export class ClientError extends Error {
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string) {
    super(message);
    this.name = 'ClientError';
    this.code = code;
  }

  get retryable(): boolean {
    return clientErrorCodes[this.code].retry;
  }
}
