/** What `LogReader` in ports/conversation-log.ts promises, on a real nats-server. */
import { headers, type Msg, type NatsConnection } from '@nats-io/nats-core';
import t, { type Test } from 'tap';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { readLogSpan } from '../../src/adapters/jetstream/log/log-span.ts';
import { pulledSpan } from '../../src/adapters/jetstream/messages/pulled-span.ts';
import { JetstreamRecordReader } from '../../src/adapters/jetstream/records/record-reader.ts';
import { hasNothingIn } from '../../src/adapters/jetstream/streams/stream-info.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import type { RecordCount, StoredRecord } from '../../src/ports/archive.ts';
import type { LogRecord } from '../../src/ports/conversation-log.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject, conversationWildcard } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { inboxWriting } from '../support/inbox-writing.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const says = (i: number): ConversationEvent => ({
  type: 'messageSent',
  by: user('alice'),
  id: msgId(`id-${i}`),
  contentType: 'text/plain',
  body: bytes(`body ${i}`),
});

async function scene(t: Test, events: number) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  const { log } = inboxWriting(operator);
  for (let i = 1; i <= events; i++) await log(conversation(`c ${i % 3}`), says(i));
  const gateway = await nats.connect('gateway');
  return { nats, operator, log, reader: new JetstreamLogReader({ ...gateway, convStream: 0 }) };
}

/** With so many events, at once. */
async function fill({ nc, jsm }: Nats, events: number): Promise<void> {
  const data = encodeLogEvent(says(1));
  for (let i = 1; i <= events; i++) nc.publish(conversationSubject(conversation(`c ${i % 3}`), 'm'), data);
  await eventually(async () => (await jsm.streams.info('CONV_0')).state.last_seq === events, 'all events stored');
}

async function all(records: AsyncIterable<LogRecord>): Promise<LogRecord[]> {
  const found: LogRecord[] = [];
  for await (const record of records) found.push(record);
  return found;
}

t.test('a span is read to its end by one who is slower than it comes, and none is taken twice', async (t) => {
  const EVENTS = 4_500;
  const { operator } = await scene(t, 0);
  await fill(operator, EVENTS);
  for (const [from, to] of [
    [1, EVENTS],
    [1, 2_000],
    [1_999, 4_001],
    [EVENTS, EVENTS],
  ] as const) {
    const taken: number[] = [];
    let turns = 0;
    for await (const _ of readLogSpan(operator, { convStream: 0, from, to }, (pos) => taken.push(pos))) {
      turns += 1;
      const before = taken.length;
      // Until all of the next turn is there as well, before anything is done with this one.
      await eventually(async () => taken.length === to - from + 1 || taken.length >= before + 2_000, 'the next turn');
    }
    t.ok(turns > 0);
    t.same(
      taken,
      Array.from({ length: to - from + 1 }, (_, i) => from + i),
    );
  }
});

/** A connection over which what the server says of a pull comes a turn later than the messages before it, as it may. */
function lateStatuses(nc: NatsConnection): NatsConnection {
  const subscribe = (subject: string, { callback }: { callback: (error: Error | null, message: Msg) => void }) => {
    let waiting: (() => void)[] = [];
    const turn = (): void => {
      const due = waiting;
      waiting = [];
      for (const tell of due) tell();
    };
    return nc.subscribe(subject, {
      callback: (error, message) => {
        if (message.reply !== '' && waiting.length === 0) return callback(error, message);
        if (waiting.push(() => callback(error, message)) === 1) setImmediate(turn);
      },
    });
  };
  const late = { subscribe, publish: nc.publish.bind(nc), status: () => nc.status() };
  return late as unknown as NatsConnection;
}

t.test('that a pull was fulfilled may be said when the next one was asked for already', async (t) => {
  const EVENTS = 10_000;
  const { operator } = await scene(t, 0);
  await fill(operator, EVENTS);
  const parts = { ...operator, nc: lateStatuses(operator.nc) };
  let read = 0;
  for await (const portion of pulledSpan(parts, { stream: 'CONV_0', from: 1, to: EVENTS }, () => true)) {
    read += portion.length;
  }
  t.equal(read, EVENTS);
});

t.test('records are read on behind what was read when the server restarts', async (t) => {
  const EVENTS = 10_000;
  const { operator, nats } = await scene(t, 0);
  await fill(operator, EVENTS);
  const reader = new JetstreamRecordReader({ ...operator, names: ['CONV_0'] });
  for (const read of [() => reader.read('CONV_0', 1, EVENTS), () => reader.ids('CONV_0', EVENTS)]) {
    const found: number[] = [];
    for await (const records of read()) {
      if (found.length === 0) {
        nats.server.signal('SIGKILL');
        await nats.server.respawn();
      }
      found.push(...records.map(({ seq }) => seq));
    }
    t.same(
      found,
      Array.from({ length: EVENTS }, (_, i) => 1 + i),
    );
  }
});

const counting = (take: (record: StoredRecord, isInPlace: boolean) => void): RecordCount => ({
  add: (records) => {
    for (const record of records) take(record, false);
  },
  addInPlace: (record) => take(record.whole(), true),
  now: { name: 'CONV_0', events: 0, digest: '', firstSeq: 0, lastSeq: 0 },
});

t.test(
  'records are counted one by one as they come, and no more of them is asked for than belongs to the span',
  async (t) => {
    const EVENTS = 6_000;
    const { operator } = await scene(t, 0);
    await fill(operator, EVENTS);
    const reader = new JetstreamRecordReader({ ...operator, names: ['CONV_0'] });
    const found: number[] = [];
    const before = operator.nc.stats().inMsgs;
    const count = counting(({ seq }) => found.push(seq));
    for await (const _ of reader.counted('CONV_0', 101, 2_200, count));
    t.same(
      found,
      Array.from({ length: 2_100 }, (_, i) => 101 + i),
    );
    await operator.nc.flush();
    const brought = operator.nc.stats().inMsgs - before;
    t.ok(brought < 2_100 + 50, `${brought} messages`);
  },
);

t.test('records taken where they stand are those that are read as objects, whatever they are', async (t) => {
  const { operator } = await scene(t, 0);
  const { nc, js } = operator;
  for (let i = 0; i < 300; i++) {
    const about = headers();
    about.set(i % 2 === 0 ? 'Nats-Msg-Id' : 'Rookery-Msg-Id', i % 50 === 7 ? `房间-${i}` : `id-${i}`);
    if (i % 60 === 11) about.set('Rookery-Void', '1');
    if (i % 70 === 13) about.set('Kept', `as it is ${i}`);
    if (i % 2 === 1) about.set('Rookery-At', String(1_600_000_000_000 + i).padStart(15, '0'));
    const data = new Uint8Array(i % 40 === 9 ? 200_000 + i : i).fill(i);
    await js.publish(`conv.0.c-${i}.m`, data, i % 30 === 5 ? {} : { headers: about });
  }
  const reader = new JetstreamRecordReader({ ...operator, names: ['CONV_0'] });
  const shown = ({ data, ...rest }: StoredRecord) => ({ ...rest, data: Buffer.from(data).toString('base64') });
  const expected: unknown[] = [];
  for await (const records of reader.read('CONV_0', 1, 300)) expected.push(...records.map(shown));
  const found: unknown[] = [];
  let inPlace = 0;
  const count = counting((record, isInPlace) => {
    if (isInPlace) inPlace += 1;
    found.push(shown(record));
  });
  for await (const _ of reader.counted('CONV_0', 1, 300, count));
  t.same(found, expected);
  t.equal(expected.length, 295);
  t.ok(inPlace > 250, `${inPlace} in place`);
  await nc.flush();
});

t.test('a span that is longer than the log is said to be', async (t) => {
  const { operator } = await scene(t, 3);
  const read = async (): Promise<void> => {
    for await (const _ of readLogSpan(operator, { convStream: 0, from: 1, to: 5 }, () => undefined));
  };
  await t.rejects(read(), { code: 'LOG_UNAVAILABLE', message: /has lost its end: it is at 3/ });
});

/** With three replicas, of which `answers` of the next questions are answered by a leader that was deposed after `knows` events. */
function deposed({ jsm, ...rest }: Nats, knows: number, answers: { info: number; message: number }): Nats {
  const streams = Object.assign(Object.create(jsm.streams), {
    async info(stream: string) {
      const info = await jsm.streams.info(stream);
      const last_seq = answers.info-- > 0 ? Math.min(knows, info.state.last_seq) : info.state.last_seq;
      return { ...info, config: { ...info.config, num_replicas: 3 }, state: { ...info.state, last_seq } };
    },
    async getMessage(stream: string, query: { seq: number }) {
      const message = await jsm.streams.getMessage(stream, query as never);
      return answers.message-- > 0 && (message?.seq ?? 0) > knows ? null : message;
    },
  });
  return { ...rest, jsm: Object.assign(Object.create(jsm), { streams }) };
}

t.test('a leader that was deposed makes no read shorter, nor the log', async (t) => {
  const { nats } = await scene(t, 10);
  const positions = async (reader: JetstreamLogReader, from: number) =>
    (await all(reader.read(from, 10))).map(({ pos }) => pos);
  const answers = { info: 0, message: 0 };
  const reader = new JetstreamLogReader({ ...deposed(await nats.connect('gateway'), 6, answers), convStream: 0 });
  t.equal(await reader.lastPos(), 10);
  answers.info = 2;
  t.same(await positions(reader, 5), [5, 6, 7, 8, 9, 10], 'it is asked again');
  answers.info = 2;
  t.equal(await reader.lastPos(), 10);
  const other = new JetstreamLogReader({ ...deposed(await nats.connect('gateway'), 6, answers), convStream: 0 });
  answers.info = 2;
  t.equal(await other.lastPos(9), 10, 'one that has not asked before, and knows of a position from elsewhere');
  answers.info = 1;
  t.same(await positions(reader, 8), [8, 9, 10], 'also where it knows of nothing that is asked for');
});

t.test(
  'that nothing more stands in a span is not believed of a leader that should have what is behind it',
  async (t) => {
    const { nats } = await scene(t, 10);
    const answers = { info: 0, message: 2 };
    const { jsm } = deposed(await nats.connect('gateway'), 6, answers);
    const past6 = { from: 7, to: 9, subjects: undefined };
    t.equal(await hasNothingIn(jsm, 'CONV_0', past6), false);
    t.ok(answers.message < 0, 'the third answer counts');
    answers.info = 2;
    t.equal(
      await hasNothingIn(jsm, 'CONV_0', { ...past6, subjects: [conversationWildcard(conversation('c 1'))] }),
      false,
    );
    t.equal(await hasNothingIn(jsm, 'CONV_0', { from: 3, to: 5, subjects: ['conv.0.nobody.*'] }), true);
  },
);

t.test('an empty log has nothing, and reading it ends', async (t) => {
  const { reader } = await scene(t, 0);
  t.equal(await reader.lastPos(), 0);
  t.same(await all(reader.read(1, 10)), []);
  t.equal(await reader.at(1), undefined);
});

t.test('reads from one position to another, both included, in order, and no further than the end', async (t) => {
  const { reader } = await scene(t, 10);
  t.equal(await reader.lastPos(), 10);
  t.same(
    (await all(reader.read(3, 6))).map(({ pos }) => pos),
    [3, 4, 5, 6],
  );
  t.same(
    (await all(reader.read(9, 99))).map(({ pos }) => pos),
    [9, 10],
  );
  t.same(await all(reader.read(11, 12)), []);
  t.same(await all(reader.read(5, 4)), []);
});

t.test('an event reads as it was written, by position or in a row', async (t) => {
  const { reader } = await scene(t, 3);
  const [found] = await all(reader.read(2, 2));
  t.match(found, { pos: 2, conversation: 'c 2', event: { type: 'messageSent', by: 'alice', id: 'id-2' } });
  t.same(await reader.at(2), found);
});

t.test('what cannot be read is given with its reason, and those behind it too', async (t) => {
  const { operator, log, reader } = await scene(t, 1);
  await operator.js.publish('conv.0.x.m', 'garbage');
  await log(conversation('c'), says(3));
  const found = await all(reader.read(1, 3));
  t.same(
    found.map(({ pos }) => pos),
    [1, 2, 3],
  );
  t.match(found[1], { subject: 'conv.0.x.m', reason: /MessagePack|map/ });
});

t.test('a reader that stops early leaves no consumer behind', async (t) => {
  const { operator, reader } = await scene(t, 10);
  for await (const { pos } of reader.read(1, 10)) if (pos === 4) break;
  const alone = async () => {
    const names: string[] = [];
    for await (const { name } of operator.jsm.consumers.list('CONV_0')) names.push(name);
    return names.join() === 'fan-out';
  };
  t.ok(await eventually(alone, 'only the durable is left'));
});

t.test('a read that loses its server says so at once, and the next one reads on', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  const { log } = inboxWriting(operator);
  // More than is read ahead.
  for (let i = 1; i <= 3_000; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, k) => log(conversation('c'), says(i + k))));
  }
  const reader = new JetstreamLogReader({ ...(await nats.connect('gateway')), convStream: 0 });
  let at = 0;
  const reading = async (): Promise<void> => {
    for await (const { pos } of reader.read(1, 3_000)) {
      at = pos;
      if (pos !== 10) continue;
      nats.server.signal('SIGKILL');
      await nats.server.respawn();
    }
  };
  await t.rejects(reading(), { code: 'LOG_UNAVAILABLE' });
  t.ok(at >= 10 && at < 3_000);
  const rest = await eventually(() => all(reader.read(at + 1, 3_000)).catch(() => undefined), 'the server is back');
  t.equal(rest.length, 3_000 - at);
});
