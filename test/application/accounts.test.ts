/** What a gateway knows of accounts, whatever the order in which it hears of them. The log is told what to answer, and when. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { Accounts } from '../../src/application/gateway/accounts.ts';
import {
  type Account,
  type AccountCommand,
  type AccountEvent,
  evolveAccount,
  initialAccount,
} from '../../src/domain/account.ts';
import type { AccountFollower, AccountLog, AccountNews, StoredAccount } from '../../src/ports/account-log.ts';
import { decodeAccountEvent, encodeAccountEvent } from '../../src/protocol/account-event.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { codeOf } from '../support/code-of.ts';
import { device, msgId, user } from '../support/given.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const alice = user('alice');
const named = (name: string): Account => ({
  ...initialAccount(alice),
  state: 'active',
  profile: { name, avatar: '', fields: {} },
});
const stored = (name: string, pos: number): StoredAccount => ({ account: named(name), pos });
const nameOf = ({ profile }: Account): string => profile.name;

async function scene() {
  const loads: ((stored: StoredAccount) => void)[] = [];
  const appended: { readonly after: Account; readonly expectedPos: number }[] = [];
  /** Answers to appends, in order: a code refuses. */
  const answers: ('CONFLICT' | 'stored')[] = [];
  let tell: (news: AccountNews) => void = () => undefined;
  let lose: (reason: string) => void = () => undefined;
  const log: AccountLog = {
    load: () => new Promise((resolve) => loads.push(resolve)),
    read: () => new Promise((resolve) => loads.push(resolve)),
    append: async (_event, after, expectedPos) => {
      appended.push({ after, expectedPos });
      if (answers.shift() === 'CONFLICT') throw new RookeryError('CONFLICT', 'another change came between');
      return { pos: expectedPos + 1, duplicate: false };
    },
    password: async () => undefined,
    setPassword: async () => ({ pos: 0, duplicate: false }),
  };
  const follower: AccountFollower = {
    follow: async (onNews, onLost) => {
      [tell, lose] = [onNews, onLost];
      return { stop: async () => undefined };
    },
  };
  const accounts = new Accounts({ log, follower, clock: { nowMs: () => 0 }, isOpen: true, logger: quiet });
  await accounts.start();
  /** The log's answer when it is asked for the `i`-th time. */
  const loaded = async (i: number, account: StoredAccount): Promise<void> => {
    const answer = await eventually(() => loads[i], 'the log is asked');
    answer(account);
  };
  const hears = (heard: StoredAccount) => tell({ user: alice, pos: heard.pos, read: () => heard });
  return { accounts, loads, loaded, appended, answers, hears, loses: () => lose('gone') };
}

t.test('what was heard while it was read counts, if it is newer', async (t) => {
  const { accounts, loads, hears } = await scene();
  const [one, other] = [accounts.get(alice), accounts.get(alice)];
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(loads.length, 1, 'read once for all who ask');
  hears(stored('newer', 7));
  loads[0]?.(stored('older', 5));
  t.same((await Promise.all([one, other])).map(nameOf), ['newer', 'newer']);
  t.equal(accounts.peek(alice)?.profile.name, 'newer');
  hears(stored('late', 6));
  t.equal(accounts.peek(alice)?.profile.name, 'newer', 'and what is older does not');
  hears(stored('newest', 8));
  t.equal(accounts.peek(alice)?.profile.name, 'newest');
});

t.test('nothing is kept of who nobody has asked for', async (t) => {
  const { accounts, hears } = await scene();
  hears(stored('x', 1));
  t.equal(accounts.peek(alice), undefined);
});

t.test('when the log of people is lost what was known is forgotten', async (t) => {
  const { accounts, loads, loses } = await scene();
  const asked = accounts.get(alice);
  await new Promise((resolve) => setImmediate(resolve));
  loads[0]?.(stored('x', 1));
  await asked;
  loses();
  t.equal(accounts.peek(alice), undefined);
  await accounts.stop();
});

t.test('a change is decided again on what came between, and one that was stored unheard is known', async (t) => {
  const { accounts, loaded, appended, answers } = await scene();
  const change = { type: 'changeProfile', by: 'user', id: msgId('c1'), profile: { avatar: 'a' } } as const;
  answers.push('CONFLICT', 'stored');
  const changing = accounts.change(alice, change);
  await loaded(0, stored('one', 1));
  await loaded(1, stored('two', 2));
  t.match(await changing, { pos: 3, duplicate: false });
  t.same(
    appended.map(({ after, expectedPos }) => [after.profile.name, after.profile.avatar, expectedPos]),
    [
      ['one', 'a', 1],
      ['two', 'a', 2],
    ],
  );
  const again = accounts.change(alice, change);
  await loaded(2, { account: appended[1]?.after as Account, pos: 3 });
  t.match(await again, { pos: 3, duplicate: true });
  t.equal(appended.length, 2);
});

t.test('who is always overtaken is told so', async (t) => {
  const { accounts, loaded, answers } = await scene();
  answers.push(...new Array(6).fill('CONFLICT'));
  const changing = codeOf(
    accounts.change(alice, { type: 'changeProfile', by: 'user', id: msgId('c1'), profile: { avatar: 'a' } }),
  );
  for (let i = 0; i < 6; i++) await loaded(i, stored('x', i));
  t.equal(await changing, 'CONFLICT');
});

t.test(
  'changes of an account at one gateway do not stand in each other’s way, and one that is refused in nobody’s',
  async (t) => {
    const { accounts, loaded, appended } = await scene();
    const add = (k: number): AccountCommand => ({
      ...({ type: 'addDevice', by: 'user', kind: 'phone', name: '', issuedAt: 1 } as const),
      ...{ id: msgId(`d${k}`), device: device(`d${k}`), addedAt: k },
    });
    const changing = [
      accounts.change(alice, add(0)),
      codeOf(accounts.change(alice, { type: 'reactivateAccount', by: 'backend', id: msgId('r') })),
      ...[1, 2, 3, 4, 5, 6, 7].map((k) => accounts.change(alice, add(k))),
    ];
    for (let i = 0; i < changing.length; i++) {
      await loaded(i, { account: appended.at(-1)?.after ?? named('alice'), pos: appended.length });
    }
    t.equal((await Promise.all(changing))[1], 'NO_CHANGE');
    t.same(
      appended.map(({ expectedPos }) => expectedPos),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
  },
);

t.test('an account that is kept takes what it is counted for', async (t) => {
  const count = 2_000;
  const { accounts, loads } = await scene();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const bytes = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const get = async (name: string): Promise<void> => {
    const before = initialAccount(user(name));
    const says = { device: device(crypto.randomUUID()), kind: 'phone', name: '', addedAt: 1_700_000_000_000 } as const;
    const id = msgId(crypto.randomUUID());
    const event: AccountEvent = { type: 'deviceAdded', by: 'user', id, issuedAt: 0, ...says };
    const { after } = decodeAccountEvent(before.user, encodeAccountEvent(event, evolveAccount(before, event)));
    const asked = accounts.get(before.user);
    await new Promise((resolve) => setImmediate(resolve));
    loads.pop()?.({ account: after, pos: 1 });
    await asked;
  };
  await get('first');
  const before = bytes();
  for (let i = 0; i < count; i++) await get(`user-${i}`);
  const each = (bytes() - before) / count;
  t.ok(each < 1_200, `${Math.round(each)} bytes`);
  t.ok(accounts.peek(user('user-0')));
});
