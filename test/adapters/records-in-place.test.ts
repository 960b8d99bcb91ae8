/** Records where they stand in bytes: the same as those that objects are made of, and as the messages that restore them. */
import fc from 'fast-check';
import t from 'tap';
import { bytesOf, roomFor, writeInPlace, writeRecord } from '../../src/adapters/archive/record-bytes.ts';
import { extentOf, RecordsInPlace, wholeRecords } from '../../src/adapters/archive/records-in-place.ts';
import { Summary } from '../../src/adapters/archive/summary.ts';
import { originalTimeValue } from '../../src/adapters/jetstream/log/original-time.ts';
import { isPlain, RestoredMessage } from '../../src/adapters/jetstream/records/restored-message.ts';
import type { StoredRecord } from '../../src/ports/archive.ts';

const plainText = fc.string({
  minLength: 1,
  maxLength: 80,
  unit: fc.integer({ min: 0x21, max: 0x7e }).map(String.fromCharCode),
});
const header = fc.tuple(fc.stringMatching(/^[A-Z][a-z]{1,8}$/), fc.stringMatching(/^[^\n\ud800-\udfff]{0,12}$/));
const recordsOf = (texts: fc.Arbitrary<string>, headers: fc.Arbitrary<StoredRecord['headers']>) =>
  fc.array(
    fc.record({
      seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      at: fc.integer({ min: 0, max: 10 ** 15 - 1 }),
      subject: texts,
      messageId: fc.oneof(fc.constant(''), texts),
      headers,
      data: fc.uint8Array({ maxLength: 300 }),
    }),
    { minLength: 1, maxLength: 20 },
  );
const any = recordsOf(fc.string({ unit: 'grapheme', minLength: 1 }), fc.array(header, { maxLength: 3 }));

function bytesOfAll(records: readonly StoredRecord[]): Buffer {
  const buffer = Buffer.alloc(records.reduce((sum, record) => sum + roomFor(record), 0));
  return buffer.subarray(
    0,
    records.reduce((at, record) => writeRecord(buffer, at, record), 0),
  );
}

const shown = (records: readonly StoredRecord[]) =>
  records.map(({ data, ...rest }) => ({ ...rest, data: Buffer.from(data).toString('hex') }));

t.test('what was written is read, and written once more gives the same bytes and digest', async () => {
  fc.assert(
    fc.property(any, (records) => {
      const written = bytesOfAll(records);
      const [one, other] = [new Summary('one'), new Summary('one')];
      one.add(records);
      const again = Buffer.alloc(written.length);
      let used = 0;
      const inPlace = new RecordsInPlace(written);
      while (inPlace.next()) {
        const end = writeInPlace(again, used, inPlace);
        if (end - used !== bytesOf(inPlace)) throw new Error('it takes another number of bytes');
        used = end;
        other.addInPlace(inPlace);
      }
      return (
        again.equals(written) &&
        t.same(shown(wholeRecords(written)), shown(records)) &&
        t.same(other.now, one.now) &&
        t.same(extentOf(written), {
          ...{ events: records.length, firstSeq: records[0]?.seq, lastSeq: records.at(-1)?.seq },
        })
      );
    }),
    { numRuns: 60 },
  );
});

t.test('bytes that are no records are told, wherever they are cut or changed', async (t) => {
  const record = { seq: 1, at: 2, subject: 'conv.1.a.m', messageId: 'id', headers: [], data: new Uint8Array(9) };
  const written = bytesOfAll([record, record]);
  for (let length = 1; length < written.length; length++) {
    if (length !== written.length / 2) t.throws(() => extentOf(Buffer.from(written.subarray(0, length))), RangeError);
  }
  // Of the first record: its own length, and that of each of its texts.
  for (const at of [0, 20, 34, 40]) {
    const changed = Buffer.from(written);
    changed.writeUInt32LE(0xfffffff0, at);
    t.throws(() => extentOf(changed), RangeError, `at ${at}`);
  }
});

t.test('a plain record becomes the message that any other becomes', async () => {
  fc.assert(
    fc.property(
      recordsOf(plainText, fc.constant([])),
      fc.integer({ min: 1, max: 1e9 }),
      fc.integer({ min: 0, max: 60 }),
      (records, number, room) => {
        const inPlace = new RecordsInPlace(bytesOfAll(records));
        const message = new RestoredMessage();
        for (const record of records) {
          inPlace.next();
          message.set(inPlace, '_INBOX.restore.fail.', number);
          const into = Buffer.alloc(room + message.mostBytes, 'x');
          const written = into.subarray(room, message.write(into, room));
          if (!isPlain(inPlace) || !written.equals(expected(record, number))) return false;
        }
        return true;
      },
    ),
    { numRuns: 200 },
  );
});

function expected({ seq, at, subject, messageId, data }: StoredRecord, number: number): Buffer {
  const id = messageId === '' ? '' : `Rookery-Msg-Id: ${messageId}\r\n`;
  const headers = `NATS/1.0\r\n${id}Nats-Expected-Last-Sequence: ${seq - 1}\r\nRookery-At: ${originalTimeValue(at)}\r\n\r\n`;
  const reply = `_INBOX.restore.fail.${number}.${number === 1 ? 0 : 1}.$FI`;
  const head = `HPUB ${subject} ${reply} ${headers.length} ${headers.length + data.length}\r\n`;
  return Buffer.concat([Buffer.from(head + headers), data, Buffer.from('\r\n')]);
}

t.test('what is not plain is not taken for it', async (t) => {
  const plain: StoredRecord = {
    ...{ seq: 1, at: 2, subject: 'conv.1.a.m', messageId: 'id', headers: [], data: new Uint8Array(9) },
  };
  const isPlainOne = (change: Partial<StoredRecord>): boolean => {
    const records = new RecordsInPlace(bytesOfAll([{ ...plain, ...change }]));
    records.next();
    return isPlain(records);
  };
  t.ok(isPlainOne({}));
  t.ok(isPlainOne({ messageId: '' }));
  const others: Partial<StoredRecord>[] = [
    ...[{ headers: [['Kept', 'x']] as const }, { messageId: 'a b' }, { messageId: 'm\r\nNats-Rollup: all' }],
    ...[{ messageId: '房间' }, { subject: '' }, { subject: 'a b' }, { subject: 'conv.1.a.m\r\nPUB x 0\r\n' }],
    ...[{ seq: 0 }, { seq: 1.5 }, { seq: Number.NaN }, { at: -1 }, { at: 0.5 }, { at: 10 ** 15 }],
  ];
  for (const other of others) t.notOk(isPlainOne(other), JSON.stringify(other));
});
