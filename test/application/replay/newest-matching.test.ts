/** A log is read back from its end until enough matches, and no further. */
import t from 'tap';
import { newestMatching } from '../../../src/application/replay/newest-matching.ts';
import type { LogRecord, UnreadableEvent } from '../../../src/ports/conversation-log.ts';

const record = (pos: number): UnreadableEvent => ({ pos, subject: 'conv.0.a.m', reason: '', data: new Uint8Array(0) });

/** Positions 11 … 100,010, and which of them were read. */
function log() {
  const spans: (readonly [number, number])[] = [];
  async function* read(from: number, to: number): AsyncGenerator<LogRecord> {
    spans.push([from, to]);
    for (let pos = from; pos <= to; pos++) yield record(pos);
  }
  return { spans, parts: { reader: { read }, first: 11, end: 100_010 } };
}
const never = new AbortController().signal;
const each = (step: number) => (record: LogRecord) => record.pos % step === 0;

t.test('as many as are asked for, across portions; each position is read once', async (t) => {
  const { spans, parts } = log();
  const { from, earlier } = await newestMatching(parts, 4, each(1_000), never);
  t.equal(from, 97_000);
  t.ok((spans.at(-1)?.[0] ?? 0) > 80_000, 'and little more than that');
  t.equal(earlier, 90_000 + 6, 'of what was not read any may match, of what was read six do');
  for (const [i, [begin]] of spans.entries()) t.equal(spans[i + 1]?.[1] ?? begin - 1, begin - 1);
});

t.test('what is not there as often is looked for up to the beginning', async (t) => {
  t.same(await newestMatching(log().parts, 4, each(40_000), never), { from: 40_000, earlier: 0 });
  t.same(await newestMatching(log().parts, 4, () => false, never), { from: 100_011, earlier: 0 });
});

t.test('none is asked for, nothing is there, or it is stopped: nothing is read', async (t) => {
  const { spans, parts } = log();
  t.same(await newestMatching(parts, 0, each(1), never), { from: 100_011, earlier: 100_000 });
  t.same(await newestMatching({ ...parts, end: 10 }, 3, each(1), never), { from: 11, earlier: 0 });
  await newestMatching(parts, 3, each(1), AbortSignal.abort());
  t.same(spans, []);
});
