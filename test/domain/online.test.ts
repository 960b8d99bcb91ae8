import fc from 'fast-check';
import t from 'tap';
import {
  leastRecentlyUsed,
  MAX_OFFLINE_DEVICES,
  type Online,
  type OnlineCircumstances,
  type OnlineLimits,
  type OpenSession,
  orderOf,
  presenceOf,
  settle,
} from '../../src/domain/online.ts';
import { device } from '../support/given.ts';

const NONE: OnlineLimits = { phone: 0, tablet: 0, desktop: 0, web: 0, other: 0 };
const there = (): undefined => undefined;
const circumstances = (about: Partial<OnlineCircumstances> = {}): OnlineCircumstances => ({
  ...{ at: 1_000, limits: NONE, goneAt: there },
  ...about,
});
const open = (name: string, session: string, about: Partial<OpenSession> = {}): OpenSession => ({
  ...{ device: device(name), session, kind: 'phone', agent: '', openedAt: 100, since: undefined, order: 'newer' },
  ...about,
});
const from = (gateway: string, ...sessions: OpenSession[]) => ({ gateway, open: sessions, ended: [] });
const sessions = (online: Online): string[] => online.map(({ session }) => session).filter(Boolean);

t.test('what is settled stays as it is', async (t) => {
  const { online } = settle([], from('g', open('d', 's1')), circumstances());
  t.same(sessions(online), ['s1']);
  t.equal(settle(online, from('g', open('d', 's1')), circumstances()).online, online);
});

t.test(
  'of two sessions of a device the one stays that came to stand there last, whatever the clocks say',
  async (t) => {
    const one = settle([], from('g', open('d', 's1', { openedAt: 900 })), circumstances()).online;
    const two = settle(one, from('h', open('d', 's2', { openedAt: 100 })), circumstances()).online;
    t.same(sessions(two), ['s2']);
    const replaced = settle(two, from('g', open('d', 's1', { since: 900, order: 'older' })), circumstances());
    t.same([...replaced.ends], [['s1', 'SESSION_REPLACED']]);
    t.equal(replaced.online, two);
  },
);

t.test('of which nobody knows whether it is the newer one, that one is to connect again, and then it is', async (t) => {
  const stands = settle([], from('g', open('d', 's1')), circumstances()).online;
  const unknown = settle(stands, from('h', open('d', 's2', { order: 'unknown' })), circumstances());
  t.same([...unknown.ends], [['s2', 'SESSION_IN_DOUBT']]);
  t.equal(unknown.online, stands);
  t.same(sessions(settle(stands, from('h', open('d', 's3')), circumstances()).online), ['s3']);
  const alone = settle([], from('h', open('d', 's2', { order: 'unknown' })), circumstances());
  t.same([sessions(alone.online), alone.ends.size], [['s2'], 0], 'where no other one stands there is no doubt');
  const same = settle(stands, from('g', open('d', 's2', { order: 'unknown' })), circumstances());
  t.same([sessions(same.online), same.ends.size], [['s2'], 0], 'nor where the other one was at the same gateway');
});

t.test('what a session began after is told by the revisions its gateway had heard of', async (t) => {
  const past = { hasStood: false, hasJustBegun: false, heardUpTo: 7 };
  t.equal(orderOf(past, 7), 'newer');
  t.equal(orderOf(past, 8), 'unknown');
  t.equal(orderOf({ ...past, hasJustBegun: true }, 8), 'newer');
  t.equal(orderOf({ ...past, hasStood: true }, 7), 'older');
});

t.test('beyond what may be online of a kind the oldest goes, and its gateway learns it from the entry', async (t) => {
  const limits = { ...NONE, phone: 1 };
  const one = settle([], from('g', open('a', 's1')), circumstances({ limits })).online;
  const two = settle(one, from('h', open('b', 's2'), open('c', 's3', { kind: 'web' })), circumstances({ limits }));
  t.same(sessions(two.online).sort(), ['s2', 's3']);
  t.equal(two.ends.size, 0);
  const told = settle(
    two.online,
    from('g', open('a', 's1', { since: 100, order: 'older' })),
    circumstances({ limits }),
  );
  t.same([...told.ends], [['s1', 'DEVICE_DISPLACED']]);
  t.equal(told.online, two.online, 'it does not come in again by that');
  t.same(sessions(settle(two.online, from('g', open('a', 's4')), circumstances({ limits })).online).sort(), [
    's3',
    's4',
  ]);
});

t.test('what stood at a gateway that is gone was last seen with it', async (t) => {
  const { online } = settle([], from('g', open('d', 's1')), circumstances());
  t.same(presenceOf(online, there), { online: true, lastSeen: 0 });
  t.same(
    presenceOf(online, () => 700),
    { online: false, lastSeen: 700 },
  );
  t.same(
    presenceOf(online, () => 0),
    { online: false, lastSeen: online[0]?.since },
    'when it came in, where nobody knows',
  );
  const cleaned = settle(
    online,
    from('h', open('e', 's2')),
    circumstances({ goneAt: (gateway) => (gateway === 'g' ? 700 : undefined) }),
  );
  t.same(
    cleaned.online.map(({ device: name, seenAt }) => [name, seenAt]),
    [
      ['d', 700],
      ['e', 0],
    ],
  );
});

t.test('devices that are not online are kept in bounds, the longest unseen go first', async (t) => {
  let online: Online = [];
  for (let k = 0; k < 2 * MAX_OFFLINE_DEVICES; k++) {
    online = settle(online, from('g', open(`d${k}`, `s${k}`)), circumstances()).online;
    const ended = [{ session: `s${k}`, device: device(`d${k}`), endedAt: 1_000 + k }];
    online = settle(online, { gateway: 'g', open: [], ended }, circumstances()).online;
  }
  t.equal(online.length, MAX_OFFLINE_DEVICES);
  t.equal(
    online.some((one) => one.device === 'd0'),
    false,
  );
});

/** Two sessions of a device that were replaced before their gateway looked, and then the third one had to go for another device. */
const REPLACED_AND_NOT_TOLD = [
  [0, 0],
  [0, 1],
  [0, 1],
  [0, 1],
  [1, 0],
  [1, 0],
].map(([gateway = 0, session = 0]) => ({ gateway, session, at: 0 }));

t.test('however gateways race, one session of the limit stays and each of the others is ended once', async (_t) => {
  const step = fc.record({ gateway: fc.nat(2), session: fc.nat(5), at: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const limits = { ...NONE, phone: 1 };
      const held = new Map<number, Map<string, OpenSession>>([0, 1, 2].map((g) => [g, new Map()]));
      const begun = new Set<string>();
      const ended = new Set<string>();
      let online: Online = [];
      const end = (own: Map<string, OpenSession>, id: string): void => {
        if (ended.has(id)) throw new Error(`${id} is ended twice`);
        ended.add(id);
        own.delete(id);
      };
      const turn = (g: number): void => {
        const own = held.get(g) as Map<string, OpenSession>;
        const settled = settle(online, from(`g${g}`, ...own.values()), circumstances({ limits }));
        online = settled.online;
        for (const [id, one] of own) {
          const since = online.find(({ session }) => session === id)?.since;
          if (since !== undefined) own.set(id, { ...one, since, order: 'older' });
        }
        for (const id of settled.ends.keys()) end(own, id);
      };
      for (const [k, { gateway, session, at }] of steps.entries()) {
        const id = `s${k}`;
        const own = held.get(gateway) as Map<string, OpenSession>;
        // A gateway knows by itself which of its own sessions of a device is the newest.
        for (const older of own.values()) if (older.device === device(`d${session}`)) end(own, older.session);
        own.set(id, open(`d${session}`, id, { openedAt: at }));
        begun.add(id);
        if (k % 2 === 0) turn(gateway);
      }
      for (let round = 0; round < 3; round++) for (const g of [0, 1, 2]) turn(g);
      const left = [...held.values()].flatMap((own) => [...own.keys()]);
      return left.length === 1 && sessions(online).join() === left.join() && ended.size === begun.size - 1;
    }),
    { numRuns: 1_000, examples: [[REPLACED_AND_NOT_TOLD]] },
  );
});

t.test('the device that was longest not used is the one to be forgotten', async (t) => {
  const known = ['unseen', 'gone', 'away', 'here'].map((name, k) => ({
    ...{ device: device(name), kind: 'phone' as const, name: '', addedAt: 300 - k },
  }));
  const here = settle([], from('g', open('here', 's1', { openedAt: 50 })), circumstances()).online;
  const offline = (name: string, seenAt: number): Online[number] => ({
    ...{ device: device(name), kind: 'phone', agent: '', session: '', gateway: '', since: 10, seenAt },
  });
  const online = [...here, offline('gone', 400), offline('away', 500)];
  const order: string[] = [];
  for (let left = known; left.length > 0; left = left.filter((one) => !order.includes(one.device)))
    order.push(leastRecentlyUsed(left, online) as string);
  t.same(order, ['unseen', 'gone', 'away', 'here']);
});
