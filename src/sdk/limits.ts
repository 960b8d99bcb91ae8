/** The client's bounds, each with its unit and with what happens at it. */

/** Requests unanswered at a time; the server's own bound may be lower. The others wait in the outbox. */
export const MAX_PIPELINED = 64;
/** Entries of the outbox, and bytes of their bodies. One more is refused with OUTBOX_FULL. */
export const MAX_OUTBOX_ENTRIES = 10_000;
export const MAX_OUTBOX_BYTES = 64 * 1_024 * 1_024;
/** Queries that wait for a connection or an answer. One more is refused with OUTBOX_FULL. */
export const MAX_QUERIES = 256;
/** Entries received and not yet handled by the app, and bytes of their bodies. Beyond, the socket is let go until they are. */
export const MAX_UNHANDLED_ENTRIES = 20_000;
export const MAX_UNHANDLED_BYTES = 64 * 1_024 * 1_024;

/** Pauses between attempts to connect: full jitter below a bound that doubles from the first to the last. */
export const FIRST_BACKOFF_MS = 200;
export const MAX_BACKOFF_MS = 20_000;
/** A connection that was live for so long ended for a new reason: the pauses begin anew. */
export const STABLE_AFTER_MS = 5_000;
/** Without an opened socket and a welcome within this time the attempt has failed. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** Nothing at all after a ping for so long: the connection is half-open. */
export const PONG_TIMEOUT_MS = 10_000;
/** Until the server's welcome says how often. */
export const DEFAULT_HEARTBEAT_MS = 30_000;

/** What a passing refusal without a time is given; doubled each time it comes again. */
export const FIRST_RETRY_MS = 500;
export const MAX_RETRY_MS = 20_000;

/** Cursor and marks are stored, then confirmed, at most so often, unless so many entries were handled meanwhile. */
export const COMMIT_EVERY_MS = 250;
export const COMMIT_EVERY_ENTRIES = 1_000;

/** How far behind it is, is told at most so often. */
export const BEHIND_EVERY_MS = 100;

/** That the user is writing is told once in this time, a conversation; it holds for twice as long. */
export const TYPING_EVERY_MS = 3_000;

/** Conversations of one page of a sync; a server may give fewer. No more are held at a time. */
export const SYNC_PAGE_CONVERSATIONS = 100;
/** Refusals in a row of one page. Beyond, the sync begins anew on another connection. */
export const MAX_SYNC_FAILURES = 5;
/** That a direct conversation is delivered is told once in this time, each. */
export const DELIVERED_EVERY_MS = 2_000;

/** How long `close` waits for the outbox of a live connection, and for the handler that is at work. */
export const DRAIN_WITHIN_MS = 5_000;
