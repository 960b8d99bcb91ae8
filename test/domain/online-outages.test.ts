/**
 * Devices that move between gateways while the store is away, lost, or slow to be heard of, and clocks that are set: the connection that
 * a client holds is never told that another one has replaced it.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  type EndOfSession,
  type Online,
  type OpenSession,
  orderOf,
  type SessionPast,
  settle,
} from '../../src/domain/online.ts';
import { device } from '../support/given.ts';

const GATEWAYS = 3;
const NO_LIMITS = { phone: 0, tablet: 0, desktop: 0, web: 0, other: 0 };

interface Connection {
  readonly device: string;
  readonly openedAt: number;
  /** Its client is there. One that is half-open is held by its gateway only. */
  isHeld: boolean;
  past: SessionPast;
  since: number | undefined;
}

interface Gateway {
  readonly connections: Map<string, Connection>;
  heardUpTo: number;
  clockMs: number;
}

/** Gateways over one entry, as OnlineSessions has it. */
class World {
  readonly gateways: Gateway[] = Array.from({ length: GATEWAYS }, () => ({
    ...{ connections: new Map(), heardUpTo: 0, clockMs: 1_000_000 },
  }));
  online: Online = [];
  #revision = 0;
  #isStoreUp = true;
  #ids = 0;

  connect(g: number, name: string, leavesHalfOpen: boolean): void {
    for (const { connections } of this.gateways)
      for (const [id, one] of connections) {
        if (one.device !== name || !one.isHeld) continue;
        one.isHeld = false;
        // A client gives up a connection that says nothing only after a time.
        one.past = { ...one.past, hasJustBegun: false };
        if (!leavesHalfOpen) connections.delete(id);
      }
    const { connections, heardUpTo, clockMs } = this.gateways[g] as Gateway;
    for (const [id, one] of connections) if (one.device === name) connections.delete(id);
    const past = { hasStood: false, hasJustBegun: true, heardUpTo };
    connections.set(`s${++this.#ids}`, { device: name, openedAt: clockMs, isHeld: true, past, since: undefined });
  }

  settle(g: number): void {
    if (!this.#isStoreUp) return;
    const { connections } = this.gateways[g] as Gateway;
    const open = [...connections].map(
      ([session, one]): OpenSession => ({
        ...{ session, device: device(one.device), kind: 'phone', agent: '', openedAt: one.openedAt, since: one.since },
        order: orderOf(one.past, this.#revision),
      }),
    );
    const settled = settle(
      this.online,
      { gateway: `g${g}`, open, ended: [] },
      {
        ...{ at: 0, limits: NO_LIMITS, goneAt: () => undefined },
      },
    );
    if (settled.online !== this.online) this.#revision += 1;
    this.online = settled.online;
    for (const { session, since } of this.online) {
      const one = connections.get(session);
      if (!one) continue;
      one.since ??= since;
      one.past = { ...one.past, hasStood: true };
    }
    for (const [id, end] of settled.ends) this.#end(g, id, end);
  }

  #end(g: number, id: string, end: EndOfSession): void {
    const { connections } = this.gateways[g] as Gateway;
    const one = connections.get(id) as Connection;
    connections.delete(id);
    if (!one.isHeld) return;
    if (end !== 'SESSION_IN_DOUBT') throw new Error(`${id}, which its client holds, is ended: ${end}`);
    this.connect((g + 1) % GATEWAYS, one.device, false);
  }

  hear(g: number): void {
    if (this.#isStoreUp) (this.gateways[g] as Gateway).heardUpTo = this.#revision;
  }

  timePasses(): void {
    for (const { connections } of this.gateways)
      for (const one of connections.values()) one.past = { ...one.past, hasJustBegun: false };
  }

  setClock(g: number, clockMs: number): void {
    (this.gateways[g] as Gateway).clockMs = clockMs;
  }

  setStore(isUp: boolean): void {
    this.#isStoreUp = isUp;
  }

  loseStore(): void {
    this.online = [];
    this.#revision = 0;
    for (const gateway of this.gateways) {
      gateway.heardUpTo = 0;
      for (const one of gateway.connections.values())
        one.past = { hasStood: false, heardUpTo: 0, hasJustBegun: one.past.hasJustBegun };
    }
  }

  /** Of each device the connection that its client holds. */
  get held(): Map<string, string> {
    const all = this.gateways.flatMap(({ connections }) => [...connections]);
    return new Map(all.filter(([, { isHeld }]) => isHeld).map(([id, one]) => [one.device, id]));
  }
}

const g = fc.nat(GATEWAYS - 1);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('connect' as const),
      g,
      name: fc.constantFrom('a', 'b'),
      halfOpen: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const), g }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('hear' as const), g }) },
  fc.record({ do: fc.constant('time' as const) }),
  fc.record({ do: fc.constant('clock' as const), g, ms: fc.nat(2_000_000) }),
  fc.record({ do: fc.constant('store' as const), isUp: fc.boolean() }),
  fc.record({ do: fc.constant('lose' as const) }),
);

function run(steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[]): World {
  const world = new World();
  for (const one of steps) {
    if (one.do === 'connect') world.connect(one.g, one.name, one.halfOpen);
    else if (one.do === 'settle') world.settle(one.g);
    else if (one.do === 'hear') world.hear(one.g);
    else if (one.do === 'time') world.timePasses();
    else if (one.do === 'clock') world.setClock(one.g, one.ms);
    else if (one.do === 'store') world.setStore(one.isUp);
    else world.loseStore();
  }
  return world;
}

t.test('a connection that its client holds is never replaced, and in the end it is the one that stands', async (t) => {
  let doubts = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      const world = run(steps);
      world.setStore(true);
      const before = world.held;
      for (let round = 0; round < 4; round++)
        for (let k = 0; k < GATEWAYS; k++) {
          world.hear(k);
          world.settle(k);
        }
      for (const [name, id] of world.held) {
        if (before.get(name) !== id) doubts += 1;
        const standing = world.online.find((one) => one.device === name)?.session;
        if (standing !== id) throw new Error(`${standing} stands for ${name}, whose client holds ${id}`);
      }
    }),
    { numRuns: 3_000 },
  );
  t.ok(doubts > 0, 'some had to connect again');
});
