/** A checker that finds nothing proves nothing: each promise, broken by hand, must be found broken. */
import t from 'tap';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { LogEvent } from '../../src/ports/conversation-log.ts';
import { bytes, conversation, msgId, type user, users } from '../support/given.ts';
import { check } from './checker/check.ts';
import { type Evidence, expectedOf, type Held } from './checker/evidence.ts';
import { PROPERTIES } from './checker/violation.ts';
import type { Line, Seen } from './history.ts';

const GROUP = conversation('g');
const [alice, bob] = users('alice', 'bob') as [ReturnType<typeof user>, ReturnType<typeof user>];

type Part = ConversationEvent extends infer E ? (E extends unknown ? Omit<E, 'id' | 'by'> : never) : never;
const event = (pos: number, by: typeof alice, id: string, part: Part): LogEvent => ({
  pos,
  at: 1_000 * pos,
  conversation: GROUP,
  event: { ...part, by, id: msgId(id) } as ConversationEvent,
});
const says = (text: string): Part => ({ type: 'messageSent', contentType: 'text/plain', body: bytes(text) });

const LOG: readonly LogEvent[] = [
  event(1, alice, 'new', { type: 'groupCreated', name: 'g', members: [bob] }),
  event(2, alice, 'one', says('1')),
  event(3, alice, 'two', says('2')),
  event(4, bob, 'read', { type: 'conversationRead', upTo: 2 }),
  event(5, bob, 'three', says('3')),
];

const invoked = (op: number, at: number, by: string, id: string, type: string, text?: string): Line => ({
  ...{ k: 'invoked', op, at, user: by, device: 'd', run: 1, type, conversation: GROUP, id },
  ...(text !== undefined && { text }),
});
const acked = (op: number, at: number, pos: number): Line => ({ k: 'acked', op, at, pos });

/** A run in which all is well: one device each. */
function wellDone(): { history: Line[]; log: LogEvent[]; inboxes: Map<string, Held[]> } {
  const log = [...LOG];
  const inboxes = expectedOf([log]);
  const delivered = [...inboxes].flatMap(([name, held]) =>
    held.map(
      ({ seen }): Line => ({
        ...{ k: 'delivered', at: 100, user: name, device: 'd', conversation: GROUP, entries: [seen] },
      }),
    ),
  );
  const caughtUp = [alice, bob].map((name) => ({ user: name, device: 'd' }));
  const history: Line[] = [
    invoked(1, 1, alice, 'new', 'groupCreated'),
    acked(1, 2, 1),
    invoked(2, 3, alice, 'one', 'messageSent', '1'),
    invoked(3, 4, alice, 'two', 'messageSent', '2'),
    acked(2, 5, 2),
    acked(3, 6, 3),
    invoked(4, 7, bob, 'read', 'conversationRead'),
    acked(4, 8, 4),
    invoked(5, 9, bob, 'three', 'messageSent', '3'),
    acked(5, 10, 5),
    ...delivered,
    { k: 'cursor', at: 101, user: bob, device: 'slow', epoch: 'e', seq: 9 },
    { k: 'ended', at: 200, caughtUp, late: [] },
  ];
  return { history, log, inboxes };
}

type Run = ReturnType<typeof wellDone>;

/** The properties that are found broken. */
function judged({ history, log, inboxes }: Run): number[] {
  const evidence: Evidence = { history, log: [log], inboxes, expected: expectedOf([log]), streamOf: () => 0 };
  return [...new Set(check(evidence).violations.map(({ property }) => property))].sort((a, b) => a - b);
}

const inboxOf = (run: Run, name: string): Held[] => run.inboxes.get(name) as Held[];
const deliveriesOf = (run: Run, name: string): number[] =>
  run.history.flatMap((line, i) => (line.k === 'delivered' && line.user === name ? [i] : []));
const at = (list: Held[], id: string): number => list.findIndex(({ seen }) => seen[4] === id);
const withSeen = (held: Held, change: (seen: [...Seen]) => void): Held => {
  const seen: [...Seen] = [...held.seen];
  change(seen);
  return { ...held, seen };
};

/** By the property that must be among those found. */
const breakages: readonly [number, string, (run: Run) => void][] = [
  [1, 'an acked message is not in the log', ({ log }) => log.splice(2, 1)],
  [1, 'an inbox lacks an entry', (run) => inboxOf(run, bob).splice(at(inboxOf(run, bob), 'two'), 1)],
  [2, 'the log has what nobody asked for', ({ log }) => log.push(event(9, bob, 'ghost', says('boo')))],
  [2, 'the log has other words', ({ log }) => log.splice(1, 1, event(2, alice, 'one', says('one')))],
  [3, 'an inbox has an entry twice', (run) => inboxOf(run, bob).splice(2, 0, inboxOf(run, bob)[1] as Held)],
  [3, 'a device is given an entry twice', (run) => repeat(run, bob)],
  [4, 'an inbox has two entries the wrong way round', (run) => swap(inboxOf(run, bob), 1, 2)],
  [4, 'a device is given two entries the wrong way round', (run) => swapDeliveries(run, bob)],
  [5, 'what was sent first stands behind', ({ history }) => swap(history, 2, 3)],
  [6, 'what was sent after an ack stands before', ({ history }) => sendLater(history)],
  [7, 'an index is used twice', (run) => reindex(run, alice, 'two', 2)],
  [7, 'an index is left out', (run) => reindex(run, alice, 'three', 9)],
  [8, 'a cursor goes back', ({ history }) => history.splice(-1, 0, { ...(history.at(-2) as Line), seq: 3 } as Line)],
  [10, 'another device of the sender lacks it', (run) => drop(run, alice, 'one')],
  [11, 'a device has not caught up', (run) => beLate(run)],
  [11, 'the workload was cut short', ({ history }) => history.pop()],
  [12, 'an inbox has what is not theirs', (run) => run.inboxes.set('eve', [inboxOf(run, bob)[1] as Held])],
  [12, 'a device is given what is not theirs', (run) => overhear(run)],
  [13, 'a device lacks an entry', (run) => drop(run, bob, 'one')],
  [14, 'a read mark goes back', (run) => unread(run)],
  [15, 'an inbox says something else than the log', (run) => reword(run)],
  [16, 'a request was never answered', ({ history }) => history.splice(4, 1)],
  [16, 'a request was answered twice', ({ history }) => history.splice(5, 0, history[4] as Line)],
  [16, 'a client has stopped', ({ history }) => complain(history, 'stopped: something')],
];

t.test('where all is well nothing is found', async (t) => {
  t.same(judged(wellDone()), []);
});

for (const [property, what, breakIt] of breakages) {
  t.test(`(${property}) ${what}`, async (t) => {
    const run = wellDone();
    breakIt(run);
    const found = judged(run);
    t.ok(found.includes(property), `found ${found.join() || 'nothing'}`);
  });
}

t.test('every promise that a history can break is among them', async (t) => {
  const broken = new Set(breakages.map(([property]) => property));
  // 9 is 1 after the faults of the run: an ack whose event is gone.
  t.same(
    Object.keys(PROPERTIES)
      .map(Number)
      .filter((property) => property !== 9 && !broken.has(property)),
    [],
  );
});

function swap<T>(list: T[], i: number, k: number): void {
  [list[i], list[k]] = [list[k] as T, list[i] as T];
}

function repeat(run: Run, name: string): void {
  const [first] = deliveriesOf(run, name);
  run.history.splice((first as number) + 1, 0, run.history[first as number] as Line);
}

function swapDeliveries(run: Run, name: string): void {
  const [, second, third] = deliveriesOf(run, name);
  swap(run.history, second as number, third as number);
}

/** `one` was sent long after `two` had been acked. */
function sendLater(history: Line[]): void {
  history.splice(2, 1);
  history.splice(5, 0, invoked(2, 50, alice, 'one', 'messageSent', '1'));
}

function reindex(run: Run, name: string, id: string, n: number): void {
  const list = inboxOf(run, name);
  const i = at(list, id);
  list[i] = withSeen(list[i] as Held, (seen) => (seen[1] = n));
}

function drop(run: Run, name: string, id: string): void {
  const i = run.history.findIndex(
    (line) => line.k === 'delivered' && line.user === name && line.entries[0]?.[4] === id,
  );
  run.history.splice(i, 1);
}

function beLate({ history }: Run): void {
  history.pop();
  history.push({ k: 'ended', at: 200, caughtUp: [], late: [{ user: bob, device: 'd' }] });
}

function overhear({ history }: Run): void {
  const [line] = history.filter((one) => one.k === 'delivered');
  history.splice(-1, 0, { ...(line as Line), user: 'eve' } as Line);
}

function unread(run: Run): void {
  const list = inboxOf(run, bob);
  const read = list[at(list, 'read')] as Held;
  const later = withSeen(read, (seen) => (seen[2] = 7));
  list.push(withSeen(later, (seen) => (seen[5] = 1)));
}

function reword(run: Run): void {
  const list = inboxOf(run, bob);
  const i = at(list, 'two');
  list[i] = withSeen(list[i] as Held, (seen) => (seen[5] = 'something else'));
}

function complain(history: Line[], what: string): void {
  history.splice(-1, 0, { k: 'complaint', at: 150, user: bob, device: 'd', what });
}
