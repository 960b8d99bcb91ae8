/** The client's machine, told what happens; it keeps what it wanted done. */
import type { DeviceId } from '../../src/domain/ids.ts';
import type { Entry, ServerFrame } from '../../src/protocol/frames.ts';
import type { Effect, Input, TimerName } from '../../src/sdk/inputs-and-effects.ts';
import { Machine, type MachineOptions } from '../../src/sdk/machine.ts';
import type { StoredState } from '../../src/sdk/storage.ts';
import { bytes, conversation, device, msgId, user } from './given.ts';

export const empty: StoredState = { outbox: [], cursor: undefined, marks: [] };
export const me = user('me');
const room = conversation('room');

const limits = { maxBodyBytes: 65_536, maxInFlight: 512, heartbeatMs: 30_000 };
type Limits = typeof limits;

export const frame = (given: ServerFrame): Input => ({ type: 'frame', frame: given });
export const welcome = (over: Partial<Limits> = {}): Input =>
  frame({
    t: 'welcome',
    id: 1,
    session: 's',
    user: me,
    device: 'd' as DeviceId,
    serverTime: 0,
    limits: { ...limits, ...over },
  });
export const token = (text = 't'): Input => ({ type: 'token', token: text });
export const timer = (name: TimerName): Input => ({ type: 'timer', name });
export const closed = (code: number): Input => ({ type: 'closed', code, reason: '' });
export const cursor = (seq: number, epoch = 'e'): Input => frame({ t: 'cursor', epoch, seq });
export const deliver = (...entries: Entry[]): Input => frame({ t: 'deliver', conversation: room, entries });
export const sent = (id = 0): Input => frame({ t: 'sent', id, conversation: room, pos: 1, at: 0 });
export const done = (id = 0): Input => frame({ t: 'done', id, pos: 1 });

let tickets = 0;
export const says = (id: string, to = 'bob'): Input => ({
  type: 'request',
  ticket: ++tickets,
  clientMsgId: msgId(id),
  request: { t: 'send', address: { to: user(to) }, content: { contentType: 'text/plain', body: bytes(id) } },
});

/** A message at `pos` with index `n`; without one, a read mark. */
export function entry(pos: number, n?: number, over: object = {}): Entry {
  const base = { pos, at: pos, by: user('bob'), id: msgId(`e${pos}`) };
  const what = n === undefined ? { type: 'conversationRead', upTo: 1 } : { type: 'message', n, body: bytes('x') };
  return { ...base, ...what, ...over } as Entry;
}

type Work = Extract<Effect, { type: 'hand over' | 'announce' | 'pass' }>;

/** The app, or the runtime for it, has done what was handed over. */
export const doneWith = (work: Work): Input => {
  if (work.type === 'pass') return { type: 'passed', cursor: work.cursor };
  if (work.type === 'announce') return { type: 'announced', page: work.page };
  return { type: 'handled', conversation: work.conversation, entries: work.entries };
};

export class Scene {
  readonly machine: Machine;
  /** What the last call of `when`, `handles` … caused. */
  effects: Effect[] = [];
  /** All commits so far. */
  readonly commits: Extract<Effect, { type: 'commit' }>[] = [];
  /** Handed over and not yet handled. */
  readonly work: Work[] = [];
  #nowMs = 0;

  constructor(state: StoredState = empty, options: Partial<MachineOptions> = {}) {
    this.machine = new Machine({ device: device('d'), resume: 'everything', ...options }, state);
  }

  /** From here on it is so late. */
  at(nowMs: number): this {
    this.#nowMs = nowMs;
    return this;
  }

  later(ms: number): this {
    return this.at(this.#nowMs + ms);
  }

  when(...inputs: Input[]): this {
    this.effects = inputs.flatMap((input) => this.machine.handle(input, { nowMs: this.#nowMs, random: 0.5 }));
    this.commits.push(...this.of('commit'));
    for (const effect of this.effects) {
      if (effect.type === 'hand over' || effect.type === 'announce' || effect.type === 'pass') this.work.push(effect);
    }
    return this;
  }

  online(over: Partial<Limits> = {}): this {
    return this.when({ type: 'start' }, token(), { type: 'opened' }, welcome(over));
  }

  reconnected(over: Partial<Limits> = {}): this {
    return this.when(timer('reconnect'), token(), { type: 'opened' }, welcome(over));
  }

  /** The app handles so much of what was handed over: a frame's entries, or a cursor, each. */
  handles(count: number): this {
    return this.when(...this.work.splice(0, count).map(doneWith));
  }

  of<Type extends Effect['type']>(type: Type): Extract<Effect, { type: Type }>[] {
    return this.effects.filter((effect): effect is Extract<Effect, { type: Type }> => effect.type === type);
  }

  get types(): Effect['type'][] {
    return this.effects.map(({ type }) => type);
  }

  /** The messages and commands written. */
  get written(): { readonly clientMsgId: string; readonly id: number }[] {
    return this.of('write').flatMap(({ frame: given }) =>
      'clientMsgId' in given ? [{ clientMsgId: given.clientMsgId, id: given.id }] : [],
    );
  }

  get writtenIds(): string[] {
    return this.written.map(({ clientMsgId }) => clientMsgId);
  }

  /** Positions of the entries handed over. */
  get handedOver(): number[] {
    return this.of('hand over').flatMap(({ entries }) => entries.map(({ pos }) => pos));
  }
}
