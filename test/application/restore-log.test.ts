/** A restore, where what stands afterwards is not what was in the file; and what becomes of who reads it back. */
import t from 'tap';
import { Summary } from '../../src/adapters/archive/summary.ts';
import { type ChecksBeside, RecordChecks } from '../../src/application/archive/check-archive.ts';
import { type RestoreParts, restoreLog } from '../../src/application/archive/restore-log.ts';
import type { ArchiveBlock, ArchiveReader, ReadBack, StoredRecord } from '../../src/ports/archive.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { blockOf } from '../support/blocks.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';

const STREAM = 'CONV_0';
const records: StoredRecord[] = Array.from({ length: 5 }, (_, i) => ({
  ...{ seq: i + 1, at: 1_000 + i, subject: conversationSubject(conversation('rooks'), 'm'), messageId: `m${i}` },
  headers: [],
  data: encodeLogEvent({
    ...{ type: 'messageSent', by: user('alice'), id: msgId(`m${i}`) },
    ...{ contentType: 'text/plain', body: bytes('caw') },
  }),
}));
const summaryOf = (held: readonly StoredRecord[]) => {
  const summary = new Summary(STREAM);
  summary.add(held);
  return summary.now;
};

function archive(held: readonly StoredRecord[] = records): ArchiveReader {
  const stream = { name: STREAM, created: 'then', firstSeq: 1, lastSeq: 5 };
  return {
    header: {
      ...{ format: 1, eventSchema: 1, writtenBy: 'a test', compression: 'gzip' as const, convStreams: 0 },
      ...{ selection: {}, streams: [stream] },
    },
    ...{ bytes: 1, position: 1, end: { streams: [summaryOf(held)] }, seal: 'a seal' },
    async *blocks() {
      yield blockOf(0, held);
    },
    close: async () => undefined,
  };
}

/** A log in memory; @param stored what of a record comes to stand there */
function scene(stored: (record: StoredRecord) => StoredRecord | undefined, more: Partial<RestoreParts> = {}) {
  const there: StoredRecord[] = [];
  const did = { begun: 0, stopped: 0 };
  const readBack = (): ReadBack => {
    did.begun += 1;
    return {
      given: () => undefined,
      written: async () => [summaryOf(there)],
      stop: async () => void (did.stopped += 1),
    };
  };
  const parts: RestoreParts = {
    open: async () => archive(),
    target: {
      streams: async () => [{ name: STREAM, created: 'now', firstSeq: 1, lastSeq: there.length }],
      async *read() {
        yield there;
      },
      async *ids() {
        yield there;
      },
    },
    appenderFrom: () => ({
      restore: (_, record) => {
        const put = stored(record.whole());
        if (put) there.push(put);
        return undefined;
      },
      add: () => undefined,
      settled: async () => undefined,
      stop: () => undefined,
    }),
    countOf: (stream) => new Summary(stream),
    readBack,
    keepUnreadable: false,
    stop: new AbortController().signal,
    onProgress: () => undefined,
    ...more,
  };
  return { parts, did, there };
}

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
        keepUnreadable: true,
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

t.test('of blocks that are checked beside, the first that is refused is told, and nothing is written', async (t) => {
  const [first] = records as [StoredRecord];
  const one = (seq: number, change: Partial<StoredRecord> = {}) => blockOf(0, [{ ...first, seq, ...change }]);
  const [newer, order] = [{ data: bytes('no event') }, { headers: [['Nats-Rollup', 'all']] as const }];
  const importing = async (blocks: readonly ArchiveBlock[], keepUnreadable = false) => {
    // Every other block, and told only when all else has been done.
    let asked = 0;
    const check: ChecksBeside['check'] = (stream, block) => {
      if (asked++ % 2 === 0) return undefined;
      const next = block.inPlace();
      return new Promise((resolve) => setImmediate(resolve)).then(() =>
        new RecordChecks(keepUnreadable).check(stream, next),
      );
    };
    const held = archive([]);
    const open = async (): Promise<ArchiveReader> => ({
      ...held,
      blocks: async function* () {
        yield* blocks;
      },
    });
    const { parts, there } = scene((record) => record, { open, beside: { check }, keepUnreadable });
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
