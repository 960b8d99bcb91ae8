/** The appender on a real nats-server: order, duplicates, the optimistic lock, and what it does while the server is away. */
import t from 'tap';
import { type AppenderLimits, JetstreamConversationLog } from '../../src/adapters/jetstream/log/conversation-log.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { type ConversationId, directConversationId } from '../../src/domain/ids.ts';
import { isUnreadable, type LogEvent } from '../../src/ports/conversation-log.ts';
import type { RookeryError } from '../../src/protocol/error-codes.ts';
import { convStreamOf } from '../../src/protocol/subjects.ts';
import { codeOf } from '../support/code-of.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { stopped } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const limits: AppenderLimits = { maxAppends: 20_000, maxAppendBytes: 64 * 1_048_576, appendDeadlineMs: 20_000 };
const topology = { convStreams: 2, inboxStreams: 1 };
const nats = await startNats({ topology });
t.teardown(() => nats.stop());

async function newLog(overrides: Partial<AppenderLimits> = {}) {
  const connection = await nats.connect('gateway');
  const { nc, inboxPrefix } = connection;
  return { ...connection, log: new JetstreamConversationLog(nc, inboxPrefix, topology, { ...limits, ...overrides }) };
}

const said = (by: string, id: string, text = id): ConversationEvent => ({
  type: 'messageSent',
  by: user(by),
  id: msgId(id),
  contentType: 'text/plain',
  body: bytes(text),
});

/** What the log holds of a conversation. */
async function stored(id: ConversationId): Promise<LogEvent[]> {
  const { nc, jsm, inboxPrefix } = await nats.connect('operator');
  const reader = new JetstreamLogReader({ nc, jsm, inboxPrefix, convStream: convStreamOf(id, topology) });
  const found: LogEvent[] = [];
  for await (const record of reader.read(1, await reader.lastPos())) {
    if (!isUnreadable(record) && record.conversation === id) found.push(record);
  }
  return found;
}

t.test(
  'what is appended stands in the log, in the order of the calls, in the stream of its conversation',
  async (t) => {
    const { log } = await newLog();
    const talks = Array.from({ length: 8 }, (_, k) => conversation(`talk-${k}`));
    const streams = new Set(talks.map((id) => convStreamOf(id, topology)));
    t.equal(streams.size, 2, 'both streams are used');
    const appended = await Promise.all(
      Array.from({ length: 400 }, (_, k) => log.append(talks[k % 8] as ConversationId, said('alice', `m${k}`))),
    );
    t.notOk(appended.some(({ duplicate }) => duplicate));
    for (const [which, id] of talks.entries()) {
      const events = await stored(id);
      t.same(
        events.map(({ event }) => event.id),
        Array.from({ length: 50 }, (_, k) => `m${8 * k + which}`),
      );
      t.same(
        events.map(({ pos }) => pos),
        appended.filter((_, k) => k % 8 === which).map(({ pos }) => pos),
        'the positions are those of the acks',
      );
    }
    await log.drain();
  },
);

t.test('the same id again is the same event, and says so', async (t) => {
  const { log } = await newLog();
  const id = conversation('again');
  const first = await log.append(id, said('alice', 'a'));
  t.same(await log.append(id, said('alice', 'a')), { pos: first.pos, duplicate: true });
  t.match(await log.append(id, said('bob', 'a')), { duplicate: false }, "another sender's id is another id");
  t.match(await log.append(conversation('else'), said('alice', 'a')), { duplicate: false }, 'so is one elsewhere');
  t.equal((await stored(id)).length, 2);
  await log.drain();
});

t.test('of two state events that expect the same past one is stored and the other is told', async (t) => {
  const { log } = await newLog();
  const id = conversation('group');
  const created: ConversationEvent = { type: 'groupCreated', by: user('o'), id: msgId('1'), name: 'g', members: [] };
  const { pos } = await log.append(id, created, { expectedStatePos: 0 });
  await log.append(id, said('o', 'a message changes no state'));
  const rename = (name: string): ConversationEvent => ({ type: 'groupRenamed', by: user('o'), id: msgId(name), name });
  const codes = await Promise.all(
    ['x', 'y'].map((name) => codeOf(log.append(id, rename(name), { expectedStatePos: pos }))),
  );
  t.same(codes.sort(), ['CONFLICT', 'accepted']);
  t.equal(await codeOf(log.append(id, { ...created, id: msgId('2') }, { expectedStatePos: 0 })), 'CONFLICT');
  await log.drain();
});

t.test('one id may block several people, and each of them once', async (t) => {
  const { log } = await newLog();
  const block = (whom: string) =>
    log.appendBlock({ by: user('alice'), id: msgId('b'), user: user(whom), blocked: true });
  const [first, other, again] = [await block('mallory'), await block('trudy'), await block('mallory')];
  t.same([first?.duplicate, other?.duplicate, again?.duplicate], [false, false, true]);
  t.equal(again?.pos, first?.pos);
  await log.drain();
});

t.test('kill -9 of the server mid-stream: everything acked is there, once, in order', async (t) => {
  const { log } = await newLog();
  const senders = ['s0', 's1', 's2', 's3'];
  const talks = senders.map((by) => directConversationId(user(by), user('receiver')));
  const EACH = 1_500;
  const acked = new Map<string, number>();
  let kills = 0;
  let sent = 0;
  const inFlight = new Set<Promise<void>>();
  for (let k = 0; k < EACH; k++) {
    for (const [which, by] of senders.entries()) {
      const appending = log
        .append(talks[which] as ConversationId, said(by, `${by}-${k}`))
        .then(({ pos, duplicate }) => {
          inFlight.delete(appending);
          acked.set(`${by}-${k}`, pos);
          if (duplicate) t.fail('a duplicate of our own sending is no duplicate');
        });
      inFlight.add(appending);
      sent += 1;
    }
    while (inFlight.size >= 400) await Promise.race(inFlight);
    if (acked.size > (kills + 1) * 1_000 && kills < 4) {
      kills += 1;
      nats.server.signal('SIGKILL');
      await nats.server.respawn();
    }
  }
  await Promise.all(inFlight);
  t.equal(kills, 4);
  t.equal(acked.size, sent);
  for (const [which, by] of senders.entries()) {
    const events = await stored(talks[which] as ConversationId);
    t.same(
      events.map(({ event }) => event.id),
      Array.from({ length: EACH }, (_, k) => `${by}-${k}`),
      'none lost, none doubled, none out of order',
    );
    t.ok(
      events.every(({ event, pos }) => acked.get(event.id) === pos),
      'each where its ack said',
    );
  }
  await log.drain();
});

t.test('while the server is away appends are bounded, refused with a time, and given up at the deadline', async (t) => {
  const { log } = await newLog({ maxAppends: 10, maxAppendBytes: 4_000, appendDeadlineMs: 600 });
  const id = conversation('away');
  await log.append(id, said('alice', 'before'));
  nats.server.signal('SIGSTOP');
  await stopped(nats.server.pid);
  const waiting = Array.from({ length: 10 }, (_, k) => codeOf(log.append(id, said('alice', `w${k}`))));
  const refusal = (await log.append(id, said('alice', 'one more')).catch((error: unknown) => error)) as RookeryError;
  t.equal(refusal.code, 'OVERLOADED');
  t.ok(refusal.retryAfterMs && refusal.retryAfterMs >= 20 && refusal.retryAfterMs <= 5_000);
  t.same(await Promise.all(waiting), Array(10).fill('LOG_UNAVAILABLE'));
  t.equal(log.inFlight, 0);
  const large = codeOf(log.append(id, said('alice', 'large', 'x'.repeat(4_000))));
  t.equal(
    await codeOf(log.append(id, said('alice', 'too much', 'x'.repeat(200)))),
    'OVERLOADED',
    'bytes are bounded too',
  );
  nats.server.signal('SIGCONT');
  t.equal(await large, 'accepted');
  const again = await log.append(id, said('alice', 'w3'));
  t.equal(
    (await stored(id)).filter(({ event }) => event.id === 'w3').length,
    1,
    'a retry of what was given up is safe',
  );
  t.ok(again.pos > 0);
  await log.drain();
});

t.test(
  'with an append that is given up go those behind it, or a sender who repeats it would find them before it',
  async (t) => {
    const { log } = await newLog({ appendDeadlineMs: 800 });
    const id = conversation('given up');
    await log.append(id, said('alice', 'before'));
    nats.server.signal('SIGSTOP');
    await stopped(nats.server.pid);
    const since = performance.now();
    const first = codeOf(log.append(id, said('alice', 'first')));
    await eventually(() => performance.now() - since > 500, 'some time goes by');
    const second = codeOf(log.append(id, said('alice', 'second')));
    t.equal(await first, 'LOG_UNAVAILABLE');
    t.equal(log.inFlight, 0, 'although the second waited for less');
    t.equal(await second, 'LOG_UNAVAILABLE');
    const again = ['first', 'second'].map((which) => log.append(id, said('alice', which)));
    nats.server.signal('SIGCONT');
    await Promise.all(again);
    t.same(
      (await stored(id)).map(({ event }) => event.id),
      ['before', 'first', 'second'],
    );
    await log.drain();
  },
);
