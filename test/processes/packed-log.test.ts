/** What goes to another thread as bytes comes out there as the log's reader would have it. */
import t from 'tap';
import { logRecordOf } from '../../src/adapters/jetstream/log/log-record.ts';
import { isUnreadable, type LogRecord } from '../../src/ports/conversation-log.ts';
import { LogPacker, LogUnpacker } from '../../src/processes/packed-log.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';

const said = (id: string, body = 'hi') =>
  encodeLogEvent({
    ...{ type: 'messageSent', by: user('alice'), id: msgId(id) },
    ...{ contentType: 'text/plain', body: bytes(body) },
  });
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');
/** Bytes as text: of what class they are does not matter. */
const plain = (record: LogRecord): object => {
  if (isUnreadable(record)) return { ...record, data: hex(record.data) };
  const { event } = record;
  return { ...record, event: 'body' in event ? { ...event, body: hex(event.body) } : event };
};

t.test('portions come out as they went in, events and what is none', async (t) => {
  const [packer, unpacker] = [new LogPacker(), new LogUnpacker()];
  const rooms = Array.from({ length: 50 }, (_, i) => conversationSubject(conversation(`room ${i}`), 'm'));
  const messages = Array.from({ length: 1_500 }, (_, i) => ({
    subject: i % 100 === 7 ? 'conv.1.~%%%.m' : i % 100 === 8 ? 'conv' : (rooms[i % rooms.length] as string),
    data: i % 100 === 9 ? bytes('no event') : said(`id-${i}`, 'x'.repeat(i % 200)),
  }));
  const [expected, found]: [LogRecord[], LogRecord[]] = [[], []];
  for (const [i, { subject, data }] of messages.entries()) {
    packer.add(i + 1, 1_000 + i, subject, data);
    expected.push(logRecordOf(subject, i + 1, 1_000 + i, data));
    if (i % 400 !== 0 && i !== messages.length - 1) continue;
    const portion = packer.take();
    t.ok(portion);
    if (portion) found.push(...unpacker.records(structuredClone(portion, { transfer: [portion.bytes.buffer] })));
  }
  t.same(found.map(plain), expected.map(plain));
  t.equal(packer.take(), undefined);
});

t.test('subjects are told once, and after very many of them anew', async (t) => {
  const [packer, unpacker] = [new LogPacker(), new LogUnpacker()];
  const subjects = Array.from({ length: 70_000 }, (_, i) => conversationSubject(conversation(`room-${i}`), 'm'));
  const told: number[] = [];
  for (const round of [0, 1, 2]) {
    for (const subject of round === 1 ? subjects.slice(0, 10) : subjects) packer.add(1, 1, subject, said('one'));
    const portion = packer.take();
    if (!portion) continue;
    told.push(portion.subjects.length);
    const records = unpacker.records(portion) as { readonly conversation?: string }[];
    t.equal(records[9]?.conversation, 'room-9');
    if (round !== 1) t.equal(records.at(-1)?.conversation, 'room-69999');
  }
  t.same(told, [70_000, 10, 69_990]);
});
