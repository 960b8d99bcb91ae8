import t from 'tap';
import { MAX_WINDOW_BYTES, WINDOW_BYTES, Windows } from '../../src/application/read-model/windows.ts';
import { alice, rooms } from '../support/histories.ts';
import { log, says } from '../support/logged.ts';

const [room] = rooms;
if (!room) throw new Error('a room');
const inWindow = 2;
const body = new Uint8Array(WINDOW_BYTES / inWindow);
const records = log(...Array.from({ length: 4 * inWindow }, () => [room, says(alice, undefined, { body })] as const));

t.test('windows are bounded by their bodies, and between two of them others have their turn', async (t) => {
  const written: number[][] = [];
  const windows = new Windows(
    (window) => written.push(window.map(({ pos }) => pos)),
    (error) => t.fail(String(error)),
  );
  windows.add(records.slice(0, 7));
  windows.add(records.slice(7));
  t.same(written, [[1, 2]], 'the first at once');
  for (let turns = 2; turns <= 4; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(written.length, turns, 'one a turn');
  }
  t.same(
    written.flat(),
    records.map(({ pos }) => pos),
    'all, in order',
  );
});

t.test('who is far behind writes larger windows, up to a bound', async (t) => {
  const written: number[] = [];
  const windows = new Windows(
    (window) => written.push(window.length),
    (error) => t.fail(String(error)),
  );
  const perLargest = MAX_WINDOW_BYTES / body.length;
  const count = 6 * perLargest;
  windows.add(log(...Array.from({ length: count }, () => [room, says(alice, undefined, { body })] as const)));
  while (written.reduce((sum, length) => sum + length, 0) < count)
    await new Promise((resolve) => setImmediate(resolve));
  t.equal(written[0], perLargest, 'bounded');
  t.equal(Math.max(...written), perLargest);
  t.equal(written.at(-2), inWindow, 'small again at the end');
});

t.test('what cannot be written is told once, and nothing after it is written', async (t) => {
  const broken: unknown[] = [];
  let tries = 0;
  const windows = new Windows(
    () => {
      tries += 1;
      throw new Error('the disk is gone');
    },
    (error) => broken.push(error),
  );
  windows.add(records);
  windows.add(records);
  await new Promise((resolve) => setImmediate(resolve));
  t.same([tries, broken.length], [1, 1]);
});
