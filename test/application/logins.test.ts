/** The login without its HTTP: that what it takes tells nothing of who is there. */
import t from 'tap';
import { type Derive, ScryptPasswords } from '../../src/adapters/system/scrypt-passwords.ts';
import { Logins, type LoginsParts } from '../../src/application/gateway/logins.ts';
import type { UserId } from '../../src/domain/ids.ts';
import { codeOf } from '../support/code-of.ts';
import { newsOfTwo, noNews } from '../support/counted-news.ts';
import { user } from '../support/given.ts';

/** What was asked of the log and computed, in order. */
type Work = readonly unknown[];

const RIGHT = 'the right one';
const derived = (password: string): Buffer => Buffer.alloc(32, password === RIGHT ? 2 : 1);
const hash = await new ScryptPasswords(async (password) => derived(password)).hash(RIGHT);
const known = user('alice');

function scene(work: Work[], counted = noNews): Logins {
  const derive: Derive = async (password, salt, costBits, r, p) => {
    work.push(['scrypt', password, salt.length, costBits, r, p]);
    return derived(password);
  };
  const parts = {
    log: {
      password: async (who: UserId) => {
        work.push(['password']);
        return who === known ? { hash, pos: 7 } : undefined;
      },
    },
    accounts: {
      get: async () => {
        work.push(['account']);
        return { state: 'none' };
      },
    },
    hasher: new ScryptPasswords(derive),
    clock: { nowMs: () => 0 },
    monotonicMs: () => 0,
    counted,
    issue: async () => 'token',
    tokenLifetimeMs: 1_000,
  };
  return new Logins(parts as unknown as LoginsParts);
}

t.test(
  'a wrong password, and a user with none or without an account, cost the same work in the same order',
  async (t) => {
    const works = await Promise.all(
      [known, user('no-password'), user('nobody')].map(async (who) => {
        const work: Work[] = [];
        t.equal(await codeOf(scene(work).login(who, 'a guess', 'here')), 'LOGIN_REFUSED');
        return work;
      }),
    );
    t.same(works[0], [['password'], ['scrypt', 'a guess', 16, 14, 8, 5]]);
    t.same(works[1], works[0]);
    t.same(works[2], works[0]);
  },
);

t.test('who waits for a slot waits whoever they ask for, and beyond the queue all are refused', async (t) => {
  const logins = scene([]);
  const codes = await Promise.all(
    Array.from({ length: 40 }, (_, i) => codeOf(logins.login(i % 2 ? known : user(`u${i}`), 'a guess', `from ${i}`))),
  );
  const refused = codes.map((code) => (code === 'OVERLOADED' ? 1 : 0));
  t.equal(
    refused.reduce<number>((sum, one) => sum + one, 0),
    6,
    '2 at work and 32 waiting are taken',
  );
  t.same(new Set(codes), new Set(['LOGIN_REFUSED', 'OVERLOADED']));
});

t.test('a guess that failed at one gateway counts at the other, and one that was not looked at does not', async (t) => {
  const [one, other] = newsOfTwo().map((news) => scene([], news));
  const guess = (logins: Logins | undefined) => codeOf(logins?.login(known, 'a guess', 'here') ?? Promise.resolve());
  t.same(
    [await guess(one), await guess(other), await guess(one), await guess(other), await guess(one)],
    Array(5).fill('LOGIN_REFUSED'),
  );
  t.same([await guess(one), await guess(other)], ['TOO_MANY_ATTEMPTS', 'TOO_MANY_ATTEMPTS']);
  t.equal(await codeOf(other?.login(known, 'a guess', 'elsewhere') ?? Promise.resolve()), 'LOGIN_REFUSED');
});

t.test('who comes in at one gateway has failed at none', async (t) => {
  const [one, other] = newsOfTwo().map((news) => scene([], news)) as [Logins, Logins];
  const guess = () => codeOf(one.login(known, 'a guess', 'here'));
  for (let round = 0; round < 3; round++) {
    t.same([await guess(), await guess(), await guess()], Array(3).fill('LOGIN_REFUSED'));
    t.match(await one.login(known, RIGHT, 'here'), { token: 'token' });
  }
  t.match(await other.login(known, RIGHT, 'here'), { token: 'token' });
});
