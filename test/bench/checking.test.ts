/** The bench finds what it is there to find: a checker that cannot fail would make every row look right. */
import t from 'tap';
import { bodyOf, DeliveredFrames, decode, encode, numberIn } from '../../bench/load/frames.ts';
import { Ledger } from '../../bench/load/ledger.ts';
import { NO_MESSAGE, type Run, Timeline } from '../../bench/load/timeline.ts';

const AT_US = 0;

const run = (firstN: number, numbers: number[], firstPos = firstN * 10): Run => ({
  firstN,
  numbers,
  positions: numbers.map((_, i) => firstPos + i),
});

/** Two members, `messages` sent by the first. */
function given(messages: number) {
  const ledger = new Ledger();
  const timeline = new Timeline(ledger, 2);
  for (let i = 0; i < messages; i++) ledger.send(0, 2);
  return {
    show(member: number, shown: Run): number {
      timeline.place(shown);
      return timeline.receive(member, shown, AT_US);
    },
    get found() {
      return { lost: ledger.missing, doubled: timeline.doubled, outOfOrder: timeline.outOfOrder };
    },
  };
}

const NOTHING = { lost: 0, doubled: 0, outOfOrder: 0 };

t.test('what every member gets once and in order is all right, however it was cut', async (t) => {
  const group = given(3);
  t.equal(group.show(0, run(1, [0, 1, 2])), 0);
  t.equal(group.show(1, run(1, [0])), 1, 'the first is delivered to all');
  t.equal(group.show(1, run(2, [1, 2], 11)), 2);
  t.same(group.found, NOTHING);
});

t.test('a state event takes an index and is no message', async (t) => {
  const group = given(1);
  for (const member of [0, 1]) group.show(member, run(1, [NO_MESSAGE, 0]));
  t.same(group.found, NOTHING);
});

t.test('a message that one member does not get is lost once', async (t) => {
  const group = given(3);
  group.show(0, run(1, [0, 1, 2]));
  group.show(1, run(1, [0]));
  group.show(1, run(3, [2], 12));
  t.same(group.found, { lost: 1, doubled: 0, outOfOrder: 0 });
});

t.test('the last message is lost as any other', async (t) => {
  const group = given(2);
  group.show(0, run(1, [0, 1]));
  group.show(1, run(1, [0]));
  t.same(group.found, { lost: 1, doubled: 0, outOfOrder: 0 });
});

t.test('a double at one member does not hide a loss at another', async (t) => {
  const group = given(2);
  group.show(0, run(1, [0, 1]));
  group.show(0, run(2, [1], 11));
  group.show(1, run(1, [0]));
  t.same(group.found, { lost: 1, doubled: 1, outOfOrder: 0 });
});

t.test('a message at two places is doubled', async (t) => {
  const group = given(2);
  for (const member of [0, 1]) group.show(member, run(1, [0, 1, 1]));
  t.ok(group.found.doubled > 0);
});

t.test('a late message is out of order and not lost', async (t) => {
  const group = given(3);
  group.show(0, run(1, [0, 1, 2]));
  group.show(1, run(1, [0]));
  group.show(1, run(3, [2], 12));
  group.show(1, run(2, [1], 11));
  t.same(group.found, { lost: 0, doubled: 0, outOfOrder: 1 });
});

t.test('members that are shown different messages at one index are found', async (t) => {
  const group = given(2);
  group.show(0, run(1, [0, 1]));
  group.show(1, run(1, [1, 0]));
  t.ok(group.found.outOfOrder > 0);
});

t.test('messages of one sender that have changed places are found, though all see the same', async (t) => {
  const group = given(2);
  for (const member of [0, 1]) group.show(member, run(1, [1, 0]));
  t.ok(group.found.outOfOrder > 0);
});

t.test('positions that do not grow are found', async (t) => {
  const group = given(2);
  for (const member of [0, 1]) {
    group.show(member, run(1, [0], 10));
    group.show(member, run(2, [1], 10));
  }
  t.equal(group.found.outOfOrder, 1);
});

t.test('a message that nobody sent is found', async (t) => {
  const group = given(1);
  group.show(0, run(1, [numberIn(new Uint8Array(7))]));
  t.ok(group.found.outOfOrder > 0);
});

t.test('an ack that does not come is lost', async (t) => {
  const ledger = new Ledger();
  const number = ledger.send(0, 2);
  ledger.deliver(number, 1, AT_US);
  t.equal(ledger.missing, 1);
  t.equal(ledger.ack(number), true, 'with it the message is complete');
  t.equal(ledger.missing, 0);
});

t.test('of a refused message nothing is due', async (t) => {
  const ledger = new Ledger();
  ledger.refuse(ledger.send(0, 3));
  t.equal(ledger.missing, 0);
  t.equal(ledger.open, 0);
  t.equal(ledger.refused, 1);
});

t.test('a plain broadcast is checked by the order that its first member sees', async (t) => {
  const ledger = new Ledger();
  const timeline = new Timeline(ledger, 2);
  for (let i = 0; i < 3; i++) ledger.send(i, 2);
  for (const number of [1, 0, 2]) timeline.receiveNext(0, number, AT_US);
  for (const number of [1, 0]) timeline.receiveNext(1, number, AT_US);
  t.equal(timeline.outOfOrder, 0, 'of several senders no order is the right one');
  t.equal(ledger.missing, 1);
  timeline.receiveNext(1, 0, AT_US);
  t.equal(timeline.outOfOrder, 1);
});

t.test('a body repeats its number, and a mixed-up one has none', async (t) => {
  t.equal(numberIn(bodyOf(70_000)), 70_000);
  const mixed = bodyOf(70_000);
  mixed[100] = (mixed[100] as number) ^ 1;
  t.equal(numberIn(mixed), Number.MAX_SAFE_INTEGER);
});

t.test('the same bytes are decoded once, others that end alike are not taken for them', async (t) => {
  const frames = new DeliveredFrames();
  const frameOf = (n: number): Buffer =>
    Buffer.from(
      encode({ t: 'deliver', conversation: 'c', entries: [{ pos: n, n, type: 'message', body: bodyOf(1) }] }),
    );
  const first = frames.add(frameOf(1), decode(frameOf(1)));
  t.equal(frames.known(frameOf(1)), first);
  t.equal(frames.known(frameOf(2)), undefined);
  t.same(first.runs, [{ firstN: 1, numbers: [1], positions: [1] }]);
});

t.test('a gap inside a frame makes two runs', async (t) => {
  const frames = new DeliveredFrames();
  const entries = [1, 3].map((n) => ({ pos: n, n, type: 'message', body: bodyOf(n) }));
  const { runs } = frames.add(Buffer.from('any bytes'), { conversation: 'c', entries });
  t.same(
    runs.map(({ firstN }) => firstN),
    [1, 3],
  );
});
