import t from 'tap';
import { MAX_WINDOW_BYTES, Windows } from '../../src/application/read-model/windows.ts';
import { alice, rooms } from '../support/histories.ts';
import { log, says } from '../support/logged.ts';

const [room] = rooms;
if (!room) throw new Error('a room');
const inWindow = 2;
const body = new Uint8Array(MAX_WINDOW_BYTES / inWindow);
const records = log(...Array.from({ length: 6 * inWindow }, () => [room, says(alice, undefined, { body })] as const));

t.test('windows are bounded by their bodies, and between two of them others have their turn', async (t) => {
  const written: number[][] = [];
  const windows = new Windows(
    (window) => written.push(window.map(({ pos }) => pos)),
    (error) => t.fail(String(error)),
  );
  windows.add(records.slice(0, 9));
  windows.add(records.slice(9));
  t.same(written, [[1, 2]], 'the first at once');
  for (let turns = 2; turns <= 6; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(written.length, turns, 'one a turn');
  }
  t.same(
    written.flat(),
    records.map(({ pos }) => pos),
    'all, in order',
  );
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
