/** What ports/account-log.ts promises, on a real nats-server, with the gateway's own rights. */
import t, { type Test } from 'tap';
import { JetstreamAccountFollower, JetstreamAccountLog } from '../../src/adapters/jetstream/log/account-log.ts';
import { JetstreamConversationLog } from '../../src/adapters/jetstream/log/conversation-log.ts';
import {
  type Account,
  type AccountCommand,
  type AccountEvent,
  changeKey,
  decideAccount,
  evolveAccount,
  initialAccount,
} from '../../src/domain/account.ts';
import type { AccountNews, StoredAccount } from '../../src/ports/account-log.ts';
import { decodeAccountEvent } from '../../src/protocol/account-event.ts';
import { userSubject } from '../../src/protocol/subjects.ts';
import { codeOf } from '../support/code-of.ts';
import { msgId, user } from '../support/given.ts';
import { quiet, startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const LIMITS = { maxAppends: 1_000, maxAppendBytes: 10_000_000, appendDeadlineMs: 10_000 };
const alice = user('alice .*>陈');

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { nc, js, jsm, inboxPrefix } = await nats.connect('gateway');
  const appender = new JetstreamConversationLog(nc, inboxPrefix, nats.topology, LIMITS);
  t.teardown(() => appender.drain());
  const follower = new JetstreamAccountFollower({ nc, js, jsm, log: quiet });
  return { nats, log: new JetstreamAccountLog({ nc, jsm }, appender), follower };
}

const created: AccountCommand = {
  type: 'createAccount',
  by: 'backend',
  id: msgId('c0'),
  kind: 'person',
  profile: { name: 'Alice', fields: { city: 'Riga' } },
};
const named = (name: string, id = name): AccountCommand => ({
  type: 'changeProfile',
  by: 'user',
  id: msgId(id),
  profile: { name },
});

function decided(before: Account, command: AccountCommand): [AccountEvent, Account] {
  const { event, refusal } = decideAccount(before, command, { at: 0, isOpen: false });
  if (!event) throw new Error(refusal);
  return [event, evolveAccount(before, event)];
}

t.test('an account is read as its newest event left it, and who has none is known by nothing', async (t) => {
  const { log } = await scene(t);
  t.same(await log.load(alice), { account: initialAccount(alice), pos: 0 });
  t.same(await log.read(alice), { account: initialAccount(alice), pos: 0 });
  const [first, after] = decided(initialAccount(alice), created);
  const { pos } = await log.append(first, after, 0);
  t.same(await log.load(alice), { account: after, pos });
  const [second, later] = decided(after, named('Alicia'));
  const next = await log.append(second, later, pos);
  t.same(await log.load(alice), { account: later, pos: next.pos });
  t.same(await log.read(alice), { account: later, pos: next.pos });
});

t.test(
  'of two changes decided on the same account the second is refused; the same one again is known by the account',
  async (t) => {
    const { log } = await scene(t);
    const [event, after] = decided(initialAccount(alice), created);
    const { pos } = await log.append(event, after, 0);
    const [other, otherwise] = decided(initialAccount(alice), { ...created, id: msgId('c1') });
    t.equal(await codeOf(log.append(other, otherwise, 0)), 'CONFLICT');
    t.equal(await codeOf(log.append(event, after, 0)), 'CONFLICT');
    t.same(await log.load(alice), { account: after, pos });
    t.same(after.recent, [changeKey(event)]);
  },
);

t.test('the log tells what happened: folded anew it gives the same account', async (t) => {
  const { log, nats } = await scene(t);
  let stored: StoredAccount = await log.load(alice);
  for (const command of [created, named('A'), named('B'), named('C')]) {
    const [event, after] = decided(stored.account, command);
    stored = { account: after, pos: (await log.append(event, after, stored.pos)).pos };
  }
  const { jsm } = await nats.connect('operator');
  let folded = initialAccount(alice);
  for (let seq = 1; seq <= stored.pos; seq++) {
    const message = await jsm.streams.getMessage('USER', { seq });
    folded = evolveAccount(folded, decodeAccountEvent(alice, message?.data ?? new Uint8Array()).event);
  }
  t.same(folded, stored.account);
});

t.test('a password is one per user, apart from the account', async (t) => {
  const { log } = await scene(t);
  t.equal(await log.password(alice), undefined);
  const { pos } = await log.setPassword(alice, msgId('p1'), '$scrypt$one', 0);
  t.same(await log.password(alice), { hash: '$scrypt$one', pos });
  t.equal(await codeOf(log.setPassword(alice, msgId('p2'), '$scrypt$two', 0)), 'CONFLICT');
  await log.setPassword(alice, msgId('p3'), '$scrypt$three', pos);
  t.match(await log.password(alice), { hash: '$scrypt$three' });
  t.equal(await log.password(user('bob')), undefined);
  t.equal((await log.load(alice)).pos, 0, 'it is no account');
});

t.test(
  'a follower hears of every change of an account from then on, also across a restart of the server',
  async (t) => {
    const { log, follower, nats } = await scene(t);
    const [event, after] = decided(initialAccount(alice), created);
    const { pos } = await log.append(event, after, 0);
    const heard: AccountNews[] = [];
    const lost: string[] = [];
    const following = await follower.follow(
      (news) => heard.push(news),
      (reason) => lost.push(reason),
    );
    t.teardown(() => following.stop());
    await log.setPassword(alice, msgId('p1'), '$scrypt$one', 0);
    const [second, later] = decided(after, named('Alicia'));
    const next = await log.append(second, later, pos);
    await eventually(() => heard.length === 1, 'the change is heard of');
    t.match(heard[0], { user: alice, pos: next.pos });
    t.same(heard[0]?.read(), { account: later, pos: next.pos, cause: 'profileChanged' });
    nats.server.signal('SIGKILL');
    await nats.server.respawn();
    const [third, latest] = decided(later, named('Ali'));
    const last = await log.append(third, latest, next.pos);
    await eventually(() => heard.length === 2, 'the change after the restart is heard of');
    t.equal(heard[1]?.pos, last.pos);
    t.same(lost, []);
  },
);

t.test('what nobody of ours has written is told from an account', async (t) => {
  const { log, nats } = await scene(t);
  const { js } = await nats.connect('operator');
  await js.publish(userSubject(alice, 'account'), 'nonsense');
  t.equal(await codeOf(log.load(alice)), 'EVENT_UNREADABLE');
  t.equal(await codeOf(log.read(alice)), 'EVENT_UNREADABLE');
});
