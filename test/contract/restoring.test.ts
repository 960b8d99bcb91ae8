/** Records that are restored from the bytes of a block stand in the log as they stood in the block. */
import t from 'tap';
import { JetstreamRecordAppender } from '../../src/adapters/jetstream/record-appender.ts';
import { JetstreamRecordReader, logStreams } from '../../src/adapters/jetstream/record-reader.ts';
import { batchedStreams } from '../../src/adapters/jetstream/restore-batches.ts';
import type { StoredRecord } from '../../src/ports/archive.ts';
import { blockOf } from '../support/blocks.ts';
import { startNats } from '../support/nats.ts';

const nats = await startNats();
t.teardown(() => nats.stop());
const { nc, jsm, inboxPrefix } = await nats.connect('operator');
const names = logStreams(nats.topology);
const EVENTS = 12_000;

/** Two in a row, the second of them at the end of its block. */
const isLarge = (i: number): boolean => i % 2_000 === 98 || i % 2_000 === 99;

/** Some are not written where they stand: the first, those with headers, those in another script, those behind a hole, large ones. */
function records(): StoredRecord[] {
  let seq = 0;
  return Array.from({ length: EVENTS }, (_, i) => {
    seq += i % 1_000 === 999 ? 3 : 1;
    return {
      ...{ seq, at: 1_000_000 + 7 * i, subject: `conv.${i % 256}.group-${i % 40}.m` },
      messageId: i % 500 === 3 ? '' : i % 700 === 5 ? `房间:${i}` : `group:user-${i}:${i}`,
      headers: i % 300 === 7 ? [['Kept', `as it is ${i}`]] : [],
      data: new Uint8Array(isLarge(i) ? 300_000 : i % 900).fill(i % 251),
    };
  });
}

const shown = ({ data, ...rest }: StoredRecord) => ({
  ...rest,
  bytes: data.length,
  data: Buffer.from(data).toString('latin1', 0, 20),
});

t.test('whatever they are, and though their bytes are gone once all were given', async (t) => {
  const batched = await batchedStreams(jsm, names);
  t.ok(batched.has('CONV_0'));
  const given = records();
  const appender = new JetstreamRecordAppender({ nc, inboxPrefix, ends: new Map(), batched });
  for (let i = 0; i < given.length; i += 100) {
    const block = blockOf(0, given.slice(i, i + 100));
    const next = block.inPlace();
    let last: Uint8Array | undefined;
    for (let record = next(); record; record = next()) {
      last = record.bytes;
      const room = appender.restore('CONV_0', record);
      if (room) await room;
    }
    // As one that is released.
    last?.fill(0);
  }
  await appender.settled();
  appender.stop();
  const found: StoredRecord[] = [];
  const reader = new JetstreamRecordReader({ nc, jsm, inboxPrefix, names });
  for await (const portion of reader.read('CONV_0', 1, given.at(-1)?.seq ?? 0)) found.push(...portion);
  t.same(found.map(shown), given.map(shown));
});
