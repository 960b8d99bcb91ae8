/** Whom somebody means who types names. */
import t from 'tap';
import { namesIn, whoIs } from '../../src/web/model/who.ts';
import { user } from '../support/given.ts';

const called = [
  [user('bob'), 'Bob Keller'],
  [user('c1'), 'Chris'],
  [user('c2'), 'Chris'],
  [user('mallory'), 'dora'],
] as const;
const known = new Set(['bob', 'dora', 'mallory']);
const who = (words: string) => whoIs(namesIn(words), (one) => known.has(one), called);

t.test('names are parted at commas and lines, never at the spaces within them', async (t) => {
  t.same(namesIn(' Bob Keller, dora；陈晨、carol，dora;\nerin,, '), ['Bob Keller', 'dora', '陈晨', 'carol', 'erin']);
});

t.test('a name means who is called so; an id means its user, whoever calls themselves by it', async (t) => {
  t.same(who('Bob Keller, dora'), { users: ['bob', 'dora'], strangers: [], nobody: [] });
});

t.test('an id of which nothing is known is a stranger, what is neither id nor name is nobody', async (t) => {
  const tooLong = 'x'.repeat(1_000);
  t.same(who(`bob, Bob Kellar, ${tooLong}`), {
    users: ['bob', 'Bob Kellar'],
    strangers: ['Bob Kellar'],
    nobody: [tooLong],
  });
});

t.test('a name that two people have means neither', async (t) => {
  t.same(who('Chris'), { users: ['Chris'], strangers: ['Chris'], nobody: [] });
});
