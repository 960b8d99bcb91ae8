import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import type { UserId } from '../../src/domain/ids.ts';
import { MAX_SEARCHED_CHARS, MAX_SEARCHED_ENTRIES, type Search } from '../../src/ports/read-queries.ts';
import type { SearchHit } from '../../src/protocol/frames.ts';
import { bytes } from '../support/given.ts';
import { alice, bob, cuts, history, people, RUNS, rooms, WORDS, withModel, written } from '../support/histories.ts';
import { log, says } from '../support/logged.ts';
import { NaiveReadModel } from '../support/naive-read-model.ts';

/** All pages, two hits each. */
function found(model: SqliteReadModel, user: UserId, search: Search): SearchHit[] {
  const all: SearchHit[] = [];
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const { hits, searchedTo } = model.search(user, search, before, 2);
    assert(hits.length <= 2);
    all.push(...hits);
    if (searchedTo === 0) return all;
    assert(searchedTo < before);
    before = searchedTo;
  }
}

/** A word is there, or a longer one that begins with it. */
const isIn = (text: string, word: string): boolean =>
  /^[a-z]+$/i.test(word) ? ` ${text.toLowerCase()}`.includes(` ${word.toLowerCase()}`) : text.includes(word);

function expected(
  naive: NaiveReadModel,
  user: UserId,
  { words: word, conversation, by, since = 0, until = 1e12 }: Search,
) {
  const all = rooms.flatMap((room) =>
    (naive.timelines.get(room) ?? []).map((message) => ({ room, seen: naive.inbox(user, room).visible, ...message })),
  );
  // What was edited after they had left is found neither by its words of now nor by those of then.
  return all
    .filter(({ n, seen, versions }) => seen.get(n)?.at(-1) === versions.at(-1))
    .filter(({ shown }) => shown && isIn(Buffer.from(shown.body).toString(), word))
    .filter(({ room }) => conversation === undefined || room === conversation)
    .filter(({ sender }) => by === undefined || sender === by)
    .filter(({ at }) => at >= since && at <= until)
    .sort((a, b) => b.pos - a.pos);
}

t.test('a search finds what a user may see now, all of it and nothing else, the newest first', async () => {
  const search = fc.record(
    {
      words: fc.constantFrom(...WORDS),
      conversation: fc.constantFrom(...rooms),
      by: fc.constantFrom(...people),
      since: fc.integer({ min: 990, max: 1_060 }),
      until: fc.integer({ min: 990, max: 1_060 }),
    },
    { requiredKeys: ['words'] },
  );
  const property = fc.property(
    history,
    cuts,
    fc.array(search, { minLength: 4, maxLength: 4 }),
    (events, cuts, searches) => {
      withModel((model) => {
        written(model, events, cuts);
        const naive = new NaiveReadModel(events);
        for (const one of searches) {
          for (const user of people) {
            const hits = found(model, user, one);
            assert.deepEqual(
              hits.map(({ conversation, entry }) => [conversation, entry.pos]),
              expected(naive, user, one).map(({ room, pos }) => [room, pos]),
            );
            for (const { matches } of hits) assert(matches.length > 0);
          }
        }
      });
    },
  );
  fc.assert(property, RUNS);
});

t.test('of much that is not theirs a page looks at so much, says how far, and goes on from there', async (t) => {
  const [room] = rooms;
  if (!room) throw new Error('a room');
  const message = says(alice, undefined, { body: bytes('rook') });
  const count = MAX_SEARCHED_ENTRIES + 10;
  const events = log(
    [room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [] }],
    ...Array.from({ length: count }, () => [room, message] as const),
    [room, { type: 'membersAdded', by: alice, members: [bob] }],
    ...Array.from({ length: 3 }, () => [room, message] as const),
  );
  withModel((model) => {
    written(
      model,
      events,
      Array.from({ length: 20 }, (_, i) => i * 5_000),
    );
    const page = model.search(bob, { words: 'rook' }, Number.MAX_SAFE_INTEGER, 50);
    t.equal(page.hits.length, 3);
    t.equal(page.searchedTo, events.length - MAX_SEARCHED_ENTRIES, 'the joining itself is no match');
    t.same(model.search(bob, { words: 'rook' }, page.searchedTo, 50), { hits: [], searchedTo: 0 });
  });
});

t.test(
  'of long messages that hold the pairs of a word and not the word a page reads so many characters, and goes on from there',
  async (t) => {
    const [room] = rooms;
    if (!room) throw new Error('a room');
    const chars = 16_384;
    const pieces = '京大。北京。';
    const almost = says(alice, undefined, { body: bytes(pieces + '的'.repeat(chars - pieces.length)) });
    const inOnePage = MAX_SEARCHED_CHARS / chars;
    const events = log(
      [room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [] }],
      [room, says(alice, undefined, { body: bytes('北京大学') })],
      ...Array.from({ length: inOnePage + 3 }, () => [room, almost] as const),
    );
    withModel((model) => {
      written(model, events);
      const page = model.search(alice, { words: '北京大' }, Number.MAX_SAFE_INTEGER, 50);
      t.same(page, { hits: [], searchedTo: events.length - inOnePage + 1 }, 'empty, and says how far');
      const next = model.search(alice, { words: '北京大' }, page.searchedTo, 50);
      t.same([next.hits.map(({ entry }) => entry.pos), next.searchedTo], [[2], 0]);
    });
  },
);

t.test('short ones count for what getting them costs', async (t) => {
  const [room] = rooms;
  if (!room) throw new Error('a room');
  const almost = says(alice, undefined, { body: bytes('京大。北京。') });
  const inOnePage = MAX_SEARCHED_CHARS / 64;
  const events = log(
    [room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [] }],
    ...Array.from({ length: inOnePage + 3 }, () => [room, almost] as const),
  );
  withModel((model) => {
    written(model, events);
    const page = model.search(alice, { words: '北京大' }, Number.MAX_SAFE_INTEGER, 50);
    t.same(page, { hits: [], searchedTo: events.length - inOnePage + 1 });
  });
});

t.test('the beginning of few words or of many finds all of them, and no others', async (t) => {
  const [room] = rooms;
  if (!room) throw new Error('a room');
  const texts = [
    'nest',
    ...Array.from({ length: 70 }, (_, i) => `nest${i}`),
    'net',
    'nes',
    'neſt',
    '鸦雀',
    '鸦',
    '雀鸦',
  ];
  const events = log(
    [room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [] }],
    ...texts.map((text) => [room, says(alice, undefined, { body: bytes(text) })] as const),
  );
  withModel((model) => {
    written(model, events);
    const textsFound = (words: string): string[] =>
      found(model, alice, { words }).map(({ entry }) => ('body' in entry ? Buffer.from(entry.body).toString() : ''));
    const begun = (beginning: string) => texts.filter((text) => text.replace('ſ', 's').startsWith(beginning)).reverse();
    for (const few of ['nest6', 'net', 'nest69']) t.same(textsFound(few), begun(few), few);
    for (const many of ['nest', 'nes', 'ne']) t.same(textsFound(many), begun(many), many);
    t.same(textsFound('nestling'), []);
    t.same(textsFound('鸦'), ['雀鸦', '鸦', '鸦雀']);
  });
});

t.test('what is no text, encrypted, or no UTF-8 is not searched', async (t) => {
  const [room] = rooms;
  if (!room) throw new Error('a room');
  const events = log(
    [room, { type: 'groupCreated', by: alice, name: 'Rooks', members: [] }],
    [room, says(alice, undefined, { body: bytes('rook'), contentType: 'image/png' })],
    [room, says(alice, undefined, { body: bytes('rook'), keyId: 'k1' })],
    [room, says(alice, undefined, { body: new Uint8Array([0xff, ...bytes(' rook')]) })],
    [room, says(alice, undefined, { body: bytes('rook') })],
  );
  withModel((model) => {
    written(model, events);
    t.same(
      found(model, alice, { words: 'rook' }).map(({ entry }) => entry.n),
      [5],
    );
    t.same(found(model, alice, { words: '?!' }), []);
  });
});
