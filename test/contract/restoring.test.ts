/** Records that are restored from the bytes of a block stand in the log as they stood in the block. */
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { Summary } from '../../src/adapters/archive/summary.ts';
import { JetstreamRecordAppender } from '../../src/adapters/jetstream/records/record-appender.ts';
import { batchedStreams } from '../../src/adapters/jetstream/records/record-batches.ts';
import { recordLimits } from '../../src/adapters/jetstream/records/record-limits.ts';
import { JetstreamRecordReader, logStreams } from '../../src/adapters/jetstream/records/record-reader.ts';
import { RecordChecks } from '../../src/application/archive/record-checks.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { StoredRecord } from '../../src/ports/archive.ts';
import { ImportingThread } from '../../src/processes/importing.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { blockOf } from '../support/blocks.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const limits = { bytes: 1_000_000, headerBytes: 60_000, holePositions: 100 };
const first = { seq: 0, there: 0 };
const nats = await startNats();
t.teardown(() => nats.stop());
const { nc, js, jsm, inboxPrefix } = await nats.connect('operator');
const names = logStreams(nats.topology);
const reader = new JetstreamRecordReader({ nc, jsm, inboxPrefix, names });
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

t.test('the thread beside checks blocks, two at a time, and tells what is no record of a log', async (t) => {
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  const thread = (keepUnreadable: boolean) => {
    const beside = new ImportingThread(access, { keepUnreadable, convStreams: 1, limits }, () => undefined);
    t.teardown(() => beside.stop());
    return beside;
  };
  const event = {
    type: 'messageSent',
    by: user('alice'),
    id: msgId('m'),
    contentType: 'text/plain',
    body: bytes('caw'),
  };
  const whole: StoredRecord = {
    ...{ seq: 2_007, at: 2, subject: conversationSubject(conversation('rooks'), 'm'), messageId: 'm', headers: [] },
    data: encodeLogEvent(event as ConversationEvent),
  };
  // So many that they are handed over, and not copied.
  const block = (change: Partial<StoredRecord>) =>
    blockOf(0, [...Array.from({ length: 2_000 }, (_, i) => ({ ...whole, seq: 7 + i })), { ...whole, ...change }]);
  const asked = async (beside: ImportingThread, change: Partial<StoredRecord>): Promise<number> => {
    let answer: Promise<number> | undefined;
    await eventually(async () => (answer = beside.check('CONV_0', block(change), first)) !== undefined, 'it is ready');
    return answer as Promise<number>;
  };
  const strict = thread(false);
  t.equal(await asked(strict, {}), 0);
  await t.rejects(asked(strict, { data: bytes('x') }), { code: 'EVENT_UNREADABLE', message: /^CONV_0@2007: / });
  await t.rejects(asked(strict, { subject: '$JS.API.INFO' }), { code: 'ARCHIVE_DAMAGED', message: /^CONV_0@2007 / });
  t.equal(await asked(thread(true), { data: bytes('x') }), 1);
  const given = block({});
  const [one, other] = [strict.check('CONV_0', given, first), strict.check('CONV_0', block({}), first)];
  t.equal(given.bytes.length, 0, 'its memory is with the thread');
  t.equal(strict.check('CONV_0', block({}), first), undefined);
  t.same(await Promise.all([one, other]), [0, 0]);
  const last = strict.check('CONV_0', block({}), first);
  await strict.stop();
  await last?.catch((thrown) => t.match(thrown, { code: 'INTERNAL' }));
});

const shown = ({ data, ...rest }: StoredRecord) => ({
  ...rest,
  bytes: data.length,
  data: Buffer.from(data).toString('latin1', 0, 20),
});

t.test('whatever they are, and though their bytes are gone once all were given', async (t) => {
  const batched = await batchedStreams(jsm, names);
  t.ok(batched.has('CONV_0'));
  const given = records();
  const appender = new JetstreamRecordAppender({ nc, jsm, inboxPrefix, ends: new Map(), batched });
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
  for await (const portion of reader.read('CONV_0', 1, given.at(-1)?.seq ?? 0)) found.push(...portion);
  t.same(found.map(shown), given.map(shown));
});

t.test('what a check lets pass comes back as it is, up to the very bounds of what the log takes', async (t) => {
  const found = await recordLimits(nc, jsm, names);
  t.match(found, { bytes: Number, headerBytes: Number });
  const checks = new RecordChecks({ keepUnreadable: true, convStreams: 1, limits: found });
  const subject = conversationSubject(conversation('rooks'), 'm');
  const most = (messageId: string, more = 0) => new Uint8Array(found.bytes - messageId.length + more);
  const passing: Partial<StoredRecord>[] = [
    ...['', 'a b', '房间', 'a\u0001b', '~', 'm:', 'y'.repeat(found.headerBytes)].map((messageId) => ({ messageId })),
    ...['', 'a: b', ':', 'ü', 'a\tb\u007f', 'x'.repeat(found.headerBytes - 'mKept: \r\n'.length)].map((value) => ({
      headers: [['Kept', value] as const],
    })),
    { headers: [['Kept', 'a'] as const, ['kept', 'b'] as const, ['Status', '503'] as const] },
    ...[0, 1, 10 ** 15 - 1].map((at) => ({ at })),
    ...['conv.0.ü.m', 'conv.255.a.ü', `conv.1.${'a'.repeat(2_039)}.m`].map((subject) => ({ subject })),
    ...[{ data: most('m') }, { data: new Uint8Array(0) }, { messageId: '', data: most('') }],
  ];
  const { lastSeq = 0 } = (await reader.streams()).find(({ name }) => name === 'CONV_0') ?? {};
  const usual = { at: 5, subject, messageId: 'm', headers: [], data: new Uint8Array(9) };
  const given = passing.map((change, i): StoredRecord => ({ ...usual, ...change, seq: lastSeq + 1 + i }));
  t.equal(checks.check('CONV_0', blockOf(0, given).inPlace(), { seq: lastSeq, there: lastSeq }), given.length);
  const batched = await batchedStreams(jsm, names);
  const appender = new JetstreamRecordAppender({ nc, jsm, inboxPrefix, ends: new Map([['CONV_0', lastSeq]]), batched });
  const next = blockOf(0, given).inPlace();
  for (let record = next(); record; record = next()) await appender.restore('CONV_0', record);
  await appender.settled();
  appender.stop();
  const stored: StoredRecord[] = [];
  for await (const portion of reader.read('CONV_0', lastSeq + 1, lastSeq + given.length)) stored.push(...portion);
  t.same(stored.map(shown), given.map(shown));
  const tooLarge = blockOf(0, [{ ...usual, seq: 1, data: most('m', 1) }]);
  t.throws(() => checks.check('CONV_0', tooLarge.inPlace(), first), { code: 'IMPORT_MISMATCH' });
});

t.test('who wrote where an event should stand is told from a log that does not store', async (t) => {
  const batched = await batchedStreams(jsm, names);
  const { lastSeq = 0 } = (await reader.streams()).find(({ name }) => name === 'CONV_0') ?? {};
  const subject = conversationSubject(conversation('rooks'), 'm');
  const restoring = async (from: number, events: number): Promise<void> => {
    const given = Array.from({ length: events }, (_, i) => ({ seq: from + i, at: 5, subject, messageId: `m${i}` }));
    const block = blockOf(
      0,
      given.map((record) => ({ ...record, headers: [], data: new Uint8Array(9) })),
    );
    const ends = new Map([['CONV_0', from - 1]]);
    const appender = new JetstreamRecordAppender({ nc, jsm, inboxPrefix, ends, batched });
    try {
      const next = block.inPlace();
      for (let record = next(); record; record = next()) await appender.restore('CONV_0', record);
      await appender.settled();
    } finally {
      appender.stop();
    }
  };
  for (const events of [1, 5, 3_000]) {
    // As one that lost what was sent before.
    await t.rejects(restoring(lastSeq + 2, events), {
      code: 'LOG_UNAVAILABLE',
      message: new RegExp(`^CONV_0 stores nothing behind ${lastSeq}, and nobody else wrote there.*wrong last sequence`),
    });
    await t.rejects(restoring(lastSeq, events), {
      code: 'IMPORT_MISMATCH',
      message: /^somebody else writes to the log/,
    });
  }
});

t.test('a stream is read back once it is whole, also when the server is away for a while meanwhile', async (t) => {
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  // So much that it is not all on its way at once.
  for (let i = 0; i < 80; i++) await js.publish('conv.0.large.m', new Uint8Array(1_000_000).fill(i));
  const { lastSeq = 0 } = (await reader.streams()).find(({ name }) => name === 'CONV_0') ?? {};
  const expected = new Summary('CONV_0');
  for await (const _ of reader.counted('CONV_0', 1, lastSeq, expected));
  t.equal(expected.now.lastSeq, lastSeq);
  const rules = { keepUnreadable: true, convStreams: 1, limits };
  const begun = Promise.withResolvers<void>();
  const thread = new ImportingThread(access, rules, () => begun.resolve());
  t.teardown(() => thread.stop());
  const reading = thread.readBack([
    ['USER', 0],
    ['CONV_0', lastSeq],
  ]);
  reading.whole('USER');
  const found = reading.written();
  await begun.promise;
  nats.server.signal('SIGKILL');
  // Longer than it takes to try again a few times at once.
  await setTimeout(1_500);
  await nats.server.respawn();
  t.match(await found, [{ name: 'USER', events: 0 }, expected.now]);
});
