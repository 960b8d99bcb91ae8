/**
 * Every error code a client or an operator can meet. Codes are for ever: programs match on them, never on message text.
 * docs/ERRORS.md gives cause and cure of each; a test holds that none is missing there.
 */
export const errorCodes = {
  // What a conversation refuses (domain/conversation.ts): the same code from the gateway and, later, in `rejected`.
  NOT_A_MEMBER: { status: 403, retry: false },
  NOT_ALLOWED: { status: 403, retry: false },
  BLOCKED: { status: 403, retry: false },
  NOT_A_CONTACT: { status: 403, retry: false },
  MUTED: { status: 403, retry: false },
  MESSAGE_GONE: { status: 410, retry: false },
  CONVERSATION_EXISTS: { status: 409, retry: false },
  CONVERSATION_DISSOLVED: { status: 410, retry: false },
  ALREADY_A_MEMBER: { status: 409, retry: false },
  OWNER_MUST_HAND_OVER: { status: 409, retry: false },
  GROUP_TOO_LARGE: { status: 413, retry: false },
  TOO_MANY_REQUESTS: { status: 429, retry: false },
  TOO_MANY_INVITES: { status: 409, retry: false },
  INVITE_INVALID: { status: 403, retry: false },
  ASKED_BEFORE: { status: 429, retry: false },
  NO_CHANGE: { status: 409, retry: false },
  NOT_A_GROUP: { status: 409, retry: false },
  NOT_A_DIRECT_CONVERSATION: { status: 409, retry: false },
  INDEX_BEYOND_END: { status: 409, retry: false },
  // What the gateway alone can know.
  CANNOT_BE_ADDED: { status: 403, retry: false },
  TOO_MANY_CONTACT_REQUESTS: { status: 429, retry: false },
  // What an account refuses (domain/account.ts).
  ACCOUNT_EXISTS: { status: 409, retry: false },
  ACCOUNT_UNKNOWN: { status: 404, retry: false },
  ACCOUNT_DEACTIVATED: { status: 403, retry: false },
  NOT_A_BOT: { status: 409, retry: false },
  TOO_MANY_TOKENS: { status: 409, retry: false },
  TOO_MANY_FIELDS: { status: 409, retry: false },
  DEVICE_UNKNOWN: { status: 404, retry: false },
  // What the fold alone can know.
  MESSAGE_ID_EXPIRED: { status: 409, retry: false },
  REFUSED: { status: 409, retry: false },
  // Bad input.
  BAD_FRAME: { status: 400, retry: false },
  BAD_REQUEST: { status: 400, retry: false },
  BAD_ID: { status: 400, retry: false },
  BAD_NAME: { status: 400, retry: false },
  UNKNOWN_FRAME: { status: 400, retry: false },
  BODY_TOO_LARGE: { status: 413, retry: false },
  FRAME_TOO_LARGE: { status: 413, retry: false },
  NOT_FOUND: { status: 404, retry: false },
  UPGRADE_REQUIRED: { status: 426, retry: false },
  HEADERS_TOO_LARGE: { status: 431, retry: false },
  PRECONDITION_FAILED: { status: 412, retry: false },
  RANGE_NOT_SATISFIABLE: { status: 416, retry: false },
  // Who you are.
  HELLO_EXPECTED: { status: 401, retry: false },
  TOKEN_INVALID: { status: 401, retry: false },
  TOKEN_EXPIRED: { status: 401, retry: false },
  TOKEN_REVOKED: { status: 401, retry: false },
  DEVICE_REVOKED: { status: 401, retry: false },
  FORBIDDEN: { status: 403, retry: false },
  SCOPE_MISSING: { status: 403, retry: false },
  LOGIN_REFUSED: { status: 401, retry: false },
  TOO_MANY_ATTEMPTS: { status: 429, retry: true },
  RATE_LIMITED: { status: 429, retry: true },
  // What passes by itself: try again with the same clientMsgId.
  OVERLOADED: { status: 503, retry: true },
  LOG_UNAVAILABLE: { status: 503, retry: true },
  CONFLICT: { status: 503, retry: true },
  READ_MODEL_UNAVAILABLE: { status: 503, retry: true },
  REQUEST_TIMEOUT: { status: 408, retry: true },
  SHUTTING_DOWN: { status: 503, retry: true },
  INTERNAL: { status: 500, retry: true },
  // What an operator meets at the command line or in the log.
  CONFIGURATION_INVALID: { status: 500, retry: false },
  ALREADY_RUNNING: { status: 409, retry: false },
  PORT_IN_USE: { status: 409, retry: false },
  NATS_SERVER_NOT_FOUND: { status: 500, retry: false },
  NATS_SERVER_FAILED: { status: 500, retry: true },
  STREAM_CHANGE_REFUSED: { status: 409, retry: false },
  STREAM_MISSING: { status: 500, retry: false },
  STATE_FILE_UNUSABLE: { status: 500, retry: false },
  TERM_LOST: { status: 500, retry: true },
  ARCHIVE_DAMAGED: { status: 500, retry: false },
  ARCHIVE_UNSUPPORTED: { status: 500, retry: false },
  FILE_UNUSABLE: { status: 500, retry: true },
  IMPORT_MISMATCH: { status: 409, retry: false },
  EVENT_UNREADABLE: { status: 500, retry: false },
} as const satisfies Record<string, { readonly status: number; readonly retry: boolean }>;

export type ErrorCode = keyof typeof errorCodes;

/** The one error type. `status` is its HTTP form; `retry` says whether the same request may succeed later. */
export class RookeryError extends Error {
  readonly code: ErrorCode;
  /** After how many milliseconds a retry makes sense; only with codes that are retryable. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; retryAfterMs?: number }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RookeryError';
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }

  get status(): number {
    return this.#about?.status ?? 400;
  }

  get retryable(): boolean {
    return this.#about?.retry ?? this.retryAfterMs !== undefined;
  }

  /** Undefined for a code of a newer server: it says itself whether to come again. */
  get #about(): { readonly status: number; readonly retry: boolean } | undefined {
    return Object.hasOwn(errorCodes, this.code) ? errorCodes[this.code] : undefined;
  }
}

/** Whatever was thrown, as the one error type. What is not known is INTERNAL; its text stays out of what clients see. */
export const asRookeryError = (thrown: unknown): RookeryError =>
  thrown instanceof RookeryError ? thrown : new RookeryError('INTERNAL', 'internal error', { cause: thrown });
