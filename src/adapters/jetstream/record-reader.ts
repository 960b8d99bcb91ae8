/** The streams of the log as they are stored, message by message, whatever stands in them. */
import type { ArchivedStream, RecordReader, StoredRecord } from '../../ports/archive.ts';
import { convStreamName, type Topology, USER_STREAM } from '../../protocol/subjects.ts';
import { answered } from './answered.ts';
import { happenedAtMs, ORIGINAL_TIME } from './original-time.ts';
import { type PulledMessage, type PulledSpan, type PulledSpanParts, pulledSpan } from './pulled-span.ts';

/** A message's id where JetStream is not to look at it: it was restored to its very position, twins of it included. */
export const KEPT_MESSAGE_ID = 'Rookery-Msg-Id';
/** Fills a position that nothing stood at in the log this one was restored from. */
export const VOID = 'Rookery-Void';

const MESSAGE_ID = 'Nats-Msg-Id';
/** Headers that are for the server. */
const FOR_THE_SERVER = /^Nats-/i;

export interface RecordReaderParts extends PulledSpanParts {
  /** The streams that are the log: `logStreams`, or one that a log was copied into. */
  readonly names: readonly string[];
}

/** People first: what is in conversations is theirs. */
export const logStreams = ({ convStreams }: Topology): string[] => [
  USER_STREAM,
  ...Array.from({ length: convStreams }, (_, k) => convStreamName(k)),
];

export class JetstreamRecordReader implements RecordReader {
  readonly #parts: RecordReaderParts;

  constructor(parts: RecordReaderParts) {
    this.#parts = parts;
  }

  /** @throws RookeryError STREAM_MISSING, LOG_UNAVAILABLE */
  streams(): Promise<readonly ArchivedStream[]> {
    const { jsm, names } = this.#parts;
    return Promise.all(
      names.map(async (name) => {
        const { created, state } = await answered(name, jsm.streams.info(name));
        return { name, created: String(created), firstSeq: Math.max(1, state.first_seq), lastSeq: state.last_seq };
      }),
    );
  }

  read(stream: string, from: number, to: number, subjects?: readonly string[]): AsyncIterable<readonly StoredRecord[]> {
    return this.#portions({ stream, from, to, subjects });
  }

  ids(stream: string, to: number): AsyncIterable<readonly StoredRecord[]> {
    return this.#portions({ stream, from: 1, to, headersOnly: true });
  }

  async *#portions(span: PulledSpan): AsyncGenerator<readonly StoredRecord[]> {
    for await (const messages of pulledSpan(this.#parts, span)) {
      const records: StoredRecord[] = [];
      for (const message of messages) {
        const record = recordOf(message);
        if (record) records.push(record);
      }
      if (records.length > 0) yield records;
    }
  }
}

const NONE: StoredRecord['headers'] = [];

/** Undefined for what only fills a position. Its data are a view into what the socket brought, which is not written over. */
function recordOf({ message, delivery }: PulledMessage): StoredRecord | undefined {
  const { headers, data } = message;
  let messageId = '';
  let others: [string, string][] | undefined;
  if (headers) {
    for (const [name, values] of headers) {
      const value = values[0] ?? '';
      if (name === VOID) return undefined;
      if (name === MESSAGE_ID || name === KEPT_MESSAGE_ID) messageId = value;
      else if (name !== ORIGINAL_TIME && !FOR_THE_SERVER.test(name)) (others ??= []).push([name, value]);
    }
  }
  return {
    seq: delivery.streamSeq,
    at: happenedAtMs(data, delivery.atMs),
    subject: message.subject,
    messageId,
    headers: others ?? NONE,
    data,
  };
}
