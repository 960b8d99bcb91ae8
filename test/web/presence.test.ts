/** Whose presence is asked for: of people on the screen alone, in bounds, by tabs that are seen. */
import t, { type Test } from 'tap';
import type { UserId } from '../../src/sdk/index.ts';
import type { Ask } from '../../src/web/link/link.ts';
import { MAX_WATCHED, MAX_WATCHING_TABS, Watched } from '../../src/web/link/watched.ts';
import { MAX_SHOWN, Presence } from '../../src/web/state/presence.ts';
import { user } from '../support/given.ts';
import { eventually } from '../support/waiting.ts';

const many = (count: number): UserId[] => Array.from({ length: count }, (_, i) => user(`user-${i}`));

/** Answers each question when it is told to; until then no other one may come. */
function asked() {
  const sets: (readonly UserId[])[] = [];
  let answer: () => void = () => undefined;
  const ask = <Result>(question: Ask): Promise<Result> => {
    if (question.type === 'watch') sets.push(question.users);
    return new Promise((resolve) => {
      answer = () => resolve(undefined as Result);
    });
  };
  return { sets, answer: () => answer(), presence: new Presence({ ask }) };
}

const askedFor = (t: Test, sets: readonly (readonly UserId[])[], count: number): Promise<boolean> => {
  t.ok(sets.length <= count, 'no more questions than that');
  return eventually(() => sets.length === count, `${count} questions`);
};

t.test(
  'those who come onto the screen together are asked for together; who leaves it is not asked for any more',
  async (t) => {
    const { sets, answer, presence } = asked();
    const hides = many(3).map((one) => presence.shows(one));
    const hideAgain = presence.shows(user('user-0'));
    await askedFor(t, sets, 1);
    t.same([...(sets[0] ?? [])].sort(), many(3));
    hides[0]?.();
    hides[1]?.();
    hides[1]?.();
    answer();
    await askedFor(t, sets, 2);
    t.same([...(sets[1] ?? [])].sort(), ['user-0', 'user-2'], 'who is shown in another place still is');
    hideAgain();
    answer();
    await askedFor(t, sets, 3);
    t.same(sets[2], ['user-2']);
  },
);

t.test(
  'one question waits at a time, however much is scrolled without a connection; the last state is asked for then',
  async (t) => {
    const { sets, answer, presence } = asked();
    presence.shows(user('first'));
    await askedFor(t, sets, 1);
    for (const one of many(MAX_SHOWN + 10)) presence.shows(one);
    answer();
    await askedFor(t, sets, 2);
    t.equal(sets[1]?.length, MAX_SHOWN);
    t.ok(sets[1]?.includes(user(`user-${MAX_SHOWN + 9}`)), 'those who came last');
    t.notOk(sets[1]?.includes(user('first')));
  },
);

t.test('a tab that nobody sees asks for nobody, at once, and for the same again when it is seen', async (t) => {
  const { sets, answer, presence } = asked();
  presence.shows(user('bob'));
  await askedFor(t, sets, 1);
  answer();
  await null;
  await new Promise(setImmediate);
  presence.turn(false);
  t.same(sets, [['bob'], []], 'it may be closed in the next moment');
  answer();
  presence.turn(true);
  await askedFor(t, sets, 3);
  t.same(sets[2], ['bob']);
});

t.test('what is told of others is not kept, and nothing is known without a connection', async (t) => {
  const { presence } = asked();
  const hide = presence.shows(user('bob'));
  presence.heard([
    { user: user('bob'), online: true },
    { user: user('carol'), online: true },
  ]);
  t.match(presence.of(user('bob')), { online: true });
  t.equal(presence.of(user('carol')), undefined);
  presence.lost();
  t.equal(presence.of(user('bob')), undefined);
  presence.heard([{ user: user('bob'), online: false, lastSeen: 5 }]);
  hide();
  presence.shows(user('dave'));
  presence.heard([{ user: user('dave'), online: false }]);
  t.equal(presence.of(user('bob')), undefined);
});

t.test('the tabs of a user share one set, in which those come first who spoke last', async (t) => {
  const watched = new Watched();
  t.same(watched.shows('one', [user('bob'), user('carol')]), ['bob', 'carol']);
  t.same(watched.shows('two', [user('carol'), user('dave')]), ['carol', 'dave', 'bob']);
  t.same(watched.shows('one', []), ['carol', 'dave'], 'a tab that shows nobody counts no more');
  const all = watched.shows('one', many(MAX_WATCHED + 1));
  t.equal(all.length, MAX_WATCHED);
  for (let i = 0; i < MAX_WATCHING_TABS - 1; i++) watched.shows(`tab ${i}`, [user(`of-${i}`)]);
  t.equal(watched.shows('one', [user('bob')]).includes(user('dave')), false, 'tabs that were killed are forgotten');
});
