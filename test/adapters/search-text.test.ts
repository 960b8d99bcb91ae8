/** What is found and what is not, on SQLite's own index. */
import Database from 'better-sqlite3';
import fc from 'fast-check';
import t from 'tap';
import { indexedText, SearchTerms, senderToken } from '../../src/adapters/sqlite/search-text.ts';
import { TEXT_INDEX } from '../../src/adapters/sqlite/text-index.ts';

const db = new Database(':memory:');
db.exec(TEXT_INDEX);
t.teardown(() => db.close());
const put = db.prepare('INSERT INTO message_text (rowid, text) VALUES (1, ?)');
const clear = db.prepare("INSERT INTO message_text (message_text) VALUES ('delete-all')");
const match = db.prepare('SELECT count(*) FROM message_text WHERE message_text MATCH ?').pluck();

function finds(text: string, query: string): boolean {
  clear.run();
  put.run(indexedText(text));
  const terms = new SearchTerms(query);
  const [isNamed, isBegun] = [
    () => [
      ...new Set(
        indexedText(text)
          .toLowerCase()
          .match(/[^\s\p{P}]+/gu) ?? [],
      ),
    ],
    () => undefined,
  ].map(
    (words) =>
      !terms.isEmpty &&
      match.get(terms.expression((beginning) => words()?.filter((word) => word.startsWith(beginning)))) === 1,
  );
  if (isNamed !== isBegun)
    throw new Error(`${query} in ${text}: the words it begins, one by one, are not those the index finds`);
  if (!isNamed) return false;
  return !terms.mustBeChecked || terms.areIn(text);
}

t.test('words are found without case and accents, all of them, the last by its beginning', async (t) => {
  t.ok(finds('The Quick brown fox', 'quick fox'));
  t.ok(finds('Crème brûlée à la carte', 'creme BRU'));
  t.ok(finds('ΤΟ ΚΟΡΆΚΙ', 'κορακι'));
  t.ok(finds('see you at 18:30', '18:30'));
  t.notOk(finds('The quick brown fox', 'quick dog'));
  t.notOk(finds('The quick brown fox', 'qui fox'), 'only the last may be cut short');
  t.notOk(finds('The quick brown fox', 'fox qui '), 'nor that, where a space follows');
  t.ok(finds('The quick brown fox', 'fox quick '));
  t.notOk(finds('The quick brown fox', 'uick'));
});

t.test('Chinese, Japanese, Korean and Thai are found by any piece, also of one character', async (t) => {
  const text = '我们明天在北京大学见面';
  for (const query of ['北京', '大学', '北京大学', '见', '面', '我', '明天 见面']) t.ok(finds(text, query), query);
  for (const query of ['京北', '北大', '上海', '明天 上海']) t.notOk(finds(text, query), query);
  t.ok(finds('カラスは賢い鳥です', '賢い'));
  t.ok(finds('ｶﾗｽ', 'カラス'), 'half-width');
  t.notOk(finds('カラス', 'ガラス'), 'a voiced sound is another letter');
  t.ok(finds('학교에서 만나요', '학교'));
  t.ok(finds('เจอกันพรุ่งนี้', 'พรุ่งนี้'));
  t.ok(finds('用Rookery发消息吧', 'rookery 消息'));
  t.ok(finds('𠮷野家', '𠮷野'), 'beyond the basic plane');
  t.notOk(finds('京大は北京に', '北京大'), 'all pairs, in another order');
  t.notOk(finds('北京，京大', '北京大'), 'not in one run');
});

t.test('no query breaks out of its quotes, and what holds no letter finds nothing', async (t) => {
  for (const query of [
    '"',
    '*',
    'a" OR "b',
    'NEAR(a b)',
    'text:a',
    '^a',
    '(((',
    'a AND',
    '-a',
    "'; DROP TABLE",
    '\0a',
    '😀',
  ]) {
    t.doesNotThrow(() => finds('nothing of that', query), query);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (query) => {
      finds('nothing of that', query);
    }),
    { numRuns: 500 },
  );
  t.ok(new SearchTerms('😀 !?').isEmpty);
});

t.test('a text is found by each of its words', async () => {
  const word = fc.constantFrom('rook', 'Crow', '乌鸦', '北京大学', 'カラス', '까마귀', 'été', 'x9');
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), fc.constantFrom(' ', '', ', '), (words, between) => {
      const text = words.join(between);
      if (between === '') return finds(text, text);
      return words.every((one) => finds(text, one));
    }),
    { numRuns: 300 },
  );
});

t.test('no text looks like the marks of a conversation or a sender', async (t) => {
  for (const text of ['_c1', 'x _c1 y', '_c1é', '_u0']) t.equal(indexedText(text).includes('_'), false, text);
  t.ok(finds('snake_case', 'case'));
  t.equal(finds('', '_c1'), false);
  t.not(senderToken('alice'), senderToken('Alice'));
  t.equal(new Set(Array.from({ length: 10_000 }, (_, i) => senderToken(`user-${i}`))).size, 10_000);
});

t.test('matches are shown where they stand', async (t) => {
  const shown = (query: string, text: string): string[] =>
    new SearchTerms(query).matchesIn(text).map(([from, to]) => text.slice(from, to));
  t.same(shown('fox qui', 'The Quick brown fox'), ['Quick', 'fox']);
  t.same(shown('qui ', 'The Quick brown fox'), []);
  t.same(shown('brulee', 'Crème brûlée'), ['brûlée']);
  t.same(shown('北京', '北京大学在北京'), ['北京', '北京']);
  t.same(shown('大学 京大', '北京大学'), ['京大学'], 'what overlaps is one');
  t.same(shown('rookery', '用Rookery吧'), ['Rookery']);
  t.equal(shown('a', 'a '.repeat(1_000)).length, 32);
});
