import fc from 'fast-check';
import t from 'tap';
import {
  directConversationId,
  directPair,
  parseConversationId,
  parseGroupId,
  parseUserId,
  type UserId,
  uuidv7TimeMs,
} from '../../src/domain/ids.ts';
import {
  idOfToken,
  partitionOfToken,
  partitionsOfRange,
  rangeOfPartition,
  tokenOf,
} from '../../src/protocol/subjects.ts';
import { msgId, user } from '../support/given.ts';

const anyId = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 128 })
  .filter((text) => parseUserId(text) !== undefined) as fc.Arbitrary<UserId>;

t.test('an id is 1 to 128 bytes of UTF-8', async (t) => {
  for (const good of ['a', '鸦巢', '🪺', 'a.b', '*', '>', ' ', 'x'.repeat(128), '字'.repeat(42)])
    t.equal(parseUserId(good), good);
  for (const bad of ['', 'x'.repeat(129), '字'.repeat(43), '\ud800', 7, null, undefined, {}, 'x'.repeat(1_000_000)]) {
    t.equal(parseUserId(bad), undefined);
  }
});

t.test('a token is injective, and safe in a subject', async () => {
  fc.assert(fc.property(anyId, (id) => idOfToken(tokenOf(id)) === id && /^[A-Za-z0-9_~-]+$/.test(tokenOf(id))));
});

t.test('what is no token of an id is not read as one', async (t) => {
  for (const bad of ['~YQ==', '~Y.Q', '~Y!', '~_w']) t.throws(() => idOfToken(bad), bad);
});

t.test('the direct conversation of two users is one, whoever asks, and tells them back', async () => {
  fc.assert(
    fc.property(anyId, anyId, (a, b) => {
      const id = directConversationId(a, b);
      const pair: readonly UserId[] = directPair(id) ?? [];
      return (
        id === directConversationId(b, a) && pair.includes(a) && pair.includes(b) && parseConversationId(id) === id
      );
    }),
  );
});

t.test('no two pairs share a direct conversation', async () => {
  fc.assert(
    fc.property(anyId, anyId, anyId, anyId, (a, b, c, d) => {
      const same =
        new Set([a, b]).size === new Set([c, d]).size && [a, b].every((id) => new Set<string>([c, d]).has(id));
      return (directConversationId(a, b) === directConversationId(c, d)) === same;
    }),
  );
});

t.test('a direct id that is not canonical is none, and groups may not pose as one', async (t) => {
  t.equal(parseConversationId('direct:bob:alice'), undefined);
  t.equal(parseConversationId('direct:alice'), undefined);
  t.equal(parseConversationId('direct:a:b:c'), undefined);
  t.equal(parseGroupId('direct:alice:bob'), undefined);
  t.equal(directConversationId(user('alice'), user('bob')), 'direct:alice:bob');
});

t.test('partitions fall into ranges without gap or overlap', async (t) => {
  for (const count of [1, 2, 3, 7, 256]) {
    for (let p = 0; p < 256; p++) {
      const [from, to] = partitionsOfRange(rangeOfPartition(p, count), count);
      t.ok(from <= p && p <= to, `partition ${p} of ${count}`);
    }
  }
  t.equal(partitionOfToken('alice'), partitionOfToken('alice'));
});

t.test('a UUIDv7 tells its time, nothing else does', async (t) => {
  t.equal(uuidv7TimeMs(msgId('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')), 1_645_557_742_000);
  t.equal(uuidv7TimeMs(msgId('017f22e2-79b0-4cc3-98c4-dc0c0c07398f')), undefined);
});
