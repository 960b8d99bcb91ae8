/**
 * An INBOX stream and a log whose every turn a test decides: what the tail brings and when, what is dropped, which answers
 * are held back. For races that a real server would show once in a thousand runs; the rest is tested on a real one.
 */
import type { UserId } from '../../src/domain/ids.ts';
import type { LogReader, LogRecord } from '../../src/ports/conversation-log.ts';
import type { DeviceCursors } from '../../src/ports/device-cursors.ts';
import type { InboxMessage, InboxReader, InboxStreamInfo, Tail } from '../../src/ports/inbox-reader.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { message } from './inbox-records.ts';

export class ScriptedInbox implements InboxReader {
  readonly stream = 0;
  readonly reported: number[] = [];
  epoch = 'e1';
  firstSeq = 1;
  isMissing = false;
  /** How often it was asked for while missing. */
  missed = 0;
  /** How often a next record was asked for, and how many were read in a row. */
  lookedUp = 0;
  readInARow = 0;
  messages: InboxMessage[] = [];
  #seq = 0;
  #tailed = 0;
  #onMessages: ((messages: readonly InboxMessage[]) => void) | undefined;
  #onLost: ((reason: string) => void) | undefined;
  #gate: Promise<void> | undefined;
  #infoGate: Promise<void> | undefined;

  append(kind: InboxMessage['kind'], key: string, data: Uint8Array): number {
    this.#seq += 1;
    this.messages.push({ seq: this.#seq, kind, key, data });
    return this.#seq;
  }

  /** The tail brings all that was appended, or the next `count`, as one read of the socket. */
  tick(count = Number.POSITIVE_INFINITY): void {
    const turn = this.messages.filter(({ seq }) => seq > this.#tailed).slice(0, count);
    this.#tailed = turn.at(-1)?.seq ?? this.#tailed;
    if (turn.length > 0) this.#onMessages?.(turn);
  }

  /** Drops everything below `firstSeq`. */
  evict(firstSeq: number): void {
    this.firstSeq = firstSeq;
    this.messages = this.messages.filter(({ seq }) => seq >= firstSeq);
  }

  lose(): void {
    const onLost = this.#onLost;
    this.#onMessages = undefined;
    this.#onLost = undefined;
    onLost?.('a test wants it so');
  }

  /** Another stream under the same name. */
  recreate(epoch: string): void {
    this.epoch = epoch;
    this.firstSeq = 1;
    this.messages = [];
    this.#seq = 0;
    this.#tailed = 0;
  }

  /** Answers wait until what is returned is called. */
  hold(): () => void {
    const release = this.holdRecords();
    this.#infoGate = this.#gate;
    return release;
  }

  /** As `hold`, of what is asked about records alone. */
  holdRecords(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return () => {
      this.#gate = undefined;
      this.#infoGate = undefined;
      resolve();
    };
  }

  async info(): Promise<InboxStreamInfo> {
    await this.#infoGate;
    if (this.isMissing) {
      this.missed += 1;
      throw new RookeryError('STREAM_MISSING', 'no stream');
    }
    return { epoch: this.epoch, firstSeq: this.firstSeq, lastSeq: this.#seq };
  }

  async markers(): Promise<readonly InboxMessage[]> {
    return this.messages.filter(({ kind }) => kind === 'term');
  }

  async checkpoint(lane: number): Promise<InboxMessage | undefined> {
    return this.messages.findLast(({ kind, key }) => kind === 'cp' && key === String(lane));
  }

  async nextFor(userToken: string, fromSeq: number): Promise<InboxMessage | undefined> {
    await this.#gate;
    this.lookedUp += 1;
    return this.messages.find(({ seq, kind, key }) => kind === 'inbox' && key === userToken && seq >= fromSeq);
  }

  /** Three at a time. */
  async *read(fromSeq: number, toSeq: number): AsyncIterable<readonly InboxMessage[]> {
    await this.#gate;
    const span = this.messages.filter(({ seq }) => seq >= fromSeq && seq <= toSeq);
    while (span.length > 0) {
      const part = span.splice(0, 3);
      this.readInARow += part.length;
      yield part;
    }
  }

  async tail(
    fromSeq: number,
    onMessages: (messages: readonly InboxMessage[]) => void,
    onLost: (reason: string) => void,
  ): Promise<Tail> {
    this.#tailed = fromSeq - 1;
    this.#onMessages = onMessages;
    this.#onLost = onLost;
    setImmediate(() => this.tick());
    return {
      stop: async () => {
        this.#onMessages = undefined;
      },
    };
  }

  reportTailed(_gateway: string, seq: number): void {
    this.reported.push(seq);
  }
}

/** A log that holds the message of `inbox-records.ts` at each position up to `end`. */
export class ScriptedLog implements LogReader {
  reads = 0;
  readonly #end: number;

  constructor(end: number) {
    this.#end = end;
  }

  async lastPos(): Promise<number> {
    return this.#end;
  }

  async *read(from: number, to: number): AsyncIterable<LogRecord> {
    for (let pos = from; pos <= to; pos++) yield message(pos);
  }

  /** Three at a time. */
  async *readParts(from: number, to: number): AsyncIterable<readonly LogRecord[]> {
    let part: LogRecord[] = [];
    for await (const record of this.read(from, to)) {
      part.push(record);
      if (part.length < 3) continue;
      yield part;
      part = [];
    }
    if (part.length > 0) yield part;
  }

  async at(pos: number): Promise<LogRecord | undefined> {
    this.reads += 1;
    return pos <= this.#end ? message(pos) : undefined;
  }
}

/** As `ScriptedLog`, of a group that is created by its first event, with these members. */
export class GroupLog extends ScriptedLog {
  readonly #members: readonly UserId[];

  constructor(end: number, members: readonly UserId[]) {
    super(end);
    this.#members = members;
  }

  override async *read(from: number, to: number): AsyncIterable<LogRecord> {
    const { by, id } = message(1).event;
    const created = { type: 'groupCreated', by, id, name: 'Rooks', members: this.#members } as const;
    if (from === 1) yield { ...message(1), event: created };
    yield* super.read(Math.max(2, from), to);
  }
}

export const noCursors: DeviceCursors = {
  get: async () => undefined,
  confirm: () => undefined,
  drain: async () => undefined,
};
