/** What the appender sends, and when, if the log refuses or says nothing: against a connection whose answers the test gives. */
import type { Msg, MsgHdrs, NatsConnection, PublishOptions } from '@nats-io/nats-core';
import t, { type Test } from 'tap';
import { JetstreamConversationLog } from '../../src/adapters/jetstream/log/conversation-log.ts';
import { decodeLogEvent } from '../../src/protocol/log-event.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { eventually } from '../support/waiting.ts';

const topology = { convStreams: 1, inboxStreams: 1 };
const limits = { maxAppends: 100, maxAppendBytes: 1_048_576, appendDeadlineMs: 60_000 };
const room = conversation('room');
/** What was said in a turn of the event loop leaves at its end. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Ids of what was sent, in order; and answers on demand. */
async function scene(t: Test, { replicas = 1 } = {}) {
  const sent: string[] = [];
  const replyTo = new Map<string, string>();
  let answered: (error: null, message: Msg) => void = () => undefined;
  const connection = {
    publish(_subject: string, data: Uint8Array, { reply = '' }: PublishOptions) {
      const { id } = decodeLogEvent(data);
      sent.push(id);
      replyTo.set(id, reply);
    },
    subscribe(_subject: string, { callback }: { callback: typeof answered }) {
      answered = callback;
    },
    request: async () => ({ json: () => ({ config: { num_replicas: replicas } }) }),
    // Nothing ever happens to it.
    status: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) }),
  };
  const log = new JetstreamConversationLog(connection as unknown as NatsConnection, '_INBOX_test', topology, limits);
  // What the stream says of its replicas is heard before anything is said.
  await turn();
  const say = (id: string) =>
    log.append(room, {
      type: 'messageSent',
      by: user('alice'),
      id: msgId(id),
      contentType: 'text/plain',
      body: bytes(id),
    });
  const answer = (id: string, data: string, status?: number): void => {
    const headers = status === undefined ? undefined : ({ code: status } as MsgHdrs);
    answered(null, { subject: replyTo.get(id), data: bytes(data), headers } as Msg);
  };
  t.teardown(() => log.drain());
  return {
    sent,
    say,
    answer,
    stored: (id: string, seq: number) => answer(id, JSON.stringify({ stream: 'CONV_0', seq })),
  };
}

const passing: readonly [string, string, number?][] = [
  ['no responders', '', 503],
  [
    'an earlier sending that waits for its quorum',
    JSON.stringify({
      error: { code: 409, err_code: 10_158, description: 'duplicate message id is in process' },
      seq: 0,
    }),
  ],
  ['no room', JSON.stringify({ error: { code: 503, err_code: 10_047, description: 'insufficient storage' }, seq: 0 })],
];
for (const [name, data, status] of passing) {
  t.test(`${name}: the oldest goes alone, and the rest behind its answer`, async (t) => {
    const { sent, say, answer, stored } = await scene(t);
    const [a, b] = [say('a'), say('b')];
    await eventually(() => sent.length === 2, 'both leave');
    answer('a', data, status);
    const c = say('c');
    await turn();
    t.same(sent, ['a', 'b'], 'nothing new goes past one that was refused');
    await eventually(() => sent.length === 3, 'it is sent again');
    t.same(sent.slice(2), ['a']);
    answer('a', data, status);
    await eventually(() => sent.length === 4, 'and again');
    stored('a', 1);
    await eventually(() => sent.length === 6, 'those behind it');
    t.same(sent.slice(3), ['a', 'b', 'c']);
    stored('b', 2);
    stored('c', 3);
    t.same(
      (await Promise.all([a, b, c])).map(({ pos }) => pos),
      [1, 2, 3],
    );
  });
}

t.test('one that was never answered, although one behind it was, is sent again long before the deadline', async (t) => {
  const { sent, say, stored } = await scene(t);
  const lost = say('lost');
  const others: Promise<unknown>[] = [];
  const isAskedAgain = (): boolean => sent.filter((id) => id === 'lost').length > 1;
  let waiting: string | undefined;
  const anotherIsAnswered = async (): Promise<boolean> => {
    const id = `o${others.length}`;
    others.push(say(id));
    await eventually(
      () => sent.includes(id) || isAskedAgain(),
      'it leaves, or waits behind the one that is asked again',
    );
    if (sent.includes(id)) stored(id, 100 + others.length);
    else waiting = id;
    return isAskedAgain();
  };
  await eventually(anotherIsAnswered, 'it is sent again while others are answered');
  stored('lost', 1);
  t.equal((await lost).pos, 1);
  if (waiting !== undefined) {
    const behind = waiting;
    await eventually(() => sent.includes(behind), 'what waited leaves');
    stored(behind, 100 + others.length);
  }
  await Promise.all(others);
});

t.test(
  'of a sender one is on its way at a time where the log has replicas, and a refused one keeps its turn',
  async (t) => {
    const { sent, say, answer, stored } = await scene(t, { replicas: 3 });
    const said = ['a', 'b', 'c'].map(say);
    await turn();
    t.same(sent, ['a'], 'a leader that hands over could drop it, and its successor store the next');
    answer('a', '', 503);
    await eventually(() => sent.length === 2, 'it is sent again');
    stored('a', 1);
    await eventually(() => sent.length === 3, 'the next');
    t.same(sent, ['a', 'a', 'b']);
    stored('b', 2);
    await eventually(() => sent.length === 4, 'and the last');
    stored('c', 3);
    t.same(
      (await Promise.all(said)).map(({ pos }) => pos),
      [1, 2, 3],
    );
  },
);
