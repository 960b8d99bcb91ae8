/** What a browser keeps of what was seen. */
import 'fake-indexeddb/auto';
import t, { type Test } from 'tap';
import type { Entry, HistoryEntry } from '../../src/sdk/index.ts';
import { Cache, MAX_KEPT_ENTRIES } from '../../src/web/cache/cache.ts';
import { again, ended, type Outgoing } from '../../src/web/model/outgoing.ts';
import { newRow } from '../../src/web/model/rows.ts';
import { conversation, user } from '../support/given.ts';

const room = conversation('team');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const entry = (n: number, fields: object = {}): HistoryEntry =>
  ({
    ...{ type: 'message', n, pos: 10 * n, at: n, by: user('bob'), id: `id-${n}`, contentType: 'text/plain' },
    ...{ body: bytes(`m${n}`), ...fields },
  }) as HistoryEntry;
const textsOf = (entries: readonly HistoryEntry[]): string[] =>
  entries.map((one) => (one.type === 'message' ? new TextDecoder().decode(one.body) : one.type));

let count = 0;
async function opened(t: Test): Promise<Cache> {
  const cache = await Cache.open(`test ${++count}`);
  t.teardown(() => cache.close());
  return cache;
}

t.test('entries come back in their order, of their conversation alone', async (t) => {
  const cache = await opened(t);
  await cache.putEntries(room, [entry(2), entry(10), entry(1)]);
  await cache.putEntries(conversation('other'), [entry(3)]);
  t.same(textsOf(await cache.entries(room, 1, 10)), ['m1', 'm2', 'm10']);
  t.same(textsOf(await cache.entries(room, 2, 9)), ['m2']);
  t.same([...(await cache.newest())].sort(), [
    ['other', 3],
    ['team', 10],
  ]);
});

t.test(
  'an edit of a kept message is on the disk when its promise resolves; an older version never comes back',
  async (t) => {
    const cache = await opened(t);
    t.equal(cache.keep(room, entry(1) as Entry), undefined, 'what its index would miss is not waited for');
    const edit = { type: 'messageEdited', pos: 50, at: 9, by: 'bob', id: 'e', target: { by: 'bob', id: 'id-1' } };
    await cache.keep(room, { ...edit, contentType: 'text/plain', body: bytes('better') } as unknown as Entry);
    t.same(textsOf(await cache.entries(room, 1, 1)), ['better']);
    await cache.putEntries(room, [entry(1)]);
    t.same(textsOf(await cache.entries(room, 1, 1)), ['better']);
    const recall = { ...edit, type: 'messageRecalled', pos: 60 } as unknown as Entry;
    await cache.keep(room, recall);
    t.match(await cache.entries(room, 1, 1), [{ recalled: { pos: 60 } }]);
  },
);

t.test('of a conversation the newest are kept, up to a bound', async (t) => {
  const cache = await opened(t);
  await cache.putEntries(room, [entry(1), entry(2), entry(999)]);
  t.equal(cache.keep(room, entry(MAX_KEPT_ENTRIES + 1_000) as Entry), undefined);
  const edit = { type: 'messageRecalled', pos: 1, at: 1, by: 'bob', id: 'x', target: { by: 'bob', id: 'none' } };
  await cache.keep(room, edit as unknown as Entry);
  t.same(textsOf(await cache.entries(room, 1, 1_000)), []);
  t.equal((await cache.newest()).get(room), MAX_KEPT_ENTRIES + 1_000);
});

const outgoing = (fields: Partial<Outgoing> = {}): Outgoing => ({
  clientMsgId: 'm-1',
  conversation: room,
  target: { conversation: room },
  content: { contentType: 'text/plain', body: bytes('hello') },
  at: 1,
  state: 'pending',
  ...fields,
});

t.test('of two tabs that send a refused message again one succeeds', async (t) => {
  const cache = await opened(t);
  await cache.putOutgoing(ended(outgoing(), { code: 'MUTED', message: 'muted' }));
  const results = await Promise.all(
    ['m-2', 'm-3'].map((id) => cache.replaceOutgoing('m-1', (one) => again(one, id, 2))),
  );
  t.equal(results.filter(Boolean).length, 1);
  t.match(await cache.outgoing(), [{ clientMsgId: 'm-2', state: 'pending' }]);
  t.equal((await cache.outgoing()).length, 1);
});

t.test('what was not refused is not sent again', async (t) => {
  const cache = await opened(t);
  await cache.putOutgoing(outgoing());
  t.equal(await cache.replaceOutgoing('m-1', (one) => again(one, 'm-2', 2)), undefined);
  t.equal(ended(outgoing(), { code: 'CLIENT_CLOSED', message: '' }).state, 'pending', 'it goes out at the next start');
  t.match(ended(outgoing(), { pos: 7, at: 9 }), { state: 'sent', at: 9 });
  await cache.deleteOutgoing('m-1');
  t.same(await cache.outgoing(), []);
});

t.test('rows and what else is kept outlive the page', async (t) => {
  const cache = await opened(t);
  await cache.putRows([{ ...newRow(room), name: 'Team' }]);
  await cache.putAbout('since', 17);
  await cache.close();
  const again = await Cache.open(`test ${count}`);
  t.match(await again.rows(), [{ conversation: 'team', name: 'Team' }]);
  t.equal(await again.about('since'), 17);
  await again.close();
});
