/**
 * Deliberate faults, one a build: what a careless change could make of Rookery. The checker of the fault suite must see each,
 * from what clients, log and inboxes tell. Every text to find stands exactly once in its file; a test holds that.
 */
export interface Mutation {
  readonly name: string;
  /** Below `src/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Under which it shows; calm ones where it always does. */
  readonly faults: readonly string[];
  /** Promises of the checker by which it may be seen. */
  readonly seenBy: readonly number[];
}

/** The deployment is hardly disturbed. */
const CALM = ['restart-gateway'];

const INBOX_WRITER = 'adapters/jetstream/inbox-writer.ts';
const APPENDER = 'adapters/jetstream/conversation-log.ts';
const FAN_OUT = 'projections/fan-out.ts';
const LANE = 'application/fan-out/lane.ts';
const DELIVERY = 'application/delivery/stream-delivery.ts';

export const mutations: readonly Mutation[] = [
  {
    name: 'skip an inbox write',
    file: INBOX_WRITER,
    find: '      batch.add(record.subject, encoded);',
    replace: '      if (offset !== 1 || window.from % 20 !== 0) batch.add(record.subject, encoded);',
    faults: CALM,
    seenBy: [1, 13, 15],
  },
  {
    name: 'double an inbox write',
    file: INBOX_WRITER,
    find: '      batch.add(record.subject, encoded);',
    replace:
      '      batch.add(record.subject, encoded);\n      if (offset === 1 && window.from % 20 === 0) batch.add(record.subject, encoded);',
    faults: CALM,
    seenBy: [3],
  },
  {
    name: 'swap inbox writes',
    file: INBOX_WRITER,
    find: '      const record = plan[offset] as PlannedRecord;',
    replace: '      const record = (window.from % 20 === 0 ? plan.toReversed() : plan)[offset] as PlannedRecord;',
    faults: CALM,
    seenBy: [4],
  },
  {
    name: 'ack before the append',
    file: APPENDER,
    find: '      this.#count += 1;\n      this.#bytes += data.length;\n      const before',
    replace:
      '      this.#count += 1;\n      this.#bytes += data.length;\n      resolve({ pos: this.#next + 1, duplicate: false });\n      const before',
    faults: CALM,
    seenBy: [1, 9],
  },
  {
    name: 'an ack for what the log refuses for the moment',
    file: APPENDER,
    find: '      queue.wasRefused = true;\n      return;\n    }\n    this.#answered += 1;',
    replace:
      '      this.#settle(queue, number, pending);\n      pending.resolve({ pos: 1, duplicate: false });\n      return;\n    }\n    this.#answered += 1;',
    faults: ['kill-nats-server', 'restart-nats-server'],
    seenBy: [1, 9],
  },
  {
    name: 'position before the rows',
    file: LANE,
    find: '    await this.#emit(folded, window);\n',
    replace: '    this.#confirmed = window.to;\n    this.#commit();\n    await this.#emit(folded, window);\n',
    faults: ['die-at-halfEmitted', 'die-at-committed'],
    seenBy: [1, 11, 13, 15],
  },
  {
    name: 'resume from the beginning of a window',
    file: LANE,
    find: '        return writer.write(window, planFor(runs, lane, k, topology), stored);',
    replace: '        return writer.write(window, planFor(runs, lane, k, topology), 0);',
    faults: ['die-at-halfEmitted'],
    seenBy: [3],
  },
  {
    name: 'lost fence',
    file: 'projections/lane-terms.ts',
    find: "return marker.term === term ? 'valid' : 'void';",
    replace: "return 'valid';",
    faults: ['pause-fan-out-worker', 'die-at-halfEmitted'],
    seenBy: [3, 4],
  },
  {
    name: 'an index used again',
    file: FAN_OUT,
    find: 'timelineEntry(logged, after.lastIndex), true);',
    replace: 'timelineEntry(logged, after.lastIndex - (logged.pos % 97 === 0 ? 1 : 0)), true);',
    faults: CALM,
    seenBy: [7, 12, 15],
  },
  {
    name: 'a repeated id is a new message',
    file: FAN_OUT,
    find: '      if (original !== undefined) {',
    replace: '      if (original !== undefined && logged.pos % 3 !== 0) {',
    faults: CALM,
    seenBy: [2, 3, 12, 15],
  },
  {
    name: 'who is removed still gets what comes',
    file: FAN_OUT,
    find: '    this.#append(id, audienceOf(members), timelineEntry',
    replace:
      "    const rooms = (globalThis.rooms ??= new Map());\n    const gone = new Map([...(rooms.get(id) ?? []), ...before.conversation.roster.members, ...members]);\n    rooms.set(id, gone);\n    this.#append(id, event.type === 'messageSent' ? [...gone.keys()] : audienceOf(members), timelineEntry",
    faults: CALM,
    seenBy: [12, 15],
  },
  {
    name: 'a refusal nobody hears of',
    file: FAN_OUT,
    find: "    this.#returnToSender(logged, { ...originOf(logged), type: 'rejected', code });",
    replace: '    void [logged, code];',
    faults: CALM,
    seenBy: [1, 13, 15],
  },
  {
    name: 'a read mark goes back',
    file: FAN_OUT,
    find: '    if (!movesReadMark(mark, upTo)) return;',
    replace: '    void [mark, movesReadMark];',
    faults: CALM,
    seenBy: [12, 14, 15],
  },
  {
    name: 'a cursor that skips one',
    file: DELIVERY,
    find: '    device.moveTo(cursor.stream, place);\n  }',
    replace: '    device.moveTo(cursor.stream, place + 1);\n  }',
    faults: CALM,
    seenBy: [10, 13],
  },
  {
    name: 'the live tail forgets one',
    file: 'application/delivery/live-inbox.ts',
    find: '      if (seq > device.at && device.tick',
    replace: '      if (seq > device.at && seq % 50 !== 0 && device.tick',
    faults: CALM,
    seenBy: [10, 13],
  },
  {
    name: 'a replay ends one early',
    file: 'application/delivery/replay.ts',
    find: '    for await (const record of log.read(from, end)) {',
    replace: '    for await (const record of log.read(from, end - 1)) {',
    faults: ['delete-inbox'],
    seenBy: [10, 13],
  },
  {
    name: 'what is sent again goes out the wrong way round',
    file: APPENDER,
    find: '    for (const [number, pending] of queue.pending) this.#send(queue, number, pending);',
    replace: '    for (const [number, pending] of [...queue.pending].toReversed()) this.#send(queue, number, pending);',
    faults: ['kill-nats-server', 'pause-nats-server'],
    seenBy: [5, 6],
  },
  {
    name: 'a message overtakes what waits',
    file: 'application/gateway/conversations.ts',
    find: '    const waits = this.#waiting.has(key) || this.#changing.has(key);',
    replace: '    const waits = Math.random() < 0.5 && (this.#waiting.has(key) || this.#changing.has(key));',
    faults: ['kill-gateway', 'restart-gateway'],
    seenBy: [5, 6],
  },
];
