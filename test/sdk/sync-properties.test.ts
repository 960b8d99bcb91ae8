/**
 * A device that is brought up by changes, while everything moves at its own pace: lanes, inbox and read model are late, the inbox
 * drops what the device has not had, connections break, the app is slow or killed between any two steps. What does not hold is thrown: so a
 * story is shortened, and printed with its seed.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { ConversationId } from '../../src/domain/ids.ts';
import type { ClientFrame, ServerFrame } from '../../src/protocol/frames.ts';
import type { Effect, Input, TimerName } from '../../src/sdk/inputs-and-effects.ts';
import { COMMIT_EVERY_MS } from '../../src/sdk/limits.ts';
import { Machine } from '../../src/sdk/machine.ts';
import { MemoryStorage } from '../../src/sdk/storage.ts';
import { device } from '../support/given.ts';
import { doneWith, welcome } from '../support/sdk-scene.ts';
import { ROOMS, SyncWorld } from '../support/sync-world.ts';

const WELCOME = (welcome() as Extract<Input, { type: 'frame' }>).frame;

/** The machine with a storage, and an app that keeps what it was given, as an app with a database would. */
class Phone {
  readonly world: SyncWorld;
  readonly storage = new MemoryStorage();
  /** By conversation: indexes that came as entries, in their order; and up to which it was told that there are any. */
  readonly entries = new Map<ConversationId, number[]>();
  readonly told = new Map<ConversationId, number>();
  /** A device with nothing is told one page: the rest of the list is asked for when somebody looks. */
  #mayAskForMore = false;
  readonly violations: string[] = [];
  pagesHeld = 0;
  synced = 0;
  isLive = false;
  #machine!: Machine;
  #work: Extract<Effect, { type: 'hand over' | 'announce' | 'pass' }>[] = [];
  readonly #timers = new Map<TimerName, number>();
  #connected = false;
  #toServer: ClientFrame[] = [];
  #nowMs = 0;

  constructor(world: SyncWorld) {
    this.world = world;
  }

  /** Also after a kill -9: nothing is left but the storage, and what the app keeps. */
  async start(): Promise<void> {
    const options = { device: device('d'), resume: 'latest', onGap: 'changes' } as const;
    this.#machine = new Machine(options, structuredClone(await this.storage.load()));
    this.#work = [];
    this.pagesHeld = 0;
    this.#disconnect();
    this.#timers.clear();
    this.input({ type: 'start' });
  }

  input(input: Input): void {
    for (const effect of this.#machine.handle(input, { nowMs: this.#nowMs, random: 0.5 })) this.#perform(effect);
  }

  serverReads(): void {
    const next = this.#toServer.shift();
    if (next) this.world.receive(next, WELCOME);
  }

  clientReads(): void {
    const frame: ServerFrame | undefined = this.#connected ? this.world.outgoing.shift() : undefined;
    if (frame) this.input({ type: 'frame', frame });
  }

  appHandles(): void {
    const work = this.#work.shift();
    if (!work) return;
    if (work.type === 'hand over') {
      for (const entry of work.entries) if ('n' in entry) this.#keep(work.conversation, entry.n);
    }
    if (work.type === 'announce') {
      this.pagesHeld -= 1;
      for (const { conversation, lastIndex } of work.page.conversations) this.#tell(conversation, lastIndex);
      if (work.page.rest.more !== undefined) this.#mayAskForMore = true;
    }
    this.input(doneWith(work));
  }

  drop(): void {
    if (!this.#connected) return;
    this.#disconnect();
    this.input({ type: 'closed', code: 1006, reason: '' });
  }

  passes(ms: number): void {
    this.#nowMs += ms;
    for (const [name, at] of [...this.#timers]) {
      if (at > this.#nowMs || name === 'heartbeat' || name === 'connect') continue;
      this.#timers.delete(name);
      this.input({ type: 'timer', name });
    }
  }

  /** Indexes of the conversation that this device neither has nor was told of. */
  missing(room: ConversationId): number[] {
    const lastIndex = this.world.logs.flat().filter((one) => one.room === room).length;
    const has = new Set(this.entries.get(room));
    const told = this.told.get(room) ?? 0;
    return Array.from({ length: lastIndex }, (_, i) => i + 1).filter((n) => n > told && !has.has(n));
  }

  #keep(room: ConversationId, n: number): void {
    const list = this.entries.get(room) ?? [];
    list.push(n);
    this.entries.set(room, list);
  }

  #tell(room: ConversationId, lastIndex: number): void {
    this.told.set(room, Math.max(this.told.get(room) ?? 0, lastIndex));
  }

  #disconnect(): void {
    this.#connected = false;
    this.#toServer = [];
    this.world.outgoing = [];
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
        this.#toServer.push(effect.frame);
        return;
      case 'set timer':
        this.#timers.set(effect.name, this.#nowMs + effect.ms);
        return;
      case 'clear timer':
        this.#timers.delete(effect.name);
        return;
      case 'announce':
        this.pagesHeld += 1;
        if (this.pagesHeld > 1) this.violations.push('two pages at a time');
        this.#work.push(effect);
        return;
      case 'hand over':
      case 'pass':
        this.#work.push(effect);
        return;
      case 'commit':
        void this.storage.commit(structuredClone(effect.cursor), structuredClone(effect.marks));
        return this.input({ type: 'committed', cursor: effect.cursor });
      case 'gap':
        this.violations.push(`a gap in ${effect.conversation}: ${effect.after}, ${effect.found}`);
        return;
      case 'synced':
        this.synced += 1;
        // The app turns the pages of the list with what the resync had reached: the read model has it by now.
        if (this.#mayAskForMore) {
          for (const { conversation, lastIndex } of this.world.changedSince(0)) this.#tell(conversation, lastIndex);
        }
        this.#mayAskForMore = false;
        return;
      case 'status':
        this.isLive = effect.status.phase === 'live';
        if (this.isLive && this.#machine.isSyncing) this.violations.push('live before all was told');
        return;
    }
  }
}

const happenings = {
  'other sends': 8,
  emit: 8,
  'read model reads': 6,
  'server reads': 8,
  'client reads': 8,
  'app handles': 8,
  answers: 6,
  delivers: 3,
  'delivers with cursor': 4,
  evicts: 2,
  fails: 1,
  drop: 1,
  'time passes': 3,
  killed: 1,
} as const;
type Happening = keyof typeof happenings;
type Story = readonly (readonly [Happening, ConversationId, number])[];

const anything = (without: readonly Happening[] = []) =>
  fc.array(
    fc.oneof(
      ...(Object.keys(happenings) as Happening[])
        .filter((what) => !without.includes(what))
        .map((what) => ({
          weight: happenings[what],
          arbitrary: fc.tuple(fc.constant(what), fc.constantFrom(...ROOMS), fc.nat(1)),
        })),
    ),
    { maxLength: 300, size: 'max' },
  );

async function run(story: Story): Promise<Phone> {
  const world = new SyncWorld();
  const phone = new Phone(world);
  await phone.start();
  for (const [what, room, lane] of story) {
    if (what === 'other sends') world.append(room);
    else if (what === 'emit') world.emit(lane);
    else if (what === 'read model reads') world.readModelReads(lane);
    else if (what === 'server reads') phone.serverReads();
    else if (what === 'client reads') phone.clientReads();
    else if (what === 'app handles') phone.appHandles();
    else if (what === 'answers') world.answer();
    else if (what === 'delivers') world.deliver(false);
    else if (what === 'delivers with cursor') world.deliver(true);
    else if (what === 'evicts') world.evict();
    else if (what === 'fails') world.fail();
    else if (what === 'drop') phone.drop();
    else if (what === 'time passes') phone.passes(400);
    else await phone.start();
  }
  // Then all is well, and what is left comes through.
  for (let i = 0; i < 400; i++) {
    if (i % 10 === 0) phone.passes(30_000);
    phone.serverReads();
    for (const lane of [0, 1]) {
      world.emit(lane);
      world.readModelReads(lane);
    }
    world.deliver(true);
    world.answer();
    for (let k = 0; k < 8; k++) phone.clientReads();
    for (let k = 0; k < 8; k++) phone.appHandles();
  }
  phone.passes(COMMIT_EVERY_MS);
  return phone;
}

const seen = { resyncs: 0, entries: 0, pages: 0 };

t.test('whatever happens, each entry came or was told, and the device is live in the end', async (t) => {
  await fc.assert(
    fc.asyncProperty(anything(), async (story) => {
      const phone = await run(story);
      assert.deepEqual(phone.violations, []);
      for (const room of ROOMS) assert.deepEqual(phone.missing(room), [], `of ${room}`);
      assert.ok(phone.isLive, 'live');
      assert.equal((await phone.storage.load()).cursor?.sync, undefined, 'nothing is left to be told');
      seen.resyncs += phone.world.resyncs;
      seen.pages += phone.world.replies.filter(({ page }) => page > 0).length;
      for (const list of phone.entries.values()) seen.entries += list.length;
    }),
    { numRuns: 2_000 },
  );
  t.ok(seen.resyncs > 2_000 && seen.pages > 100 && seen.entries > 1_000, JSON.stringify(seen));
});

t.test(
  'while the app lives an entry comes once, in order, and behind the first that came live none is left out',
  async () => {
    await fc.assert(
      fc.asyncProperty(anything(['killed', 'evicts']), async (story) => {
        const phone = await run(story);
        for (const [room, list] of phone.entries) {
          const [first = 0] = list;
          assert.deepEqual(
            list,
            list.map((_, i) => first + i),
            `of ${room}`,
          );
        }
      }),
      { numRuns: 200 },
    );
  },
);

t.test('also where the inbox drops what it missed, none comes twice or out of order', async () => {
  await fc.assert(
    fc.asyncProperty(anything(['killed']), async (story) => {
      const phone = await run(story);
      for (const [room, list] of phone.entries)
        assert.deepEqual(
          list,
          [...new Set(list)].sort((a, b) => a - b),
          `of ${room}`,
        );
    }),
    { numRuns: 200 },
  );
});
