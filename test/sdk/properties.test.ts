/**
 * The client against a server that does what the protocol says, while everything else goes wrong: connections drop with what
 * is on its way, answers get lost, requests are refused for a while, the app is slow or dies.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { SendOrder } from '../../src/application/gateway/send-order.ts';
import type { ClientMsgId, ConversationId } from '../../src/domain/ids.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import type { ClientFrame, Cursor, Entry, ServerFrame } from '../../src/protocol/frames.ts';
import type { Effect, Input, TimerName } from '../../src/sdk/inputs-and-effects.ts';
import { COMMIT_EVERY_MS } from '../../src/sdk/limits.ts';
import { Machine } from '../../src/sdk/machine.ts';
import { MemoryStorage } from '../../src/sdk/storage.ts';
import { bytes, conversation, device, msgId, user } from '../support/given.ts';
import { welcome } from '../support/sdk-scene.ts';

/** For a search: as many stories of each. */
const RUNS = 400;
const ROOMS = ['room', 'hall'].map(conversation);
const EPOCH = 'e';

/** The server's clock is that much slower: nothing is on its way for as long as a server keeps the order behind a refusal. */
const SLOWER = 100;

/** A log and one user's inbox in it; answers and entries of one connection wait to be taken. */
class Server {
  readonly log: { readonly room: ConversationId; readonly entry: Entry }[] = [];
  readonly #seen = new Map<string, number>();
  readonly #lastIndex = new Map<ConversationId, number>();
  outgoing: ServerFrame[] = [];
  overloaded = false;
  /** The fold refuses the next one, which stands in the log all the same. */
  rejectsNext = false;
  #deliveredTo = 0;
  #order = new SendOrder();

  append(room: ConversationId, by: string, id: string): number {
    const seenAt = this.#seen.get(id);
    if (seenAt !== undefined) return seenAt;
    const pos = this.log.length + 1;
    const n = (this.#lastIndex.get(room) ?? 0) + 1;
    this.#lastIndex.set(room, n);
    this.#seen.set(id, pos);
    const base = { type: 'message', pos, at: pos, by: user(by), id: msgId(id), n } as const;
    if (this.rejectsNext && by === 'me') {
      this.#lastIndex.set(room, n - 1);
      const { n: _, ...rest } = base;
      this.log.push({ room, entry: { ...rest, type: 'rejected', code: 'NOT_A_MEMBER' } });
    } else this.log.push({ room, entry: { ...base, contentType: 'x', body: bytes(id) } });
    if (by === 'me') this.rejectsNext = false;
    return pos;
  }

  receive(frame: ClientFrame, nowMs: number): void {
    if (frame.t === 'hello') {
      this.#order = new SendOrder();
      this.outgoing = [(welcome() as Extract<Input, { type: 'frame' }>).frame];
      const { resume } = frame;
      // What lies just before the cursor may come again.
      this.#deliveredTo = typeof resume === 'object' ? Math.max(0, resume.seq - 2) : 0;
    } else if (frame.t === 'send') {
      const { id } = frame;
      if (this.#refuses(frame.conversation as ConversationId, frame.clientMsgId, nowMs)) {
        this.outgoing.push({ t: 'error', id, code: 'OVERLOADED', message: '', retryAfterMs: 10 });
        return;
      }
      const room = frame.conversation as ConversationId;
      this.outgoing.push({ t: 'sent', id, conversation: room, pos: this.append(room, 'me', frame.clientMsgId), at: 0 });
    }
  }

  #refuses(room: ConversationId, id: ClientMsgId, nowMs: number): boolean {
    try {
      const place = this.#order.enter(room, id, nowMs);
      if (!this.overloaded) return false;
      this.#order.failed(room, id, place, new RookeryError('OVERLOADED', '', { retryAfterMs: 10 }), nowMs);
    } catch (error) {
      assert.ok(error instanceof RookeryError);
    }
    return true;
  }

  /** Up to three entries, and perhaps the cursor behind them. */
  deliver(withCursor: boolean): void {
    const until = Math.min(this.log.length, this.#deliveredTo + 3);
    for (const { room, entry } of this.log.slice(this.#deliveredTo, until)) {
      this.outgoing.push({ t: 'deliver', conversation: room, entries: [entry] });
    }
    this.#deliveredTo = until;
    if (withCursor) this.outgoing.push({ t: 'cursor', epoch: EPOCH, seq: until });
  }
}

/** What the runtime has been told to do, in order: a frame is written when all before it is stored. */
type Doing = Extract<Effect, { type: 'write' | 'store entry' | 'drop entry' | 'commit' }>;

/** A device: the machine with a storage that takes its time, and an app that keeps what it handled. */
class Device {
  readonly server: Server;
  readonly storage = new MemoryStorage();
  readonly handled: { readonly room: ConversationId; readonly pos: number }[] = [];
  readonly commits: Cursor[] = [];
  readonly settled: number[] = [];
  readonly violations: string[] = [];
  /** Ids of what was ever in the storage. */
  readonly stored = new Set<string>();
  #doing: Doing[] = [];
  #machine!: Machine;
  #work: Extract<Effect, { type: 'hand over' | 'pass' }>[] = [];
  readonly #timers = new Map<TimerName, number>();
  #connected = false;
  #toServer: ClientFrame[] = [];
  #nowMs = 0;

  constructor(server: Server) {
    this.server = server;
  }

  get outboxSize(): number {
    return this.#machine.outboxSize;
  }

  /** A crash: of what was being stored the first few calls have taken effect. */
  async crashes(taken: number): Promise<void> {
    for (const one of this.#doing.splice(0, taken)) this.#store(one);
    await this.start();
  }

  /** Nothing is left but the storage. */
  async start(): Promise<void> {
    this.#doing = [];
    this.#machine = new Machine({ device: device('d'), resume: 'everything' }, await this.storage.load());
    this.#work = [];
    this.#toServer = [];
    this.#timers.clear();
    this.#connected = false;
    this.input({ type: 'start' });
  }

  input(input: Input): void {
    const moment = { nowMs: this.#nowMs, random: 0.5 };
    for (const effect of this.#machine.handle(input, moment)) this.#perform(effect);
  }

  send(room: ConversationId, ticket: number): void {
    const content = { contentType: 'x', body: bytes('') };
    const request = { t: 'send', address: { conversation: room }, content } as const;
    this.input({ type: 'request', ticket, clientMsgId: msgId(`m${ticket}`), request });
  }

  serverReads(): void {
    const next = this.#toServer.shift();
    if (next) this.server.receive(next, this.#nowMs / SLOWER);
  }

  clientReads(): void {
    const frame = this.#connected ? this.server.outgoing.shift() : undefined;
    if (frame) this.input({ type: 'frame', frame });
  }

  appHandles(): void {
    const work = this.#work.shift();
    if (!work) return;
    if (work.type === 'pass') return this.input({ type: 'passed', cursor: work.cursor });
    for (const { pos } of work.entries) this.handled.push({ room: work.conversation, pos });
    this.input({ type: 'handled', conversation: work.conversation, entries: work.entries });
  }

  storageAnswers(): void {
    const one = this.#doing.shift();
    if (!one) return;
    if (one.type === 'write') {
      this.#check(one.frame);
      this.#toServer.push(one.frame);
      return;
    }
    this.#store(one);
    if (one.type === 'commit') this.input({ type: 'committed', cursor: one.cursor });
  }

  drop(): void {
    if (!this.#connected) return;
    this.#disconnect();
    this.input({ type: 'closed', code: 1006, reason: '' });
  }

  /** All timers that are due by then fire. */
  passes(ms: number): void {
    this.#nowMs += ms;
    for (const [name, at] of [...this.#timers]) {
      if (at > this.#nowMs || name === 'heartbeat' || name === 'connect') continue;
      this.#timers.delete(name);
      this.input({ type: 'timer', name });
    }
  }

  #disconnect(): void {
    this.#connected = false;
    this.#doing = this.#doing.filter(({ type }) => type !== 'write');
    this.#toServer = [];
    this.server.outgoing = [];
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'fetch token':
        return this.input({ type: 'token', token: 't' });
      case 'open':
        this.#connected = true;
        return this.input({ type: 'opened' });
      case 'close':
        return this.#disconnect();
      case 'write':
      case 'store entry':
      case 'drop entry':
      case 'commit':
        this.#doing.push(effect);
        return;
      case 'set timer':
        this.#timers.set(effect.name, this.#nowMs + effect.ms);
        return;
      case 'clear timer':
        this.#timers.delete(effect.name);
        return;
      case 'settle':
        this.settled.push(effect.ticket);
        return;
      case 'hand over':
      case 'pass':
        this.#work.push(effect);
        return;
    }
  }

  #store(one: Doing): void {
    if (one.type === 'drop entry') void this.storage.deleteOutbox(one.key);
    if (one.type === 'store entry') {
      this.stored.add(one.entry.clientMsgId);
      void this.storage.putOutbox(one.entry);
    }
    if (one.type !== 'commit') return;
    const { cursor, marks } = one;
    void this.storage.commit(cursor, marks);
    if (cursor) this.commits.push(cursor);
    const handled = new Set(this.handled.map(({ pos }) => pos));
    for (let pos = 1; pos <= (cursor?.seq ?? 0); pos++) {
      if (!handled.has(pos)) this.violations.push(`cursor ${cursor?.seq} committed before ${pos} was handled`);
    }
  }

  #check(frame: ClientFrame): void {
    if (frame.t === 'send' && !this.stored.has(frame.clientMsgId))
      this.violations.push(`${frame.clientMsgId} not stored`);
  }
}

const happenings = {
  send: 5,
  'other sends': 3,
  'server reads': 8,
  'client reads': 8,
  'app handles': 6,
  delivers: 4,
  'delivers with cursor': 4,
  drop: 1,
  'storage answers': 10,
  'time passes': 3,
  crash: 1,
  overload: 1,
  rejects: 1,
} as const;
type Happening = keyof typeof happenings;

const anything = (without: readonly Happening[]) =>
  fc.array(
    fc.oneof(
      ...(Object.keys(happenings) as Happening[])
        .filter((what) => !without.includes(what))
        .map((what) => ({
          weight: happenings[what],
          arbitrary: fc.tuple(fc.constant(what), fc.constantFrom(...ROOMS), fc.nat(3)),
        })),
    ),
    { maxLength: 200, size: 'max' },
  );

/** Of all stories. */
let allLogged = 0;

async function run(story: readonly (readonly [Happening, ConversationId, number])[]) {
  const server = new Server();
  const phone = new Device(server);
  await phone.start();
  const sent: { readonly room: ConversationId; readonly id: string }[] = [];
  let others = 0;
  for (const [what, room, k] of story) {
    if (what === 'send') {
      sent.push({ room, id: `m${sent.length + 1}` });
      phone.send(room, sent.length);
    } else if (what === 'other sends') server.append(room, 'bob', `o${++others}`);
    else if (what === 'server reads') phone.serverReads();
    else if (what === 'client reads') phone.clientReads();
    else if (what === 'app handles') phone.appHandles();
    else if (what === 'delivers') server.deliver(false);
    else if (what === 'delivers with cursor') server.deliver(true);
    else if (what === 'drop') phone.drop();
    else if (what === 'time passes') phone.passes(400);
    else if (what === 'storage answers') phone.storageAnswers();
    else if (what === 'rejects') server.rejectsNext = true;
    else if (what === 'crash') await phone.crashes(k);
    else server.overloaded = !server.overloaded;
  }
  // Then all is well, and what is left comes through.
  server.overloaded = false;
  for (let i = 0; i < 2_000 && (i < 400 || phone.outboxSize > 0); i++) {
    if (i % 10 === 0) phone.passes(30_000);
    phone.serverReads();
    server.deliver(true);
    for (let k = 0; k < 8; k++) phone.clientReads();
    for (let k = 0; k < 8; k++) phone.appHandles();
    for (let k = 0; k < 16; k++) phone.storageAnswers();
  }
  phone.passes(COMMIT_EVERY_MS);
  for (let k = 0; k < 16; k++) phone.storageAnswers();
  allLogged += server.log.length;
  return { server, phone, sent };
}

function holds({ server, phone, sent }: Awaited<ReturnType<typeof run>>): void {
  const logged = server.log.map(({ entry }) => entry.id as string).filter((id) => id.startsWith('m'));
  const stored = sent.map(({ id }) => id).filter((id) => phone.stored.has(id));
  assert.deepEqual([...logged].sort(), stored.sort(), 'every message that was stored is in the log, once');
  assert.equal(phone.outboxSize, 0);
  assert.equal(new Set(phone.settled).size, phone.settled.length, 'none settles twice');
  assert.deepEqual(phone.violations, []);
  const seqs = phone.commits.map(({ seq }) => seq);
  assert.ok(
    seqs.every((seq, i) => i === 0 || seq >= (seqs[i - 1] ?? 0)),
    'cursors only grow',
  );
}

const positionsOf = (handled: Device['handled'], room: ConversationId): number[] =>
  handled.filter((one) => one.room === room).map(({ pos }) => pos);
const loggedIn = ({ log }: Server, room: ConversationId): number[] =>
  log.filter((one) => one.room === room).map(({ entry }) => entry.pos);

t.test(
  'while the app lives, every entry is handled exactly once and in order, every message settles once',
  async () => {
    await fc.assert(
      fc.asyncProperty(anything(['crash']), async (story) => {
        const outcome = await run(story);
        holds(outcome);
        for (const room of ROOMS)
          assert.deepEqual(positionsOf(outcome.phone.handled, room), loggedIn(outcome.server, room));
        assert.equal(outcome.phone.settled.length, outcome.sent.length);
      }),
      { numRuns: RUNS },
    );
  },
);

t.test('when the app dies, entries may repeat, but none is lost, and no message is lost or doubled', async () => {
  await fc.assert(
    fc.asyncProperty(anything([]), async (story) => {
      const outcome = await run(story);
      holds(outcome);
      for (const room of ROOMS) {
        const positions = new Set(positionsOf(outcome.phone.handled, room));
        assert.deepEqual(positions, new Set(loggedIn(outcome.server, room)));
      }
    }),
    { numRuns: RUNS },
  );
});

t.test(
  'messages of a conversation are logged in the order they were sent, also where they are refused for a while',
  async (t) => {
    await fc.assert(
      // What was refused for a while and is then known to be rejected never comes again: a server stops to wait for it at any time.
      fc.asyncProperty(anything(['rejects']), async (story) => {
        const { server, phone, sent } = await run(story);
        for (const room of ROOMS) {
          const ids = (list: readonly { room: ConversationId; id: string }[]) =>
            list.filter((one) => one.room === room && one.id.startsWith('m')).map(({ id }) => id);
          assert.deepEqual(
            ids(server.log.map(({ room: where, entry }) => ({ room: where, id: entry.id }))),
            ids(sent).filter((id) => phone.stored.has(id)),
          );
        }
      }),
      { numRuns: RUNS },
    );
    t.ok(allLogged > 3 * RUNS, `in all ${allLogged} entries`);
  },
);
