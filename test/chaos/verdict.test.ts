/** A verdict that misses one of these is none: each is one thing gone wrong in a history that was right. */
import t from 'tap';
import type { Line, Recorded } from './history.ts';
import { type Evidence, keyOf, violationsOf } from './verdict.ts';

const IDS = ['m1', 'm2', 'm3', 'm4'];
const key = (id: string): string => keyOf('c', 'alice', id);

interface Scene {
  /** In the order of sending; acked one after the other. */
  readonly sent?: readonly string[];
  readonly logged?: readonly string[];
  readonly inBobsInbox?: readonly string[];
  readonly onBobsPhone?: readonly string[];
  readonly indexes?: readonly number[];
  readonly more?: readonly Recorded[];
}

function evidence({
  sent = IDS,
  logged = IDS,
  inBobsInbox = IDS,
  onBobsPhone = IDS,
  indexes,
  more = [],
}: Scene): Evidence {
  const about = (id: string) => ({ conversation: 'c', by: 'alice', id });
  const lines: Recorded[] = [
    ...sent.map((id) => ({ what: 'send' as const, ...about(id), isRepeated: false })),
    ...sent.map((id) => ({ what: 'acked' as const, ...about(id), pos: logged.indexOf(id) + 1 })),
    ...onBobsPhone.map((id, i) => ({
      ...{ what: 'entry' as const, user: 'bob', device: 'phone', type: 'message', pos: i + 1 },
      ...{ n: indexes?.[i] ?? i + 1, ...about(id) },
    })),
    ...more,
  ];
  const held = (ids: readonly string[]) => [
    { conversation: 'c', keys: ids.map(key), indexes: ids.map((_, i) => i + 1) },
  ];
  return {
    history: lines.map((line, at): Line => ({ at, ...line })),
    timelines: new Map([['c', logged.map((id, i) => ({ key: key(id), by: 'alice', pos: i + 1 }))]]),
    inboxes: new Map([
      ['alice', held(logged)],
      ['bob', held(inBobsInbox)],
    ]),
  };
}

const verdict = (scene: Scene): string[] => violationsOf(evidence(scene));
const swapped = ['m1', 'm3', 'm2', 'm4'];

t.test('nothing wrong is nothing found', async (t) => {
  t.same(verdict({}), []);
});

t.test('an acked message that the log has not', async (t) => {
  t.match(verdict({ logged: IDS.slice(1), inBobsInbox: IDS.slice(1), onBobsPhone: IDS.slice(1) }), [
    /acked, and not in the log: 1/,
  ]);
});

t.test('a message that nobody has sent', async (t) => {
  const logged = [...IDS, 'm5'];
  t.match(verdict({ logged, inBobsInbox: logged, onBobsPhone: logged }), [/sent by nobody: 1/]);
});

t.test('an inbox that skips, doubles or swaps one', async (t) => {
  for (const inBobsInbox of [IDS.slice(0, 3), ['m1', 'm2', 'm2', 'm3', 'm4'], swapped, []]) {
    t.match(verdict({ inBobsInbox }), [/an inbox does not hold/], inBobsInbox.join());
  }
});

t.test('a device that is handed too little, too much, or in another order', async (t) => {
  for (const onBobsPhone of [IDS.slice(1), ['m1', 'm1', 'm2', 'm3', 'm4'], swapped]) {
    t.match(verdict({ onBobsPhone })[0], /a device was not handed/, onBobsPhone.join());
  }
});

t.test('an index that is used twice, or left out', async (t) => {
  for (const indexes of [
    [1, 2, 2, 3],
    [1, 2, 4, 5],
  ]) {
    t.match(verdict({ indexes }), [/index \d comes where \d should/]);
  }
});

t.test('an order that is not the sender’s', async (t) => {
  t.match(verdict({ logged: swapped, inBobsInbox: swapped, onBobsPhone: swapped }), [/a sender’s order is broken: 1/]);
});

t.test('a message sent after an ack that stands before what was acked', async (t) => {
  const { history, timelines, inboxes } = evidence({});
  const late: Line = { at: 99, what: 'send', conversation: 'c', by: 'alice', id: 'm1', isRepeated: false };
  t.match(violationsOf({ history: [...history, late], timelines, inboxes }), [/sent after an ack/]);
});

t.test('a conversation of which a device was handed nothing at all', async (t) => {
  const other: Recorded = { what: 'entry', user: 'bob', device: 'tablet', conversation: 'd', type: 'message', pos: 1 };
  t.match(verdict({ more: [other] }), [/bob\/tablet has nothing of c/]);
});

t.test('a device that says it lost something', async (t) => {
  t.match(verdict({ more: [{ what: 'broken', user: 'bob', device: 'phone', reason: 'a gap' }] }), [
    /bob\/phone: a gap/,
  ]);
});
