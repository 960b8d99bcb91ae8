/** The streams of the log as they are stored, message by message, whatever stands in them. */
import type { Msg } from '@nats-io/nats-core';
import type { ArchivedStream, RecordCount, RecordInPlace, RecordReader, StoredRecord } from '../../../ports/archive.ts';
import { convStreamName, type Topology, USER_STREAM } from '../../../protocol/subjects.ts';
import { answered } from '../answered.ts';
import { happenedAtMs, ORIGINAL_TIME } from '../log/original-time.ts';
import type { Delivery } from '../messages/delivery-subject.ts';
import { type PulledSpan, type PulledSpanParts, pulls } from '../messages/pulled-span.ts';
import { headersOf, headerTextOf } from '../messages/quick-headers.ts';
import { resumed } from '../messages/resumed.ts';

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

  counted(stream: string, from: number, to: number, count: RecordCount): AsyncGenerator<void> {
    return this.#pulls(
      { stream, from, to },
      (record) => count.add([record]),
      (record) => count.addInPlace(record),
    );
  }

  async *#portions(span: PulledSpan): AsyncGenerator<readonly StoredRecord[]> {
    let arrived: StoredRecord[] = [];
    for await (const _ of this.#pulls(span, (record) => arrived.push(record))) {
      const portion = arrived;
      arrived = [];
      if (portion.length > 0) yield portion;
    }
  }

  /** @param takeInPlace takes the usual ones where they stand, for a third of the cost */
  async *#pulls(
    span: PulledSpan,
    take: (record: StoredRecord) => void,
    takeInPlace?: (record: RecordInPlace) => void,
  ): AsyncGenerator<void> {
    let next = span.from;
    const receivedInPlace =
      takeInPlace &&
      ((record: RecordInPlace): void => {
        next = record.seq + 1;
        takeInPlace(record);
      });
    const received = (message: Msg, delivery: Delivery): void => {
      const record = recordOf(message, delivery);
      next = delivery.streamSeq + 1;
      if (record) take(record);
    };
    yield* resumed(
      () => next,
      () => pulls(this.#parts, { ...span, from: next }, received, receivedInPlace),
    );
  }
}

const NONE: StoredRecord['headers'] = [];
/** The headers of nearly all: what a gateway appended, or an import restored. All else is looked at one by one. */
const USUAL =
  /^NATS\/1\.0\r\n(?:Nats|Rookery)-Msg-Id: ([!-~]+)\r\n(?:Nats-Expected-Last-Sequence: \d+\r\n)?(?:Rookery-At: (\d{15})\r\n)?\r\n$/;

/** Undefined for what only fills a position. Its data are a view into what the socket brought, which is not written over. */
function recordOf(message: Msg, delivery: Delivery): StoredRecord | undefined {
  const { subject, data } = message;
  const usual = USUAL.exec(headerTextOf(message, data) ?? '');
  if (usual) {
    const at = usual[2] === undefined ? delivery.atMs : Number(usual[2]);
    return { seq: delivery.streamSeq, at, subject, messageId: usual[1] as string, headers: NONE, data };
  }
  let messageId = '';
  let others: [string, string][] | undefined;
  for (const [name, value] of headersOf(message, data) ?? []) {
    if (name === VOID) return undefined;
    if (name === MESSAGE_ID || name === KEPT_MESSAGE_ID) messageId = value;
    else if (name !== ORIGINAL_TIME && !FOR_THE_SERVER.test(name)) (others ??= []).push([name, value]);
  }
  const at = happenedAtMs(data, delivery.atMs);
  return { seq: delivery.streamSeq, at, subject, messageId, headers: others ?? NONE, data };
}
