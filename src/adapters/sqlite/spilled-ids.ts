/**
 * Ids that a fold has accepted, written down as they come and looked at only when somebody asks for one of their time. A message is
 * rarely asked for again once it is old, and to put it into a table costs five times as much as to write it down.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import { type ClientMsgId, type ConversationId, type UserId, uuidv7TimeMs } from '../../domain/ids.ts';
import type { SeenEvent } from '../../ports/fan-out-state.ts';
import { RookeryError } from '../../protocol/error-codes.ts';
import type { SeenRows } from './seen-rows.ts';

/** Where what stands: position, index, end of its time, and the lengths of three texts, which follow in UTF-8. */
const [POS, N, EXPIRES_AT, CONVERSATION, BY, ID, HEAD_BYTES] = [0, 8, 12, 20, 22, 24, 26] as const;
const MAX_BYTES_PER_CHAR = 3;

interface Spilled {
  readonly file: string;
  /** Of its UUIDv7: milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** Whether there are ids without a time. */
  readonly hasOthers: boolean;
  readonly expiresAt: number;
}

export class SpilledIds {
  readonly #folder: string;
  readonly #db: Database.Database;
  readonly #rows: SeenRows;
  /** In order; those that are in the table are here no more. */
  #spilled: Spilled[] = [];
  #count = 0;
  #buffer = Buffer.alloc(0);

  /** @param rows where they go when they are looked for */
  constructor(folder: string, db: Database.Database, rows: SeenRows) {
    this.#folder = folder;
    this.#db = db;
    this.#rows = rows;
  }

  /** @param at the log's time: what has expired by then is forgotten @throws RookeryError STATE_FILE_UNUSABLE */
  add(events: readonly SeenEvent[], at: number): void {
    for (const { file, expiresAt } of this.#spilled) if (expiresAt <= at) rmSync(file, { force: true });
    this.#spilled = this.#spilled.filter(({ expiresAt }) => expiresAt > at);
    this.#count += 1;
    const file = join(this.#folder, `ids-${this.#count}`);
    let [from, to, hasOthers, expiresAt] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, false, 0];
    for (const event of events) {
      const time = uuidv7TimeMs(event.id);
      if (time === undefined) hasOthers = true;
      else {
        from = Math.min(from, time);
        to = Math.max(to, time);
      }
      expiresAt = Math.max(expiresAt, event.expiresAt);
    }
    usable(file, () => writeFileSync(file, this.#bytesOf(events)));
    this.#spilled.push({ file, from, to, hasOthers, expiresAt });
  }

  /** Whatever was written down and may be this id is in the table afterwards. @throws RookeryError STATE_FILE_UNUSABLE */
  settle(id: ClientMsgId): void {
    const wanted = this.#wanted(uuidv7TimeMs(id));
    if (wanted.size === 0) return;
    for (const { file } of wanted) {
      const events = usable(file, () => [...eventsIn(readFileSync(file))]);
      this.#db.transaction(() => this.#rows.write(events))();
      for (const event of events) this.#rows.settle(event);
      rmSync(file, { force: true });
    }
    this.#spilled = this.#spilled.filter((one) => !wanted.has(one));
  }

  /** In order; with those before them that may hold the same ids: of the same id the last one counts. */
  #wanted(time: number | undefined): Set<Spilled> {
    const found: Spilled[] = [];
    for (const one of this.#spilled.toReversed()) {
      const isAsked = time === undefined ? one.hasOthers : one.from <= time && time <= one.to;
      if (isAsked || found.some((later) => overlap(one, later))) found.push(one);
    }
    return new Set(found.reverse());
  }

  #bytesOf(events: readonly SeenEvent[]): Uint8Array {
    let room = 0;
    for (const { conversation, by, id } of events) {
      room += HEAD_BYTES + MAX_BYTES_PER_CHAR * (conversation.length + by.length + id.length);
    }
    if (room > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(room);
    const buffer = this.#buffer;
    let at = 0;
    for (const { conversation, by, id, pos, n, expiresAt } of events) {
      const start = at;
      buffer.writeDoubleLE(pos, start + POS);
      buffer.writeUInt32LE(n, start + N);
      buffer.writeDoubleLE(expiresAt, start + EXPIRES_AT);
      at = start + HEAD_BYTES;
      at = this.#text(conversation, start + CONVERSATION, at);
      at = this.#text(by, start + BY, at);
      at = this.#text(id, start + ID, at);
    }
    return buffer.subarray(0, at);
  }

  /** @returns where it ends */
  #text(text: string, lengthAt: number, at: number): number {
    const bytes = this.#buffer.write(text, at);
    this.#buffer.writeUInt16LE(bytes, lengthAt);
    return at + bytes;
  }
}

const overlap = (one: Spilled, other: Spilled): boolean =>
  (one.hasOthers && other.hasOthers) || (one.from <= other.to && other.from <= one.to);

function* eventsIn(bytes: Buffer): Generator<SeenEvent> {
  for (let at = 0; at < bytes.length; ) {
    const [pos, n] = [bytes.readDoubleLE(at + POS), bytes.readUInt32LE(at + N)];
    const expiresAt = bytes.readDoubleLE(at + EXPIRES_AT);
    let end = at + HEAD_BYTES;
    const [conversation, by, id] = [CONVERSATION, BY, ID].map((length) => {
      const start = end;
      end += bytes.readUInt16LE(at + length);
      return bytes.toString('utf8', start, end);
    }) as [ConversationId, UserId, ClientMsgId];
    yield { conversation, by, id, pos, n, expiresAt };
    at = end;
  }
}

function usable<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw new RookeryError('STATE_FILE_UNUSABLE', `cannot use ${file}: ${String(cause)}`, { cause });
  }
}
