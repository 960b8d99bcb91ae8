/** What `MergeAppender` in ports/archive.ts promises, on a real nats-server. */
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { JetstreamMergeAppender } from '../../src/adapters/jetstream/records/merge-appender.ts';
import type { StoredRecord } from '../../src/ports/archive.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { conversationSubject, logStreamOf, userSubject } from '../../src/protocol/subjects.ts';
import { bytes, conversation, user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';

const topology = { convStreams: 2, inboxStreams: 1 };

async function scene(t: Test, lease = { isFresh: true, assured: async () => undefined as void }) {
  const nats = await startNats({ topology });
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  const appender = new JetstreamMergeAppender({
    ...{ ...operator, lease },
    placeOf: (subject) => ({ stream: logStreamOf(subject, topology.convStreams), subject }),
  });
  t.teardown(() => appender.stop());
  const add = async (...records: readonly StoredRecord[]): Promise<void> => {
    for (const record of records) await appender.add(record);
  };
  /** Ids of what stands there, in order. */
  const stored = async (stream: string): Promise<string[]> => {
    const { state } = await operator.jsm.streams.info(stream);
    const found = await Promise.all(
      Array.from({ length: state.last_seq }, (_, i) => operator.jsm.streams.getMessage(stream, { seq: i + 1 })),
    );
    return found.map((message) => message?.header.get('Nats-Msg-Id') ?? '');
  };
  return { operator, appender, add, stored };
}

const record = (id: string, subject: string, size = 10): StoredRecord => ({
  ...{ seq: 1, at: 1_000, subject, messageId: id, headers: [] },
  data: bytes('x'.repeat(size)),
});
const conversations = Array.from({ length: 20 }, (_, i) => conversationSubject(conversation(`group-${i}`), 'm'));
const subjectIn = (stream: string): string =>
  conversations.find((subject) => logStreamOf(subject, topology.convStreams) === stream) ?? '';
const [zero, one] = [subjectIn('CONV_0'), subjectIn('CONV_1')];

t.test('each record stands in its stream, in the order of adding, once for each id', async (t) => {
  const { appender, add, stored, operator } = await scene(t);
  await operator.js.publish(zero, bytes('lately'), { msgID: 'z3' });
  const people = userSubject(user('alice'), 'account');
  const given = Array.from({ length: 2_500 }, (_, i) => [
    ...[record(`z${i}`, zero), record(`o${i}`, one, i % 500 === 7 ? 300_000 : 20)],
    ...(i % 100 === 0 ? [record(`u${i}`, people)] : []),
  ]).flat();
  await add(...given);
  await appender.settled();
  const idsOf = (letter: string) =>
    given.map(({ messageId }) => messageId).filter((id) => id.startsWith(letter) && id !== 'z3');
  t.same(await stored('CONV_0'), ['z3', ...idsOf('z')]);
  t.same(await stored('CONV_1'), idsOf('o'));
  t.same(await stored('USER'), idsOf('u'));
});

t.test('behind one that the log does not take nothing is stored, and whoever goes on begins there', async (t) => {
  const { operator, appender, add, stored } = await scene(t);
  await operator.jsm.streams.update('CONV_0', { max_msg_size: 5_000 });
  const many = Array.from({ length: 200 }, (_, i) => record(`m${i}`, zero, i === 50 ? 8_000 : 10));
  const adding = add(...many).then(() => appender.settled());
  await t.rejects(adding, { code: 'LOG_UNAVAILABLE', message: /the log did not take all events/ });
  t.same(
    await stored('CONV_0'),
    many.slice(0, 50).map(({ messageId }) => messageId),
  );
  await t.rejects(add(record('later', zero)), { code: 'LOG_UNAVAILABLE' });
});

t.test('what comes slowly is stored at once, also behind a while in which nothing came', async (t) => {
  const { appender, add, stored } = await scene(t);
  for (const id of ['a', 'b', 'c']) {
    await add(record(id, zero));
    // The batch is ended meanwhile.
    await setTimeout(2_200);
    t.equal((await stored('CONV_0')).at(-1), id);
  }
  await appender.settled();
  t.same(await stored('CONV_0'), ['a', 'b', 'c']);
});

t.test('a lease that is lost ends it, and nothing more is sent', async (t) => {
  const lost = new RookeryError('CONFLICT', 'another one has gone on');
  const lease = { isFresh: true, assured: () => Promise.reject(lost) };
  const { appender, add, stored } = await scene(t, lease);
  await add(record('a', zero));
  await setTimeout(20);
  lease.isFresh = false;
  const adding = add(record('b', zero), record('c', one)).then(() => appender.settled());
  await t.rejects(adding, { code: /^(CONFLICT|LOG_UNAVAILABLE)$/ });
  t.same([await stored('CONV_0'), await stored('CONV_1')], [['a'], []]);
});
