/**
 * A device in that world: the machine with a storage, and an app that keeps what it was given, as an app with a database would. What
 * must never be is noted the moment it is.
 */
import type { ConversationId } from '../../src/domain/ids.ts';
import type { ClientFrame, Cursor, Entry, OnGap, ServerFrame } from '../../src/protocol/frames.ts';
import type { Effect, Input, TimerName } from '../../src/sdk/inputs-and-effects.ts';
import { Machine } from '../../src/sdk/machine.ts';
import { MemoryStorage } from '../../src/sdk/storage.ts';
import { device } from './given.ts';
import { doneWith, welcome } from './sdk-scene.ts';
import { DIRECT, type Logged, type SyncWorld } from './sync-world.ts';

const WELCOME = (welcome() as Extract<Input, { type: 'frame' }>).frame;

export interface Kind {
  readonly resume: 'latest' | 'everything';
  /** `either`: as each run of the app likes. */
  readonly onGap: OnGap | 'either';
  /** The storage answers when the story says so, and not at once. */
  readonly storesLate?: boolean;
}

type Commit = Extract<Effect, { type: 'commit' }> & { readonly handled: readonly string[] };

export class Phone {
  readonly world: SyncWorld;
  readonly kind: Kind;
  readonly storage = new MemoryStorage();
  /** By conversation, what this life of the app was handed: since its start, or since it was killed last. */
  readonly lives: Map<ConversationId, Entry[]>[] = [new Map()];
  /** Ids of what came as an entry, and of the messages that it was told there are. */
  readonly has = new Set<string>();
  readonly told = new Set<string>();
  /** A device with nothing is told one page: the rest of the list is asked for when somebody looks. */
  #mayAskForMore = false;
  readonly violations: string[] = [];
  pagesHeld = 0;
  isLive = false;
  wasTooSlow = 0;
  #machine!: Machine;
  #work: Extract<Effect, { type: 'hand over' | 'announce' | 'pass' }>[] = [];
  #commits: Commit[] = [];
  #stored: Cursor | undefined;
  /** The newest cursor of this connection, of the inbox it reads now. */
  #given: Cursor | undefined;
  /** Handled since the last commit was begun; and what came as entries and is stored. */
  #handled: string[] = [];
  readonly #storedIds = new Set<string>();
  readonly #storedUpTo = new Map<ConversationId, number>();
  readonly #timers = new Map<TimerName, number>();
  #connected = false;
  #toServer: ClientFrame[] = [];
  #nowMs = 0;

  constructor(world: SyncWorld, kind: Kind) {
    this.world = world;
    this.kind = kind;
  }

  async start(run: number): Promise<void> {
    const { resume } = this.kind;
    const onGap = this.kind.onGap === 'either' ? (['changes', 'replay'] as const)[run % 2] : this.kind.onGap;
    this.#machine = new Machine(
      { device: device('d'), resume, ...(onGap && { onGap }) },
      structuredClone(await this.storage.load()),
    );
    this.#work = [];
    this.#commits = [];
    this.#handled = [];
    this.pagesHeld = 0;
    this.#disconnect();
    this.#timers.clear();
    this.input({ type: 'start' });
  }

  /** kill -9: nothing is left but the storage, and what the app keeps. @param stores what was about to be stored is */
  async killed(run: number, stores: boolean): Promise<void> {
    if (stores) this.#storeAll();
    this.lives.push(new Map());
    await this.start(run);
  }

  /** Closed, and opened again. */
  async restarts(run: number): Promise<void> {
    const [work] = this.#work.splice(0);
    if (work?.type === 'hand over' && run > 1) {
      const first = work.entries.slice(0, 1);
      for (const entry of first) this.#keep(work.conversation, entry);
      this.input({ ...work, type: 'handled', entries: first });
    }
    this.input({ type: 'stop', reason: '' });
    this.#storeAll();
    await this.start(run);
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
    if (!frame) return;
    if (frame.t === 'resync') this.#given = undefined;
    if (frame.t === 'cursor' && !frame.more) this.#given = frame;
    this.input({ type: 'frame', frame });
  }

  appHandles(): void {
    const work = this.#work.shift();
    if (!work) return;
    if (work.type === 'hand over') for (const entry of work.entries) this.#keep(work.conversation, entry);
    if (work.type === 'announce') {
      this.pagesHeld -= 1;
      for (const changed of work.page.conversations) this.#tell((changed as unknown as { last: Logged }).last);
      if (work.page.rest.more !== undefined) this.#mayAskForMore = true;
    }
    this.input(doneWith(work));
  }

  storageAnswers(): void {
    const commit = this.#commits.shift();
    if (!commit) return;
    this.#store(commit);
    this.input({ type: 'committed', cursor: commit.cursor });
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

  /** Ids of what this device neither has nor was told of, nor wanted. */
  missing(): string[] {
    return this.world.logs
      .flat()
      .filter(({ entry, isSeen }) => isSeen && (this.kind.onGap === 'replay' || 'n' in entry))
      .map(({ entry }) => entry.id as string)
      .filter((id) => !this.has.has(id) && !this.told.has(id) && !this.world.notWanted.has(id));
  }

  /** Up to which index of the other's it must have told as delivered: stored as entries, and not read meanwhile. */
  get toldAsDelivered(): number {
    let upTo = 0;
    for (const { room, entry } of this.world.logs.flat()) {
      if (room !== DIRECT || !this.#storedIds.has(entry.id)) continue;
      if (entry.type === 'message' && entry.by !== 'me') upTo = entry.n;
      if (entry.type === 'conversationRead' && entry.by === 'me' && entry.upTo >= upTo) upTo = 0;
    }
    return upTo;
  }

  /** What says that something is stored comes behind the storing, and a `confirm` means a cursor of its connection. */
  #check(frame: ClientFrame): void {
    const { epoch, seq = -1 } = this.#stored ?? {};
    if (frame.t === 'confirm' && (seq !== frame.seq || epoch !== this.#given?.epoch || seq > (this.#given?.seq ?? -1)))
      this.violations.push(`confirmed ${frame.seq}, stored ${epoch} ${seq}`);
    if (frame.t !== 'command' || frame.command.type !== 'markDelivered') return;
    const { conversation, upTo } = frame.command;
    if ((this.#storedUpTo.get(conversation) ?? 0) < upTo) this.violations.push(`delivered, and not stored: ${upTo}`);
  }

  #keep(room: ConversationId, entry: Entry): void {
    const life = this.lives.at(-1) as Map<ConversationId, Entry[]>;
    const list = life.get(room) ?? [];
    if (list.some(({ id }) => id === entry.id)) this.violations.push(`${entry.id} came twice in one life`);
    // In another log positions begin anew, times do not. What a gateway left out comes late.
    if (entry.at < (list.at(-1)?.at ?? 0) && this.world.skipped.length === 0)
      this.violations.push(`${entry.id} came behind ${list.at(-1)?.id}`);
    list.push(entry);
    life.set(room, list);
    this.has.add(entry.id);
    this.#handled.push(entry.id);
  }

  #tell(last: Logged): void {
    for (let one: Logged | undefined = last; one; one = one.before) this.told.add(one.entry.id);
  }

  #disconnect(): void {
    this.#connected = false;
    this.#given = undefined;
    this.#toServer = [];
    this.world.disconnected();
  }

  #storeAll(): void {
    for (const commit of this.#commits.splice(0)) this.#store(commit);
  }

  #store({ cursor, marks, handled }: Commit): void {
    void this.storage.commit(structuredClone(cursor), structuredClone(marks));
    const before = this.#stored;
    // An inbox that has lost its end may be again what it was two markers before.
    if (
      this.world.lostEnds + this.world.skipped.length === 0 &&
      cursor &&
      before?.epoch === cursor.epoch &&
      before.seq > cursor.seq
    )
      this.violations.push(`the cursor went back from ${before.seq} to ${cursor.seq}`);
    this.#stored = cursor ?? before;
    for (const id of handled) this.#storedIds.add(id);
    for (const [room, { n, untold = 0 }] of marks)
      this.#storedUpTo.set(room, Math.max(n, untold, this.#storedUpTo.get(room) ?? 0));
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
        this.#check(effect.frame);
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
        this.#commits.push({ ...effect, handled: this.#handled.splice(0) });
        if (!this.kind.storesLate) this.storageAnswers();
        return;
      case 'gap':
        if (this.world.skipped.length === 0 || effect.lost)
          this.violations.push(`a gap in ${effect.conversation}: ${effect.after}, ${effect.found}, ${effect.lost}`);
        return;
      case 'synced':
        // The app turns the pages of the list with what the resync had reached: the read model has it by now.
        if (this.#mayAskForMore) for (const { last } of this.world.changedSince(0)) this.#tell(last);
        this.#mayAskForMore = false;
        return;
      case 'status':
        this.isLive = effect.status.phase === 'live';
        if (effect.status.phase === 'offline' && effect.status.reason === 'the app is behind') this.wasTooSlow += 1;
        if (this.isLive && this.#machine.isSyncing) this.violations.push('live before all was told');
        return;
    }
  }
}
