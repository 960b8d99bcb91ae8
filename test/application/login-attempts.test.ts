import t from 'tap';
import { LoginAttempts } from '../../src/application/gateway/login-attempts.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { user } from '../support/given.ts';

const alice = user('alice');

/** The time to wait, 0 where the attempt may be made. */
function waitOf(attempts: LoginAttempts, who: typeof alice, address: string, nowMs = 0): number {
  try {
    attempts.begin(who, address, nowMs);
    return 0;
  } catch (error) {
    if (error instanceof RookeryError && error.code === 'TOO_MANY_ATTEMPTS') return error.retryAfterMs ?? -1;
    throw error;
  }
}

const waits = (attempts: LoginAttempts, count: number, who: (i: number) => typeof alice, from: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => waitOf(attempts, who(i), from(i)));

t.test('after five failures who tries on waits, longer each time, up to a quarter of an hour', async (t) => {
  const attempts = new LoginAttempts();
  t.same(
    waits(
      attempts,
      6,
      () => alice,
      () => 'here',
    ),
    [0, 0, 0, 0, 0, 1_000],
  );
  t.equal(waitOf(attempts, alice, 'here', 999), 1);
  let now = 1_000;
  const times = Array.from({ length: 12 }, () => {
    t.equal(waitOf(attempts, alice, 'here', now), 0);
    const wait = waitOf(attempts, alice, 'here', now);
    now += wait;
    return wait;
  });
  t.same(times.slice(0, 4), [2_000, 4_000, 8_000, 16_000]);
  t.equal(times.at(-1), 900_000);
});

t.test('nobody is locked out from elsewhere', async (t) => {
  const attempts = new LoginAttempts();
  waits(
    attempts,
    20,
    () => alice,
    () => 'there',
  );
  t.equal(waitOf(attempts, alice, 'here'), 0);
});

t.test('one address does not try all accounts, nor all addresses one account', async (t) => {
  const attempts = new LoginAttempts();
  const many = waits(
    attempts,
    51,
    (i) => user(`u${i}`),
    () => 'here',
  );
  t.same([many[49], many[50]], [0, 1_000]);
  const spread = waits(
    attempts,
    101,
    () => user('bob'),
    (i) => `from ${i}`,
  );
  t.same([spread[99], spread[100]], [0, 1_000]);
});

t.test('a right password clears the way, of the account at this address alone', async (t) => {
  const attempts = new LoginAttempts();
  waits(
    attempts,
    4,
    () => alice,
    () => 'here',
  );
  attempts.begin(alice, 'here', 0).succeeded();
  t.same(
    waits(
      attempts,
      5,
      () => alice,
      () => 'here',
    ),
    [0, 0, 0, 0, 0],
  );
  const own = new LoginAttempts();
  for (let i = 0; i < 49; i++) {
    own.begin(user(`u${i}`), 'here', 0);
    own.begin(user('mallory'), 'here', 0).succeeded();
  }
  t.same(
    waits(
      own,
      2,
      (i) => user(`v${i}`),
      () => 'here',
    ),
    [0, 1_000],
    'one’s own account wins no attempts on others',
  );
});

t.test('what found nothing out does not count', async (t) => {
  const attempts = new LoginAttempts();
  for (let i = 0; i < 100; i++) attempts.begin(alice, 'here', 0).withdraw();
  t.equal(waitOf(attempts, alice, 'here'), 0);
});
