/**
 * What the workload did and what it was told, one JSON line each, in the order in which it happened there: all the checker
 * knows of the clients. Times are milliseconds of one process's monotonic clock.
 */
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Entry } from '../../src/protocol/frames.ts';

/** A message, command or read mark somebody asked for. Several invocations with one (user, conversation, id) are retries. */
export interface Invoked {
  readonly k: 'invoked';
  readonly op: number;
  readonly at: number;
  readonly user: string;
  /** `http` for a backend. */
  readonly device: string;
  /** Which run of that device: order is promised within one. */
  readonly run: number;
  readonly type: string;
  readonly conversation: string;
  readonly id: string;
  /** Of a message: its text. */
  readonly text?: string;
}

/** It is durable at `pos`. */
export interface Acked {
  readonly k: 'acked';
  readonly op: number;
  readonly at: number;
  readonly pos: number;
  readonly duplicate?: boolean;
}

/** It did not happen, and never will by this invocation. */
export interface Refused {
  readonly k: 'refused';
  readonly op: number;
  readonly at: number;
  readonly code: string;
}

/** No answer came: it may have happened or not, never twice. */
export interface Unknown {
  readonly k: 'unknown';
  readonly op: number;
  readonly at: number;
}

/** `[type, n or 0, pos, by, id, read mark or text]` */
export type Seen = readonly [type: string, n: number, pos: number, by: string, id: string, about: number | string];

export interface Delivered {
  readonly k: 'delivered';
  readonly at: number;
  readonly user: string;
  readonly device: string;
  readonly conversation: string;
  readonly entries: readonly Seen[];
}

export interface CursorMoved {
  readonly k: 'cursor';
  readonly at: number;
  readonly user: string;
  readonly device: string;
  readonly epoch: string;
  readonly seq: number;
}

/** A device begins with nothing: what it gets from here on is all there is for it. */
export interface Reset {
  readonly k: 'reset';
  readonly at: number;
  readonly user: string;
  readonly device: string;
}

/** Something of a client's own that must not happen: a gap that stayed, a handler's failure, a code that stops it. */
export interface Complaint {
  readonly k: 'complaint';
  readonly at: number;
  readonly user: string;
  readonly device: string;
  readonly what: string;
}

/** The last line: which devices had caught up when the workload ended. */
export interface Ended {
  readonly k: 'ended';
  readonly at: number;
  readonly caughtUp: readonly { readonly user: string; readonly device: string }[];
  readonly late: readonly { readonly user: string; readonly device: string }[];
}

export type Line = Invoked | Acked | Refused | Unknown | Delivered | CursorMoved | Reset | Complaint | Ended;

/** What of an entry can be told apart. */
export function seenOf(entry: Entry): Seen {
  const n = 'n' in entry ? entry.n : 0;
  return [entry.type, n, entry.pos, entry.by, entry.id, aboutOf(entry)];
}

function aboutOf(entry: Entry): number | string {
  switch (entry.type) {
    case 'message':
    case 'messageEdited':
      return Buffer.from(entry.body).toString();
    case 'conversationRead':
      return entry.upTo;
    case 'rejected':
      return entry.code;
    case 'duplicate':
      return entry.original;
    default:
      return '';
  }
}

/** Lines gathered before they are written: what is lost with a killed workload. */
const BUFFERED_BYTES = 65_536;

export class HistoryWriter {
  readonly #file: number;
  #lines: string[] = [];
  #bytes = 0;

  constructor(file: string) {
    this.#file = openSync(file, 'wx');
  }

  write(line: Line): void {
    const text = `${JSON.stringify(line)}\n`;
    this.#lines.push(text);
    this.#bytes += text.length;
    if (this.#bytes >= BUFFERED_BYTES) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    writeSync(this.#file, this.#lines.join(''));
    this.#lines = [];
    this.#bytes = 0;
  }
}

export async function* readHistory(file: string): AsyncGenerator<Line> {
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line !== '') yield JSON.parse(line) as Line;
  }
}
