/** The list of a user put together from lanes, and turned page by page. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { byPlace, placeOf, Reading } from '../../src/application/gateway/reading.ts';
import type { ListPlace, ReadModels, ReadQuestion } from '../../src/ports/read-queries.ts';
import type { ConversationPage, ListedConversation } from '../../src/protocol/frames.ts';
import { codeOf } from '../support/code-of.ts';
import { conversation, user } from '../support/given.ts';

const alice = user('alice');

const listed = (id: string, lastAt: number, pinned = false): ListedConversation =>
  ({
    conversation: conversation(id),
    lastAt,
    preferences: pinned ? { pinned } : {},
    last: { body: new Uint8Array(3) },
  }) as unknown as ListedConversation;
const inOrder = (one: ListedConversation, other: ListedConversation): number => byPlace(placeOf(one), placeOf(other));
const clock = { nowMs: () => 5 };

/** Lanes that hold these, and end a page early where `cut` says. */
function lanesOf(lanes: readonly (readonly ListedConversation[])[], cut: (size: number) => number): ReadModels {
  const sorted = lanes.map((lane) => lane.toSorted(inOrder));
  const isAfter = (place: ListPlace | undefined) => (one: ListedConversation) =>
    !place || byPlace(placeOf(one), place) > 0;
  return {
    async ask(lane: number, question: ReadQuestion) {
      if (question.type === 'badge')
        return { unread: 10 ** lane, conversations: 1, mutedUnread: 0, mutedConversations: 1 } as never;
      assert(question.type === 'conversations');
      const rest = sorted[lane]?.filter(isAfter(question.after)) ?? [];
      const conversations = rest.slice(0, Math.max(1, cut(question.limit)));
      return { conversations, more: conversations.length < rest.length } as never;
    },
  };
}

async function turned(reading: Reading, limit: number): Promise<ConversationPage[]> {
  const pages: ConversationPage[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await reading.conversations(alice, { type: 'conversations', limit, ...(cursor && { cursor }) });
    pages.push(page);
    if (!page.cursor) return pages;
    assert(page.conversations.length > 0 && page.conversations.length <= limit);
    cursor = page.cursor;
  }
}

t.test('page by page each conversation comes once and in order, wherever lanes end their pages', async () => {
  const ids = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }), { maxLength: 30 });
  const property = fc.asyncProperty(
    ids,
    fc.nat(3),
    fc.integer({ min: 1, max: 7 }),
    fc.nat(3),
    async (ids, extra, limit, spread) => {
      const all = ids.map((id, i) => listed(id, i % (spread + 1), i % 4 === 0));
      const lanes = Array.from({ length: extra + 1 }, (_, k) => all.filter((_, i) => i % (extra + 1) === k));
      const pages = await turned(
        new Reading(
          lanesOf(lanes, (size) => size - (ids.length % 3)),
          { convStreams: extra + 1, inboxStreams: 1 },
          clock,
        ),
        limit,
      );
      const got = pages.flatMap(({ conversations }) => conversations.map((one) => one.conversation));
      const utf8 = (one: ListedConversation): Buffer => Buffer.from(one.conversation);
      const pin = (one: ListedConversation): number => (one.preferences.pinned ? 0 : 1);
      const expected = all.toSorted(
        (a, b) => pin(a) - pin(b) || b.lastAt - a.lastAt || Buffer.compare(utf8(a), utf8(b)),
      );
      assert.deepEqual(
        got,
        expected.map((one) => one.conversation),
      );
    },
  );
  await fc.assert(property, { numRuns: 200 });
});

t.test('the badge is that of all lanes, with the first page alone', async (t) => {
  const lanes = [[listed('a', 1)], [listed('b', 2)]];
  const pages = await turned(
    new Reading(
      lanesOf(lanes, (size) => size),
      { convStreams: 2, inboxStreams: 1 },
      clock,
    ),
    1,
  );
  t.same(
    pages.map(({ badge }) => badge),
    [{ unread: 11, conversations: 2, mutedUnread: 0, mutedConversations: 2 }, undefined],
  );
});

t.test('how many have changed is the sum of all lanes, or unknown where one does not say', async (t) => {
  const totals: (number | undefined)[] = [2, 3];
  const models: ReadModels = {
    ask: async (lane: number) => ({ conversations: [], more: false, total: totals[lane] }) as never,
  };
  const reading = new Reading(models, { convStreams: 2, inboxStreams: 1 }, clock);
  const query = { type: 'changes', since: 0 } as const;
  t.equal((await reading.changes(alice, query)).total, 5);
  totals[1] = undefined;
  t.notOk('total' in (await reading.changes(alice, query)));
});

t.test('a cursor that is none of ours is bad input', async (t) => {
  const reading = new Reading(
    lanesOf([[]], (size) => size),
    { convStreams: 1, inboxStreams: 1 },
    clock,
  );
  for (const cursor of [
    '',
    '!',
    'AAAA',
    btoa('12'),
    btoa('1 12 '),
    btoa('2 12 a'),
    btoa('x a'),
    btoa('1 99999999999999999 a'),
    btoa('\xff\xff'),
  ]) {
    t.equal(await codeOf(reading.conversations(alice, { type: 'conversations', cursor })), 'BAD_REQUEST', cursor);
  }
  for (const cursor of ['', '!', btoa('direct:'), btoa('\xff')]) {
    t.equal(await codeOf(reading.changes(alice, { type: 'changes', since: 0, cursor })), 'BAD_REQUEST', cursor);
  }
});

t.test('an answer that must have reached a place asks each lane for its own', async (t) => {
  const asked: (readonly [lane: number, reached: number | undefined])[] = [];
  const models: ReadModels = {
    async ask(lane: number, question: ReadQuestion, reached?: number) {
      if (question.type === 'changes') asked.push([lane, reached]);
      return { conversations: [], more: false } as never;
    },
  };
  const reading = new Reading(models, { convStreams: 2, inboxStreams: 1 }, clock);
  const query = { type: 'changes', since: 0 } as const;
  await reading.answer(alice, query, '10.0');
  await reading.answer(alice, query);
  t.same(asked, [
    [0, 36],
    [1, 0],
    [0, undefined],
    [1, undefined],
  ]);
  for (const wrong of ['', '1', '1.2.3', '1.-2', '1.x y', `1.${'z'.repeat(12)}`]) {
    t.equal(await codeOf(reading.answer(alice, query, wrong)), 'BAD_REQUEST', wrong);
  }
});
