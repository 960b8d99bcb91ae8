import t from 'tap';
import {
  type Account,
  type AccountCommand,
  botTokenOf,
  changeKey,
  decideAccount,
  entryRefusalOf,
  evolveAccount,
  initialAccount,
  MAX_BOT_TOKENS,
  MAX_PROFILE_FIELDS,
  MAX_RECENT,
} from '../../src/domain/account.ts';
import { msgId, user } from '../support/given.ts';

const CLOSED = { at: 1_000, isOpen: false };
const OPEN = { at: 1_000, isOpen: true };

type Part = AccountCommand extends infer C
  ? C extends unknown
    ? Omit<C, 'id' | 'by'> & { by?: 'user' }
    : never
  : never;
let ids = 0;
const command = (part: Part): AccountCommand => ({ id: msgId(`c${++ids}`), by: 'backend', ...part }) as AccountCommand;

/** The account after commands that must all be accepted. */
function given(...commands: AccountCommand[]): Account {
  return commands.reduce(
    (account, one) => {
      const { event, refusal } = decideAccount(account, one, CLOSED);
      if (!event) throw new Error(`given ${one.type} was refused: ${refusal}`);
      return evolveAccount(account, event);
    },
    initialAccount(user('alice')),
  );
}

const when = (account: Account, one: AccountCommand, circumstances = CLOSED) =>
  decideAccount(account, one, circumstances).refusal ?? 'accepted';

const create = (kind: 'person' | 'bot' = 'person') =>
  command({ type: 'createAccount', kind, profile: { name: 'Alice', fields: { city: 'Riga' } } });
const rename = (name: string) => command({ type: 'changeProfile', by: 'user', profile: { name } });
const token = (id: string, expiresAt = 0, createdAt = 0) => ({ id, name: 'ci', hash: 'h', createdAt, expiresAt });

t.test('an account is created once', async (t) => {
  const created = given(create());
  t.match(created, {
    state: 'active',
    kind: 'person',
    profile: { name: 'Alice', avatar: '', fields: { city: 'Riga' } },
  });
  t.equal(when(created, create()), 'ACCOUNT_EXISTS');
});

t.test('who has no account changes nothing where one is required; else the change begins it', async (t) => {
  const nobody = initialAccount(user('bob'));
  t.equal(when(nobody, rename('Bob')), 'ACCOUNT_UNKNOWN');
  t.equal(when(nobody, rename('Bob'), OPEN), 'accepted');
  t.match(evolveAccount(nobody, decideAccount(nobody, rename('Bob'), OPEN).event as never), {
    state: 'active',
    profile: { name: 'Bob' },
  });
});

t.test(
  'of a profile what is left out stays, a field that is null goes, and the order of changes does not show',
  async (t) => {
    const one = given(
      create(),
      command({ type: 'changeProfile', profile: { fields: { city: null, b: '2', a: '1' } } }),
    );
    t.same(one.profile, { name: 'Alice', avatar: '', fields: { a: '1', b: '2' } });
    const other = given(
      create(),
      command({ type: 'changeProfile', profile: { fields: { a: '1', city: null } } }),
      command({ type: 'changeProfile', profile: { fields: { b: '2' } } }),
    );
    t.equal(JSON.stringify(one.profile), JSON.stringify(other.profile));
    t.equal(when(one, rename('Alice')), 'NO_CHANGE');
  },
);

t.test('a profile has room for its limit of fields and no more', async (t) => {
  const fields = (count: number, from = 0) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${from + i}`, 'x']));
  const change = (fields: Record<string, string | null>) => command({ type: 'changeProfile', profile: { fields } });
  const full = given(create(), change({ ...fields(MAX_PROFILE_FIELDS), city: null }));
  t.equal(when(full, change({ more: 'x' })), 'TOO_MANY_FIELDS');
  t.equal(when(full, change({ more: 'x', f0: null })), 'accepted');
  const many = command({ type: 'createAccount', kind: 'person', profile: { fields: fields(MAX_PROFILE_FIELDS + 1) } });
  t.equal(when(initialAccount(user('bob')), many), 'TOO_MANY_FIELDS');
});

t.test('settings: what is left out stays', async (t) => {
  const quietHours = { from: 1_320, to: 420, timeZone: 'Asia/Shanghai' };
  const set = given(
    create(),
    command({ type: 'changeSettings', by: 'user', settings: { quietHours } }),
    command({ type: 'changeSettings', by: 'user', settings: { messagesFrom: 'contacts' } }),
  );
  t.same(set.settings, { quietHours, lastSeenFor: 'everybody', messagesFrom: 'contacts' });
  t.equal(when(set, command({ type: 'changeSettings', settings: { messagesFrom: 'contacts' } })), 'NO_CHANGE');
});

t.test('who is deactivated changes nothing; a backend may, and lets them in again', async (t) => {
  const away = given(create(), command({ type: 'deactivateAccount' }));
  t.equal(when(away, rename('x')), 'ACCOUNT_DEACTIVATED');
  t.equal(when(away, command({ type: 'changeProfile', profile: { name: 'x' } })), 'accepted');
  t.equal(when(away, command({ type: 'deactivateAccount' })), 'NO_CHANGE');
  const back = evolveAccount(away, decideAccount(away, command({ type: 'reactivateAccount' }), CLOSED).event as never);
  t.equal(when(back, rename('x')), 'accepted');
  t.equal(when(back, command({ type: 'reactivateAccount' })), 'NO_CHANGE');
});

t.test('signing out only moves on', async (t) => {
  const signOut = (before: number) => command({ type: 'signOut', by: 'user', before });
  const out = given(create(), signOut(500));
  t.equal(out.tokensFrom, 500);
  t.equal(when(out, signOut(500)), 'NO_CHANGE');
  t.equal(when(out, signOut(501)), 'accepted');
});

t.test('bots have tokens of their own, a bounded number, and expired ones make room', async (t) => {
  t.equal(when(given(create()), command({ type: 'addBotToken', token: token('t') })), 'NOT_A_BOT');
  const adds = Array.from({ length: MAX_BOT_TOKENS }, (_, i) =>
    command({ type: 'addBotToken', token: token(`t${i}`, i === 0 ? 2_000 : 0) }),
  );
  const full = given(create('bot'), ...adds);
  const another = command({ type: 'addBotToken', token: token('another', 0, 2_000) });
  t.equal(when(full, another), 'TOO_MANY_TOKENS');
  t.equal(when(full, another, { at: 2_000, isOpen: false }), 'accepted');
  const renewed = evolveAccount(full, decideAccount(full, another, { at: 2_000, isOpen: false }).event as never);
  t.equal(renewed.botTokens.length, MAX_BOT_TOKENS);
  t.equal(botTokenOf(full, 't0', 1_999)?.id, 't0');
  t.equal(botTokenOf(full, 't0', 2_000), undefined, 'expired');
  const revoked = given(create('bot'), ...adds, command({ type: 'revokeBotToken', token: 't1' }));
  t.equal(botTokenOf(revoked, 't1', 0), undefined, 'revoked');
  t.equal(when(revoked, command({ type: 'revokeBotToken', token: 't1' })), 'NO_CHANGE');
});

t.test('the newest changes are known by their keys, a bounded number', async (t) => {
  const names = Array.from({ length: MAX_RECENT + 1 }, (_, i) => rename(`n${i}`));
  const account = given(create(), ...names);
  t.same(account.recent, names.slice(1).map(changeKey));
});

t.test(
  'who comes in: not the deactivated, nor with what was revoked, nor without an account where one is required',
  async (t) => {
    const enters = (account: Account, credential: Parameters<typeof entryRefusalOf>[1], circumstances = CLOSED) =>
      entryRefusalOf(account, credential, circumstances) ?? 'enters';
    const nobody = initialAccount(user('bob'));
    t.equal(enters(nobody, { issuedAt: 0 }), 'ACCOUNT_UNKNOWN');
    t.equal(enters(nobody, { issuedAt: 0 }, OPEN), 'enters');
    t.equal(enters(nobody, { botToken: 't' }, OPEN), 'TOKEN_REVOKED');
    const out = given(create(), command({ type: 'signOut', before: 500 }));
    t.equal(enters(out, { issuedAt: 499 }), 'TOKEN_REVOKED');
    t.equal(enters(out, { issuedAt: 500 }), 'enters');
    const bot = given(create('bot'), command({ type: 'addBotToken', token: token('t', 2_000) }));
    t.equal(enters(bot, { botToken: 't' }), 'enters');
    t.equal(enters(bot, { botToken: 't' }, { at: 2_000, isOpen: false }), 'TOKEN_REVOKED');
    const away = evolveAccount(bot, decideAccount(bot, command({ type: 'deactivateAccount' }), CLOSED).event as never);
    t.equal(enters(away, { botToken: 't' }), 'ACCOUNT_DEACTIVATED');
  },
);
