/** A restore, where what stands afterwards is not what was in the file; and what becomes of who reads it back. */
import t from 'tap';
import { RecordsInPlace } from '../../src/adapters/archive/records-in-place.ts';
import type { ChecksBeside } from '../../src/application/archive/check-archive.ts';
import { RecordChecks } from '../../src/application/archive/record-checks.ts';
import { restoreLog } from '../../src/application/archive/restore-log.ts';
import type { ArchiveBlock, ArchiveReader, StoredRecord } from '../../src/ports/archive.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { blockOf } from '../support/blocks.ts';
import { bytes } from '../support/given.ts';
import { archive, records, rules, STREAM, scene } from '../support/restoring.ts';

t.test('what is there afterwards is compared with the file', async (t) => {
  const { parts, did } = scene((record) => record);
  t.match(await restoreLog(parts), { complete: true, events: 5, streams: [{ stored: 5, position: 5 }] });
  t.same(did, { begun: 1, stopped: 1 });
  t.match(await restoreLog(parts), { complete: true, streams: [{ stored: 0, position: 5 }] });
  t.same(did, { begun: 1, stopped: 1 }, 'where nothing is written nothing is read back');
});

t.test('a byte, a time or an event that is not there is told', async (t) => {
  const faults: ((record: StoredRecord) => StoredRecord | undefined)[] = [
    (record) => (record.seq === 3 ? { ...record, data: bytes('another') } : record),
    (record) => (record.seq === 3 ? { ...record, at: record.at + 1 } : record),
    (record) => (record.seq === 5 ? undefined : record),
  ];
  for (const fault of faults) {
    const { parts, did } = scene(fault);
    await t.rejects(restoreLog(parts), {
      code: 'IMPORT_MISMATCH',
      message: /^CONV_0 differs from the file: [45] events/,
    });
    t.same(did, { begun: 1, stopped: 1 });
  }
});

t.test(
  'what no log holds is refused, also where unreadable events are taken: it might be an order to the server',
  async (t) => {
    const [first] = records as [StoredRecord];
    const orders: Partial<StoredRecord>[] = [
      { subject: '$JS.API.STREAM.DELETE.INBOX_0', data: new Uint8Array(0) },
      { subject: 'inbox.3.bob' },
      { subject: 'conv.3.*.m' },
      { subject: `${first.subject}.more` },
      { messageId: 'm0\r\nNats-Rollup: all' },
      { headers: [['Nats-Rollup', 'all']] },
      { headers: [['Kept', 'a\nNats-Rollup: all']] },
      { headers: [['Kept: a\r\nNats-Rollup', 'all']] },
    ];
    for (const order of orders) {
      const { parts, there } = scene((record) => record, {
        open: async () => archive([{ ...first, ...order }]),
        rules: { ...rules, keepUnreadable: true },
      });
      await t.rejects(restoreLog(parts), { code: 'ARCHIVE_DAMAGED', message: /^CONV_0@1 is no record of a log/ });
      t.same(there, []);
    }
    const kept = scene((record) => record, {
      open: async () => archive([{ ...first, headers: [['Kept', 'as it is: 陈晨']] }]),
    });
    await restoreLog(kept.parts);
    t.equal(kept.there.length, 1);
  },
);

t.test(
  'what would not come back as it is, or stand where it stands, is refused before anything is written',
  async (t) => {
    const held = (place: number, change: Partial<StoredRecord>) =>
      records.map((record, i) => (i === place ? { ...record, ...change } : record));
    const faults: [string, Partial<StoredRecord>][] = [
      ...[Number.NaN, 2.5, 2, 1, 0, -3, 1e18, Number.POSITIVE_INFINITY].map((seq) => [`${seq}`, { seq }] as const),
      ...[Number.NaN, -1, 0.5, -0, 1e15, Number.POSITIVE_INFINITY].map((at) => ['3', { at }] as const),
      ...['conv.256.a.m', 'conv.07.a.m', 'user.1.a.account', 'conv.1.a\u007f.m', 'conv.1.a.m\u0001'].map(
        (subject) => ['3', { subject }] as const,
      ),
      ['3', { subject: `conv.1.${'a'.repeat(2_050)}.m` }],
      ...['rookery-void', 'Rookery-At', 'Rookery-Msg-Id', 'nats-Rollup', 'A b', 'A:b'].map(
        (name) => ['3', { headers: [[name, 'x']] as const }] as const,
      ),
      ...[' x', 'x ', 'x\u00a0', 'a\rb'].map((value) => ['3', { headers: [['Kept', value]] as const }] as const),
      ...['m ', ' m', '\ufeffm', 'a\nb'].map((messageId) => ['3', { messageId }] as const),
      [
        '3',
        {
          headers: [
            ['Kept', '1'],
            ['Other', '2'],
            ['Kept', '3'],
          ],
        },
      ],
    ].map(([place, change]) => [place, change] as [string, Partial<StoredRecord>]);
    for (const [place, change] of faults) {
      const { parts, there } = scene((record) => record, {
        open: async () => archive(held(2, change)),
        rules: { ...rules, keepUnreadable: true },
      });
      await t.rejects(
        restoreLog(parts),
        {
          code: 'ARCHIVE_DAMAGED',
          message: new RegExp(`^CONV_0@${place.replace('+', '\\+')} is no record of a log: `),
        },
        JSON.stringify(change),
      );
      t.same(there, []);
    }
  },
);

t.test('bytes that are no text, or no headers, are refused', async (t) => {
  const [first] = records as [StoredRecord];
  const block = blockOf(0, [{ ...first, messageId: 'mm', headers: [['Kept', 'x']] }]);
  const check = (change: (bytes: Buffer, at: number) => void, text: string): void => {
    const bytes = Buffer.from(block.bytes);
    change(bytes, bytes.indexOf(text));
    const inPlace = new RecordsInPlace(bytes);
    new RecordChecks(rules).check(STREAM, () => inPlace.next(), { seq: 0, there: 0 });
  };
  check(() => undefined, 'mm');
  t.throws(() => check((bytes, at) => bytes.fill(0xff, at, at + 2), 'mm'), { code: 'ARCHIVE_DAMAGED' });
  t.throws(() => check((bytes, at) => bytes.write('Kept=', at), 'Kept:'), { code: 'ARCHIVE_DAMAGED' });
});

t.test('each event stands in the stream that its subject belongs to', async (t) => {
  const two = new RecordChecks({ ...rules, convStreams: 2 });
  const check = (stream: string, partition: number): number =>
    two.check(stream, blockOf(0, [{ ...(records[0] as StoredRecord), subject: `conv.${partition}.a.m` }]).inPlace(), {
      ...{ seq: 0, there: 0 },
    });
  for (const [stream, partition] of [
    ['CONV_0', 127],
    ['CONV_1', 128],
  ] as const) {
    t.equal(check(stream, partition), 0);
  }
  t.throws(() => check('CONV_0', 128), { code: 'ARCHIVE_DAMAGED' });
  t.equal(check('CONV_1', 128), 0);
  t.throws(() => check('CONV_1', 127), { code: 'ARCHIVE_DAMAGED' });
  t.throws(() => check('USER', 127), { code: 'ARCHIVE_DAMAGED' });
  t.throws(() => check('CONV_2', 255), { code: 'ARCHIVE_DAMAGED' });
});

t.test('what the log does not take is told with its measure; a hole is filled up to its bound', async (t) => {
  const importing = (changes: readonly Partial<StoredRecord>[]) => {
    const held = records.map((record, i) => ({ ...record, ...changes[i] }));
    const open = async () => {
      const { header, ...rest } = archive(held);
      return { ...rest, header: { ...header, streams: header.streams.map((one) => ({ ...one, lastSeq: 10_000 })) } };
    };
    return scene((record) => record, { open, rules: { ...rules, keepUnreadable: true } });
  };
  const beyond: [Partial<StoredRecord>, RegExp][] = [
    [{ messageId: 'm'.repeat(501) }, /^CONV_0@5 has 501 bytes of headers, of which the log takes 500$/],
    [{ messageId: '', headers: [['Kept', 'x'.repeat(493)]] }, /^CONV_0@5 has 501 bytes of headers/],
    [{ messageId: 'mm', data: new Uint8Array(999) }, /^CONV_0@5 has 1001 bytes, of which the log takes 1000$/],
    [{ seq: 105 }, /^CONV_0@105 comes behind 4: .*--merge/],
  ];
  for (const [change, message] of beyond) {
    const { parts, there } = importing([{}, {}, {}, {}, change]);
    await t.rejects(restoreLog(parts), { code: 'IMPORT_MISMATCH', message });
    t.same(there, []);
  }
  const atBounds = importing([
    { messageId: 'm'.repeat(500) },
    { messageId: '', headers: [['Kept', 'x'.repeat(492)]] },
    { messageId: 'mm', data: new Uint8Array(998) },
    {},
    { seq: 104 },
  ]);
  await restoreLog(atBounds.parts);
  t.equal(atBounds.there.length, 5);
});

t.test('blocks follow each other in their stream', async (t) => {
  const importing = (...blocks: (readonly StoredRecord[])[]) => {
    const open = async (): Promise<ArchiveReader> => ({
      ...archive(),
      async *blocks() {
        for (const held of blocks) yield blockOf(0, held);
      },
    });
    return scene((record) => record, { open });
  };
  t.match(await restoreLog(importing(records.slice(0, 2), records.slice(2)).parts), { complete: true });
  const again = importing(records.slice(0, 3), records.slice(2));
  await t.rejects(restoreLog(again.parts), { code: 'ARCHIVE_DAMAGED', message: /^CONV_0@3 .*behind 3/ });
  const beyond = importing(records, [{ ...(records[4] as StoredRecord), seq: 6 }]);
  await t.rejects(restoreLog(beyond.parts), { code: 'ARCHIVE_DAMAGED', message: /^CONV_0@6 .*went to 5/ });
  t.same([again.there, beyond.there], [[], []]);
});

t.test('of blocks that are checked beside, the first that is refused is told, and nothing is written', async (t) => {
  const [first] = records as [StoredRecord];
  const one = (seq: number, change: Partial<StoredRecord> = {}) => blockOf(0, [{ ...first, seq, ...change }]);
  const [newer, order] = [{ data: bytes('no event') }, { headers: [['Nats-Rollup', 'all']] as const }];
  const importing = async (blocks: readonly ArchiveBlock[], keepUnreadable = false) => {
    // Every other block, and told only when all else has been done.
    let asked = 0;
    const check: ChecksBeside['check'] = (stream, block, before) => {
      if (asked++ % 2 === 0) return undefined;
      const next = block.inPlace();
      return new Promise((resolve) => setImmediate(resolve)).then(() =>
        new RecordChecks({ ...rules, keepUnreadable }).check(stream, next, before),
      );
    };
    const held = archive([]);
    const open = async (): Promise<ArchiveReader> => ({
      ...held,
      blocks: async function* () {
        yield* blocks;
      },
    });
    const { parts, there } = scene((record) => record, {
      open,
      beside: { check },
      rules: { ...rules, keepUnreadable },
    });
    return { there, restored: restoreLog(parts) };
  };
  const faults: [string, Partial<StoredRecord>[]][] = [
    ['EVENT_UNREADABLE', [{}, newer, {}, {}]],
    ['EVENT_UNREADABLE', [{}, newer, order, {}]],
    ['EVENT_UNREADABLE', [{}, {}, newer, order]],
    ['ARCHIVE_DAMAGED', [{}, order, newer, newer]],
  ];
  for (const [code, changes] of faults) {
    const { there, restored } = await importing(changes.map((change, i) => one(i + 1, change)));
    await t.rejects(restored, { code });
    t.same(there, []);
  }
  const kept = await importing([one(1, newer), one(2, newer), one(3, newer), one(4)], true);
  t.match(await kept.restored, { events: 4, unreadable: 3 });
});

t.test('who is stopped, or cannot write, leaves nobody reading', async (t) => {
  const stop = new AbortController();
  const stopped = scene(
    (record) => {
      stop.abort();
      return record;
    },
    { stop: stop.signal },
  );
  t.match(await restoreLog(stopped.parts), { complete: false });
  t.same(stopped.did, { begun: 1, stopped: 1 });
  const failing = scene(() => {
    throw new RookeryError('IMPORT_MISMATCH', 'somebody else writes');
  });
  await t.rejects(restoreLog(failing.parts), { code: 'IMPORT_MISMATCH' });
  t.same(failing.did, { begun: 1, stopped: 1 });
});

t.test('an outage in which nobody can ask is waited through, so often and no longer', async (t) => {
  const unavailable = () => new RookeryError('LOG_UNAVAILABLE', 'no answer');
  const outage = (asked: number) => {
    let [isDown, left] = [false, asked];
    const told = scene((record) => {
      if (record.seq === 3 && left > 0) {
        isDown = true;
        throw unavailable();
      }
      return record;
    });
    const { target } = told.parts;
    const streams = async () => {
      if (isDown && left > 0) {
        left -= 1;
        throw unavailable();
      }
      return target.streams();
    };
    return { ...told, parts: { ...told.parts, pauseMs: 1, target: { ...target, streams } } };
  };
  const short = outage(3);
  t.match(await restoreLog(short.parts), { complete: true, streams: [{ stored: 5, position: 5 }] });
  t.equal(short.there.length, 5);
  await t.rejects(restoreLog(outage(1_000).parts), { code: 'LOG_UNAVAILABLE' });
});
