/** Questions and answers between a gateway and read-model workers, over a real server with the rights of production. */
import { errors, type Msg } from '@nats-io/nats-core';
import t, { type Test } from 'tap';
import { MAX_UNREAD_ANSWER_BYTES } from '../../src/adapters/jetstream/between-processes/answer-line.ts';
import { JetstreamReadModelServer } from '../../src/adapters/jetstream/between-processes/read-models.ts';
import type { UserId } from '../../src/domain/ids.ts';
import type { ListPlace, ReadQuestion, ServedQueries } from '../../src/ports/read-queries.ts';
import type { HistoryEntry, HistoryPage } from '../../src/protocol/frames.ts';
import { packr } from '../../src/protocol/messagepack.ts';
import { querySubject } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { quiet, startNats } from '../support/nats.ts';
import { defaultLimits as limits, readModelsOf } from '../support/read-models.ts';
import { eventually } from '../support/waiting.ts';

const nats = await startNats();
t.teardown(() => nats.stop());
const alice = user('alice');
const room = conversation('rooks');
const models = readModelsOf(await nats.connect('gateway'));

const message: HistoryEntry = {
  type: 'message',
  n: 7,
  pos: 9,
  at: 5,
  by: alice,
  id: msgId('m'),
  contentType: 'text/plain',
  body: bytes('hi'),
};
const page: HistoryPage = { entries: [message], older: true, newer: false };

const badge = { unread: 3, conversations: 1, mutedUnread: 1, mutedConversations: 1 };

/** Knows one conversation, and remembers what it was asked. */
function queriesOf(asked: unknown[][], position = 9): ServedQueries {
  return {
    position,
    conversations(user, archived, after, limit) {
      asked.push([user, archived, after, limit]);
      return { conversations: [], more: false };
    },
    badge(user, now) {
      asked.push([user, now]);
      return badge;
    },
    changes(user, since, after, limit) {
      asked.push([user, since, after, limit]);
      return { conversations: [{ conversation: room, left: true, lastIndex: 7 }], more: true };
    },
    preferences: () => ({ pinned: true }),
    contacts: () => ({ contacts: [], more: false }),
    edits: () => ({ versions: [], older: true }),
    members: () => undefined,
    history(user, id, range, limit) {
      asked.push([user, id, range, limit]);
      return id === room ? page : undefined;
    },
    search(user, search, before, limit) {
      asked.push([user, search, before, limit]);
      return { hits: [{ conversation: room, entry: message, matches: [[0, 2]] }], searchedTo: 9 };
    },
    receipts() {
      throw new Error('the disk is gone');
    },
  };
}

async function worker(t: Test, lane: number): Promise<unknown[][]> {
  const asked: unknown[][] = [];
  const { nc } = await nats.connect('read-model-worker');
  const serving = new JetstreamReadModelServer(nc, quiet).serve(lane, queriesOf(asked));
  await nc.flush();
  t.teardown(() => serving.stop());
  return asked;
}

t.test('each question is answered with what the read model says, nothing included', async (t) => {
  const asked = await worker(t, 0);
  const after: ListPlace = { pinned: true, lastAt: 5, conversation: room };
  t.same(await models.ask(0, { type: 'conversations', user: alice, archived: true, after, limit: 7 }), {
    conversations: [],
    more: false,
  });
  t.same(await models.ask(0, { type: 'conversations', user: alice, archived: false, after: undefined, limit: 7 }), {
    conversations: [],
    more: false,
  });
  t.same(await models.ask(0, { type: 'badge', user: alice, now: 8 }), badge);
  const changes = { type: 'changes', user: alice, since: 3, after: room, limit: 2 } as const;
  t.same(await models.ask(0, changes), {
    conversations: [{ conversation: room, left: true, lastIndex: 7 }],
    more: true,
  });
  t.same(asked.pop(), [alice, 3, room, 2]);
  t.same(await models.ask(0, { type: 'preferences', user: alice, about: '' }), { pinned: true });
  const about = { user: alice, conversation: room, limit: 2 };
  t.same(await models.ask(0, { type: 'edits', ...about, n: 7, before: 9 }), { versions: [], older: true });
  t.equal(await models.ask(0, { type: 'members', ...about }), undefined);
  const range = { type: 'around', n: 7 } as const;
  t.same(await models.ask(0, { type: 'history', user: alice, conversation: room, range, limit: 2 }), page);
  const other = conversation('crows');
  t.equal(await models.ask(0, { type: 'history', user: alice, conversation: other, range, limit: 2 }), undefined);
  const search = { words: 'hi', conversation: room };
  const part = { hits: [{ conversation: room, entry: message, matches: [[0, 2]] }], searchedTo: 9 };
  t.same(await models.ask(0, { type: 'search', user: alice, search, before: 10, limit: 1 }), part);
  t.same(asked.pop(), [alice, search, 10, 1]);
  t.same(asked.slice(0, 2), [
    [alice, true, after, 7],
    [alice, false, undefined, 7],
  ]);
  t.same(asked.at(-1), [alice, other, range, 2]);
});

t.test('a question that needs more of the log waits until the worker has read it', async (t) => {
  const asked: unknown[][] = [];
  const queries = { ...queriesOf(asked), position: 9 };
  const { nc } = await nats.connect('read-model-worker');
  const serving = new JetstreamReadModelServer(nc, quiet).serve(4, queries);
  await nc.flush();
  t.teardown(() => serving.stop());
  const ask = (reached: number) => models.ask(4, { type: 'badge', user: user(String(reached)), now: 8 }, reached);
  const early = [ask(11), ask(10)];
  t.same(await ask(9), badge);
  t.same(asked, [[user('9'), 8]], 'the others are asked of nothing yet');
  queries.position = 10;
  t.same(await early[1], badge);
  queries.position = 12;
  t.same(await early[0], badge);
  t.same(
    asked.map(([who]) => who),
    [user('9'), user('10'), user('11')],
  );
  await t.rejects(ask(13), { code: 'READ_MODEL_UNAVAILABLE', retryable: true }, 'nobody waits for ever');
});

t.test('workers share the questions, and who stops gets none', async (t) => {
  const question: ReadQuestion = { type: 'badge', user: alice, now: 8 };
  const ask = (count: number) => Promise.all(Array.from({ length: count }, () => models.ask(1, question)));
  const { nc } = await nats.connect('read-model-worker');
  const leaving: unknown[][] = [];
  const serving = new JetstreamReadModelServer(nc, quiet).serve(1, queriesOf(leaving));
  const staying = await worker(t, 1);
  await nc.flush();
  await ask(100);
  t.equal(staying.length + leaving.length, 100, 'each question is asked once');
  t.ok(staying.length > 10 && leaving.length > 10, 'of both');
  serving.stop();
  await nc.flush();
  const before = leaving.length;
  await ask(20);
  t.equal(leaving.length, before);
});

t.test('what one keeps silent about, as it was killed, or cannot answer is asked again', async (t) => {
  const question: ReadQuestion = { type: 'badge', user: alice, now: 8 };
  const { nc } = await nats.connect('read-model-worker');
  let unanswered = 0;
  const dying = nc.subscribe(querySubject(4), {
    queue: 'read-model',
    callback: () => {
      unanswered += 1;
      dying.unsubscribe();
    },
  });
  await nc.flush();
  const answer = models.ask(4, question);
  await eventually(() => unanswered > 0, 'a question under way');
  const asked = await worker(t, 4);
  t.same(await answer, badge);
  t.same([unanswered, asked.length], [1, 1]);
  const inTrouble = {
    ...queriesOf([]),
    badge: () => {
      unanswered += 1;
      if (unanswered === 2) throw new Error('the disk is gone');
      return badge;
    },
  };
  new JetstreamReadModelServer(nc, quiet).serve(5, inTrouble);
  await nc.flush();
  t.same(await models.ask(5, question), badge);
  t.equal(unanswered, 3);
});

t.test('nobody there, or in trouble: it may be asked again', async (t) => {
  await worker(t, 2);
  const unavailable = { code: 'READ_MODEL_UNAVAILABLE', retryable: true };
  await t.rejects(models.ask(3, { type: 'badge', user: alice, now: 8 }), unavailable);
  await t.rejects(models.ask(2, { type: 'receipts', user: alice, conversation: room, n: 1 }), unavailable);
});

/** Takes questions and leaves them unanswered until it is told to answer. */
async function holding(t: Test, lane: number) {
  const { nc } = await nats.connect('read-model-worker');
  const held: Msg[] = [];
  const subscription = nc.subscribe(querySubject(lane), {
    queue: 'read-model',
    callback: (_, message) => void held.push(message),
  });
  await nc.flush();
  t.teardown(() => subscription.unsubscribe());
  const whoAsked = (message: Msg) => (packr.unpack(message.data) as { question: ReadQuestion }).question.user;
  const answer = (message: Msg) => message.respond(packr.pack({ answer: badge }));
  return { nc, held, whoAsked, answer };
}

t.test(
  'one user has so many questions under way, all have so many, and who waits has a turn before who asks much',
  async (t) => {
    const { held, whoAsked, answer } = await holding(t, 6);
    const own = readModelsOf(await nats.connect('gateway'));
    const ask = (who: string, now = 8) => own.ask(6, { type: 'badge', user: user(who), now });
    const many = Array.from({ length: 3 * limits.maxQuestions }, (_, i) => ask('greedy', i));
    const others = Array.from({ length: limits.maxQuestions }, (_, i) => ask(`other${i}`));
    await eventually(() => held.length === limits.maxQuestions, 'all turns taken');
    const taken = held.splice(0);
    t.equal(taken.filter((message) => whoAsked(message) === 'greedy').length, limits.maxQuestionsOfUser);
    // The greedy one lines up behind those that wait already.
    const [first, ...rest] = taken.sort((a, b) => Number(whoAsked(b) === 'greedy') - Number(whoAsked(a) === 'greedy'));
    if (!first) throw new Error('a question');
    answer(first);
    await eventually(() => held.length === 1, 'the next turn');
    t.match(held.map(whoAsked), [/^other/]);
    for (const message of rest) answer(message);
    const answering = setInterval(() => held.splice(0).forEach(answer), 1);
    t.teardown(() => clearInterval(answering));
    t.same(
      await Promise.all([...many, ...others]),
      [...many, ...others].map(() => badge),
      'all have been answered',
    );
  },
);

t.test('beyond so many that wait a user is refused, and others are not', async (t) => {
  const { held, answer } = await holding(t, 7);
  const own = readModelsOf(await nats.connect('gateway'));
  const ask = (who: string) => own.ask(7, { type: 'badge', user: user(who), now: 8 });
  const all = Array.from({ length: limits.maxQuestionsOfUser + limits.maxWaitingQuestionsOfUser }, () => ask('greedy'));
  await t.rejects(ask('greedy'), { code: 'OVERLOADED', retryAfterMs: 1_000 });
  const answering = setInterval(() => held.splice(0).forEach(answer), 1);
  t.teardown(() => clearInterval(answering));
  t.same(await ask('other'), badge);
  t.equal((await Promise.all(all)).length, all.length);
});

t.test(
  'the bounds are those that are configured, and each question is told of, with why it had no answer',
  async (t) => {
    const { held, answer } = await holding(t, 9);
    const told: [string, string | undefined][] = [];
    const few = { maxQuestions: 2, maxQuestionsOfUser: 1, maxWaitingQuestionsOfUser: 1, maxQuestionWaitMs: 200 };
    const own = readModelsOf(await nats.connect('gateway'), few, (type, ms, code) => {
      t.ok(ms >= 0);
      told.push([type, code]);
    });
    const ask = (who: string) => own.ask(9, { type: 'badge', user: user(who), now: 8 });
    const first = ask('greedy');
    const waits = ask('greedy');
    await t.rejects(ask('greedy'), { code: 'OVERLOADED' }, 'one waits already');
    await t.rejects(waits, { code: 'OVERLOADED' }, 'and has waited for long enough');
    const other = ask('other');
    await t.rejects(ask('third'), { code: 'OVERLOADED' }, 'two are under way');
    const answering = setInterval(() => held.splice(0).forEach(answer), 1);
    t.teardown(() => clearInterval(answering));
    t.same(await Promise.all([first, other]), [badge, badge]);
    t.same(told, [...Array(3).fill(['badge', 'OVERLOADED']), ['badge', undefined], ['badge', undefined]]);
  },
);

t.test('an answer that comes when nobody waits any more goes no further than the server', async (t) => {
  const { nc, held, answer } = await holding(t, 8);
  const asked = models.ask(8, { type: 'badge', user: alice, now: 8 });
  await eventually(() => held.length === 2, 'asked again');
  const [first, second] = held;
  if (!first || !second) throw new Error('two questions');
  answer(first);
  t.same(await asked, badge);
  t.equal(second.reply, first.reply);
  await eventually(
    async () =>
      nc.request(String(second.reply), 'late', { timeout: 100 }).then(
        () => false,
        (reason) => reason instanceof errors.RequestError && reason.isNoResponders(),
      ),
    'nobody listens to the inbox',
  );
});

t.test(
  'no more is answered than the server has read, once for each who asks, and nothing that nobody waits for',
  async (t) => {
    const { nc } = await nats.connect('read-model-worker');
    const asking = (await nats.connect('gateway')).nc;
    const body = bytes('x'.repeat(MAX_UNREAD_ANSWER_BYTES / 16));
    const asked: UserId[] = [];
    const history = (user: UserId): HistoryPage => {
      asked.push(user);
      return { ...page, entries: [{ ...message, body }] };
    };
    const flushed = Promise.withResolvers<void>();
    let flushes = 0;
    // The same connection, of which the test says when the server has read what was written.
    const held = new Proxy(nc, {
      get(target, name) {
        if (name === 'flush') return () => (++flushes === 1 ? flushed.promise : target.flush());
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const serving = new JetstreamReadModelServer(held, quiet).serve(9, { ...queriesOf([]), history });
    t.teardown(() => serving.stop());
    await nc.flush();
    const put = (who: string, reply: string, until: number): void => {
      const question = { type: 'history', user: user(who), conversation: room, range: { type: 'newest' }, limit: 1 };
      asking.publish(querySubject(9), packr.pack({ question, until }), { reply });
    };
    for (let i = 0; i < 40; i++) put('alice', `_INBOX_gateway.${i}`, Date.now() + 2_000);
    await eventually(() => flushes === 1, 'the bound');
    t.equal(asked.length, 16);
    // It may be late by the difference of two clocks.
    const until = Date.now() - 4_900;
    put('bob', '_INBOX_gateway.late', until);
    for (let i = 0; i < 3; i++) put('carol', '_INBOX_gateway.again', Date.now() + 2_000);
    await asking.flush();
    await eventually(() => Date.now() > until + 5_000, 'the time of bob is over');
    flushed.resolve();
    await eventually(() => asked.includes(user('carol')), 'the line goes on');
    put('dave', '_INBOX_gateway.last', Date.now() + 2_000);
    await eventually(() => asked.includes(user('dave')), 'the last one');
    t.same([asked.filter((who) => who === 'carol').length, asked.includes(user('bob'))], [1, false]);
  },
);
