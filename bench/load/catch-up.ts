/** A device that was away comes back with its cursor, and is sent what it missed. */
import { directConversationId, parseUserId, type UserId } from '../../src/domain/ids.ts';
import type { Cursor, Resume } from '../../src/protocol/frames.ts';
import type { CatchUpJob, Result } from '../job.ts';
import { connectDevice, type Device } from './device.ts';
import { bodyOf, decode, encode, runsOf } from './frames.ts';
import { Ledger, monotonicUs } from './ledger.ts';
import { type Enter, within } from './pace.ts';
import { Timeline } from './timeline.ts';

const CURSOR_WITHIN_MS = 10_000;
const SENT_WITHIN_MS = 60_000;
const CAUGHT_UP_WITHIN_MS = 60_000;
/**
 * Unanswered messages of one writer while the device is away. One: what comes one by one over hours is not coalesced into
 * few entries as a burst would be, so there is more to catch up with.
 */
const WRITER_WINDOW = 1;
const READER = 'reader';
const MS = 1_000;

export async function catchUp(job: CatchUpJob, enter: Enter): Promise<Result> {
  const cursor = await cursorOfNow(job);
  // Another device of the same user stays: when it has seen everything, everything is there to be caught up with.
  const watch = new Reader(job, 'watch', 'latest');
  await watch.connect();
  await write(job);
  if (!(await within(SENT_WITHIN_MS, () => watch.missing === 0)))
    throw new Error(`${watch.missing} were not delivered`);
  watch.end();

  await Reader.away(job, cursor);
  await enter('measuring');
  const back: Reader[] = [];
  for (let i = 0; i < job.resumes; i++) back.push(await Reader.away(job, cursor));
  await enter('measured');
  const times = back.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const medianMs = times[Math.floor(times.length / 2)] as number;
  const sum = (of: (reader: Reader) => number): number => back.reduce((total, reader) => total + of(reader), 0);
  return {
    value: (job.messages * MS) / medianMs,
    p50Ms: medianMs,
    p99Ms: times.at(-1),
    lost: sum(({ missing }) => missing),
    doubled: sum(({ doubled }) => doubled),
    outOfOrder: sum(({ outOfOrder }) => outOfOrder),
  };
}

async function cursorOfNow(job: CatchUpJob): Promise<Cursor> {
  let cursor: Cursor | undefined;
  const { socket } = await connectDevice({
    server: job,
    user: READER,
    resume: 'latest',
    onFrame: (payload) => {
      const frame = decode(payload);
      if (frame.t === 'cursor') cursor = { epoch: frame.epoch, seq: frame.seq };
    },
  });
  await within(CURSOR_WITHIN_MS, () => cursor !== undefined);
  socket.destroy();
  if (!cursor) throw new Error('no cursor came');
  return cursor;
}

const writerOf = (conversation: number): UserId => parseUserId(`writer${conversation}`) as UserId;

/** Each writer sends to the reader, in a direct conversation; the messages of all come in a mixed order. */
async function write(job: CatchUpJob): Promise<void> {
  const each = job.messages / job.conversations;
  let unacked = job.messages;
  const writers: Device[] = [];
  for (let w = 0; w < job.conversations; w++) {
    let sent = 0;
    const sendNext = (): void => {
      if (sent >= each) return;
      const number = w + job.conversations * sent++;
      const content = { contentType: 'text/plain', body: bodyOf(number) };
      writers[w]?.socket.send(encode({ t: 'send', id: number, to: READER, clientMsgId: `c${number}`, ...content }));
    };
    const onFrame = (payload: Buffer): void => {
      if (decode(payload).t !== 'sent') return;
      unacked -= 1;
      sendNext();
    };
    writers.push(await connectDevice({ server: job, user: writerOf(w), resume: 'latest', onFrame }));
    for (let i = 0; i < WRITER_WINDOW; i++) sendNext();
  }
  const acked = await within(SENT_WITHIN_MS, () => unacked === 0);
  for (const { socket } of writers) socket.destroy();
  if (!acked) throw new Error(`${unacked} messages were not acked`);
}

/** One device of the reader's, and all it must be sent. */
class Reader {
  #ledger = new Ledger();
  #timelines = new Map<string, Timeline>();
  readonly #job: CatchUpJob;
  readonly #name: string;
  readonly #resume: Resume;
  #device: Device | undefined;
  #startedUs = 0;
  #endedUs = 0;

  /** Comes back with the cursor, and goes away again when it has caught up. */
  static async away(job: CatchUpJob, cursor: Cursor): Promise<Reader> {
    const reader = new Reader(job, 'away', cursor);
    await reader.connect();
    await within(CAUGHT_UP_WITHIN_MS, () => reader.#endedUs > 0);
    reader.end();
    if (reader.#endedUs === 0) throw new Error(`${reader.missing} of ${job.messages} messages did not come`);
    return reader;
  }

  constructor(job: CatchUpJob, name: string, resume: Resume) {
    this.#job = job;
    this.#name = name;
    this.#resume = resume;
    this.#begin();
  }

  /** Everything is due. */
  #begin(): void {
    const { conversations, messages } = this.#job;
    const reader = parseUserId(READER) as UserId;
    const ids = Array.from({ length: conversations }, (_, w) => directConversationId(writerOf(w), reader));
    this.#ledger = new Ledger();
    this.#timelines = new Map(ids.map((id) => [id, new Timeline(this.#ledger, 1)]));
    for (let number = 0; number < messages; number++) this.#ledger.send(number % conversations, 1);
  }

  get missing(): number {
    return this.#ledger.open;
  }

  get doubled(): number {
    return [...this.#timelines.values()].reduce((sum, { doubled }) => sum + doubled, 0);
  }

  get outOfOrder(): number {
    return [...this.#timelines.values()].reduce((sum, { outOfOrder }) => sum + outOfOrder, 0);
  }

  /** From the hello to the cursor behind the last message. */
  get tookMs(): number {
    return (this.#endedUs - this.#startedUs) / MS;
  }

  async connect(): Promise<void> {
    this.#device = await connectDevice({
      server: this.#job,
      user: READER,
      device: this.#name,
      resume: this.#resume,
      onFrame: (payload) => this.#received(payload),
      onHello: () => (this.#startedUs = monotonicUs()),
    });
  }

  end(): void {
    this.#device?.socket.destroy();
  }

  #received(payload: Buffer): void {
    const frame = decode(payload);
    // From here on all is sent from the log: the device drops what it knew, as the protocol says.
    if (frame.t === 'resync') this.#begin();
    if (frame.t === 'cursor' && this.missing === 0 && this.#endedUs === 0) this.#endedUs = monotonicUs();
    if (frame.t !== 'deliver') return;
    const timeline = this.#timelines.get(frame.conversation);
    for (const run of runsOf(frame.entries)) {
      timeline?.place(run);
      timeline?.receive(0, run, monotonicUs());
    }
  }
}
