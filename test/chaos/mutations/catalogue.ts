/**
 * Deliberate faults, one a build: what a careless change could make of Rookery. The checker of the fault suite must see each,
 * from what clients, log and inboxes tell. Every text to find stands exactly once in its file; a test holds that.
 */
export interface Edit {
  /** Below `src/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** How long it is looked for; a fifth of a minute where it shows at once. */
  readonly minutes?: number;
  /** Under which it shows; calm ones where it always does. */
  readonly faults: readonly string[];
  /** Promises of the checker by which it may be seen. */
  readonly seenBy: readonly number[];
}

/** The deployment is hardly disturbed. */
const CALM = ['restart-gateway'];

const INBOX_WRITER = 'adapters/jetstream/inbox/inbox-writer.ts';
const APPENDER = 'adapters/jetstream/log/conversation-log.ts';
const FAN_OUT = 'projections/fan-out.ts';
const LANE = 'application/fan-out/lane.ts';
const PLACES = 'application/delivery/places.ts';

/** No fault: leases only make overlaps of workers rare and short. Here every pause makes one, of seconds. */
export const LOOSE_LEASES: readonly Edit[] = [
  {
    file: 'adapters/jetstream/between-processes/leases.ts',
    find: 'const SILENT_MS = 2_500;',
    replace: 'const SILENT_MS = 1_000;',
  },
  {
    file: 'adapters/jetstream/between-processes/leases.ts',
    find: 'entry.string() !== owner) lost.abort();',
    replace: 'entry.string() !== owner) setTimeout(() => lost.abort(), 3_000);',
  },
];

export const mutations: readonly Mutation[] = [
  {
    name: 'skip an inbox write',
    edits: [
      {
        file: INBOX_WRITER,
        find: '      batch.add(record.subject, encoded);',
        replace: '      if (offset !== 1 || window.from % 20 !== 0) batch.add(record.subject, encoded);',
      },
    ],
    faults: CALM,
    seenBy: [1, 13, 15],
  },
  {
    name: 'double an inbox write',
    edits: [
      {
        file: INBOX_WRITER,
        find: '      batch.add(record.subject, encoded);',
        replace:
          '      batch.add(record.subject, encoded);\n      if (offset === 1 && window.from % 20 === 0) batch.add(record.subject, encoded);',
      },
    ],
    faults: CALM,
    seenBy: [3],
  },
  {
    name: 'swap two inbox entries',
    edits: [
      {
        file: 'projections/runs.ts',
        find: '    run.entries.push(entry);',
        replace: '    run.entries.length % 4 === 2 ? run.entries.splice(-1, 0, entry) : run.entries.push(entry);',
      },
    ],
    faults: CALM,
    seenBy: [4, 7, 15],
  },
  {
    name: 'ack before the append',
    edits: [
      {
        file: APPENDER,
        find: '      this.#count += 1;\n      this.#bytes += data.length;\n      const before',
        replace:
          '      this.#count += 1;\n      this.#bytes += data.length;\n      resolve({ pos: this.#next + 1, duplicate: false });\n      const before',
      },
    ],
    faults: CALM,
    seenBy: [1, 9],
  },
  {
    name: 'an ack for what was under way when the connection was lost',
    edits: [
      {
        file: APPENDER,
        find: "      if (type === 'disconnect') this.#connected = false;",
        replace:
          "      if (type === 'disconnect') for (const queue of this.#queues) for (const [number, pending] of queue.pending) {\n        this.#settle(queue, number, pending);\n        pending.resolve({ pos: 1, duplicate: false });\n      }\n      if (type === 'disconnect') this.#connected = false;",
      },
    ],
    faults: ['kill-nats-server', 'restart-nats-server'],
    seenBy: [1, 9],
  },
  {
    name: 'a position that is trusted whatever the inboxes hold',
    edits: [
      {
        file: LANE,
        find: '    if (state.position > stored || state.position > lastPos) {',
        replace: '    if (state.position > lastPos) {',
      },
    ],
    faults: ['delete-inbox'],
    seenBy: [1, 11, 13],
  },
  {
    name: 'position before the rows',
    edits: [
      {
        file: 'adapters/sqlite/fan-out-state.ts',
        find: '      this.#write(windows);\n',
        replace:
          '      const self = this as unknown as { late?: AppliedWindow[] };\n      this.#write(self.late ?? []);\n      self.late = windows;\n',
      },
    ],
    faults: ['kill-fan-out-worker'],
    seenBy: [1, 3, 7, 11, 13, 15],
  },
  {
    name: 'resume from the beginning of a window',
    edits: [
      {
        file: LANE,
        find: '        return writer.write(window, planFor(runs, lane, k, topology), stored);',
        replace: '        return writer.write(window, planFor(runs, lane, k, topology), 0);',
      },
    ],
    faults: ['die-at-halfEmitted'],
    seenBy: [3],
  },
  {
    // A paused worker that wakes goes on for a while beside the next one: terms are there to make that harmless.
    name: 'lost fence',
    edits: [
      ...LOOSE_LEASES,
      {
        file: INBOX_WRITER,
        find: '    await batch.commit(checkpointSubject(lane, inboxStream), checkpoint, fence);',
        replace: '    await batch.commit(checkpointSubject(lane, inboxStream), checkpoint, headers());',
      },
    ],
    faults: ['stall-at-halfEmitted'],
    minutes: 0.6,
    seenBy: [1, 3, 4, 11, 13, 15],
  },
  {
    name: 'an index used again',
    edits: [
      {
        file: FAN_OUT,
        find: 'audienceOf(members), after.lastIndex);',
        replace: 'audienceOf(members), after.lastIndex - (logged.pos % 97 === 0 ? 1 : 0));',
      },
    ],
    faults: CALM,
    seenBy: [7, 12, 15],
  },
  {
    name: 'a repeated id is a new message',
    edits: [
      {
        file: FAN_OUT,
        find: '      if (original !== undefined) {',
        replace: '      if (original !== undefined && logged.pos % 3 !== 0) {',
      },
    ],
    faults: CALM,
    seenBy: [2, 3, 12, 15],
  },
  {
    name: 'who is removed still gets what comes',
    edits: [
      {
        file: FAN_OUT,
        find: '    this.#outlet?.timeline(logged, audienceOf(members)',
        replace:
          "    const rooms = (globalThis.rooms ??= new Map());\n    const gone = new Map([...(rooms.get(id) ?? []), ...before.conversation.roster.members, ...members]);\n    rooms.set(id, gone);\n    this.#outlet?.timeline(logged, event.type === 'messageSent' ? [...gone.keys()] : audienceOf(members)",
      },
    ],
    faults: CALM,
    seenBy: [12, 15],
  },
  {
    name: 'a refusal nobody hears of',
    edits: [
      {
        file: FAN_OUT,
        find: '    this.#outlet?.rejected(logged, code);',
        replace: '    void [logged, code];',
      },
    ],
    faults: CALM,
    seenBy: [1, 13, 15],
  },
  {
    name: 'a read mark goes back',
    edits: [
      {
        file: FAN_OUT,
        find: '    if (!movesReadMark(this.#readMark(id, event.by), upTo)) return;',
        replace: '    void movesReadMark;',
      },
    ],
    faults: CALM,
    seenBy: [12, 14, 15],
  },
  {
    name: 'a cursor that skips one',
    edits: [
      {
        file: PLACES,
        find: '    device.moveTo(cursor.stream, place);\n  }',
        replace: '    device.moveTo(cursor.stream, place + 1);\n  }',
      },
    ],
    faults: ['kill-all-gateways'],
    // It shows where a record came while a device was away, and is a message to it.
    minutes: 0.8,
    seenBy: [10, 13],
  },
  {
    name: 'the live tail forgets one',
    edits: [
      {
        file: 'application/delivery/live-inbox.ts',
        find: '      if (seq > device.at && device.tick',
        replace: '      if (seq > device.at && seq % 50 !== 0 && device.tick',
      },
    ],
    faults: CALM,
    seenBy: [10, 13],
  },
  {
    name: 'a replay ends one early',
    edits: [
      {
        file: 'application/delivery/replay-work.ts',
        find: '    for await (const records of log.readParts(this.#readTo + 1, end)) {',
        replace: '    for await (const records of log.readParts(this.#readTo + 1, end - 1)) {',
      },
    ],
    faults: ['delete-inbox'],
    // It shows where the last record of a replay is a message to whoever asked.
    minutes: 1,
    seenBy: [10, 13],
  },
  {
    name: 'what is sent again goes out the wrong way round',
    edits: [
      {
        file: APPENDER,
        find: '    for (const [number, pending] of queue.pending) this.#send(queue, number, pending);',
        replace:
          '    for (const [number, pending] of [...queue.pending].toReversed()) this.#send(queue, number, pending);',
      },
    ],
    faults: ['kill-nats-server', 'pause-nats-server'],
    seenBy: [5, 6],
  },
  {
    name: 'a message overtakes what waits',
    edits: [
      {
        file: 'application/gateway/conversations.ts',
        find: '    const waits = this.#waiting.has(key) || this.#changing.has(key);',
        replace: '    const waits = Math.random() < 0.5 && (this.#waiting.has(key) || this.#changing.has(key));',
      },
    ],
    faults: ['kill-gateway', 'restart-gateway'],
    seenBy: [5, 6],
  },
];
