/** A message's text in pieces: nothing is lost, and nothing in it becomes more than text or a safe link. */
import fc from 'fast-check';
import t from 'tap';
import { inOneLine, isOnlyEmoji, mentionsIn, piecesOf, withoutControls } from '../../src/web/model/markup.ts';

t.test('links, code, blocks and names are found', async (t) => {
  t.same(piecesOf('see https://a.example/x?y=1, or `rm -rf` @bob!', ['bob']), [
    { type: 'text', text: 'see ' },
    { type: 'link', text: 'https://a.example/x?y=1', href: 'https://a.example/x?y=1' },
    { type: 'text', text: ', or ' },
    { type: 'code', text: 'rm -rf' },
    { type: 'text', text: ' ' },
    { type: 'mention', text: '@bob' },
    { type: 'text', text: '!' },
  ]);
  t.same(piecesOf('```js\nlet a = "`";\n```after'), [
    { type: 'block', text: 'let a = "`";' },
    { type: 'text', text: 'after' },
  ]);
  t.match(piecesOf('(https://en.wikipedia.org/wiki/Rook_(bird))'), [
    {},
    { type: 'link', text: 'https://en.wikipedia.org/wiki/Rook_(bird))' },
  ]);
  t.match(piecesOf('看 https://a.example。好'), [{}, { text: 'https://a.example' }, { text: '。好' }]);
});

t.test('only http and https become links, and none that shows another name than it opens', async (t) => {
  for (const text of [
    'javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'https://bank.example@evil.example/',
    'vbscript:x',
    '<a href="javascript:alert(1)">x</a>',
    'http://',
  ]) {
    t.same(
      piecesOf(text).filter(({ type }) => type === 'link'),
      [],
      text,
    );
  }
});

t.test('what stands behind an address is not looked at again and again', async (t) => {
  const brackets = ')'.repeat(64_000);
  t.match(piecesOf(`https://a.example/${brackets}a ${brackets}`), [
    { type: 'link', text: `https://a.example/${brackets}a` },
    { type: 'text', text: ` ${brackets}` },
  ]);
  t.match(piecesOf(`https://a.example/${brackets}`), [
    { type: 'link', text: 'https://a.example/' },
    { type: 'text', text: brackets },
  ]);
});

t.test('all of a text without code comes out again, in order', async () => {
  const bits = fc.constantFrom('@bob', ' ', 'https://a.example/', '.', 'x', '@', '<b>', '好', '\n', '))', '@all');
  fc.assert(
    fc.property(fc.array(bits, { maxLength: 30 }), (parts) => {
      const text = parts.join('');
      return (
        piecesOf(text, ['bob'], true)
          .map((piece) => piece.text)
          .join('') === text
      );
    }),
  );
});

t.test('who is named is found by the longest name', async (t) => {
  t.same(mentionsIn('@anna and @ann, @陈晨你好 @nobody', ['ann', 'anna', '陈晨']), {
    mentions: ['anna', 'ann', '陈晨'],
    mentionsAll: false,
  });
  t.same(mentionsIn('hello @all', []), { mentions: [], mentionsAll: true });
  t.same(mentionsIn('@所有人 开会', []), { mentions: [], mentionsAll: true });
  t.same(mentionsIn('a@bob.example', ['bob']).mentions.length <= 1, true);
});

t.test('a few emoji alone are shown large', async (t) => {
  for (const text of ['👍', '🪺🥐', '👩‍👩‍👧‍👦', '🇱🇻', '❤️ 👍🏽']) t.ok(isOnlyEmoji(text), text);
  for (const text of ['', ' ', 'hi 👍', '1', '👍'.repeat(7), '12:30']) t.notOk(isOnlyEmoji(text), text);
});

t.test('what turns directions or hides is not shown', async (t) => {
  t.equal(withoutControls('a\u202eb\u0000c\nd\u2066'), 'abc\nd');
  t.equal(inOneLine('  a\n\n b\u202e '), 'a b');
});
