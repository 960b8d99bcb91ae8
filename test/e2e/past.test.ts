/** Conversations, history and receipts as an app asks for them: SDK, gateway, read-model worker, on a real log. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { jsonCodec } from '../../src/protocol/codec.ts';
import { type Client, createClient, type HistoryEntry } from '../../src/sdk/index.ts';
import { refusalOf } from '../support/code-of.ts';
import { RawClient, startTestGateway, type TestGateways, tokenFor } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const gateways = await startTestGateway();
t.teardown(() => gateways.stop());

async function startWorker({ nats }: TestGateways, folder = 'read-model') {
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  const stateDir = join(nats.dataDir, folder);
  return startReadModelWorker({ nats: access, topology: nats.topology, logLevel: 'silent', stateDir }, quiet);
}

async function connected(t: Test, name: string): Promise<Client> {
  const url = `${gateways.gateway.address.replace('http', 'ws')}/v1/ws`;
  const client = await createClient({ url, token: () => tokenFor(name), device: 'd' });
  client.start();
  t.teardown(() => client.close());
  return client;
}

const textOf = (entry: HistoryEntry): string =>
  entry.type === 'message' ? new TextDecoder().decode(entry.body) : entry.type;

t.test('without a worker a query says so, and what is sent is delivered all the same', async (t) => {
  const alice = await connected(t, 'alice');
  await alice.sendText({ to: 'zoe' }, 'nobody reads this').durable;
  await t.rejects(alice.conversations(), { code: 'READ_MODEL_UNAVAILABLE' } as never);
});

t.test('list, unread, mentions, history and receipts, the same on every device', async (t) => {
  const worker = await startWorker(gateways);
  t.teardown(() => worker.drain());
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => connected(t, name)));
  if (!alice || !bob || !carol) throw new Error('three clients');
  await alice.createGroup('rooks', 'Rooks', ['bob']).durable;
  for (let i = 2; i <= 61; i++) await alice.sendText({ conversation: 'rooks' }, `m${i}`).durable;
  await alice.sendText({ to: 'bob' }, 'psst').durable;

  const list = await eventually(async () => {
    const page = await bob.conversations().catch(() => undefined);
    return page?.conversations.length === 2 && page.conversations[0]?.kind === 'direct' ? page : undefined;
  }, 'bob’s list has both');
  t.same(
    list.conversations.map(({ conversation, unread }) => [conversation, unread]),
    [
      ['direct:alice:bob', 1],
      ['rooks', 60],
    ],
  );
  t.same(list.badge, { unread: 61, conversations: 2, mutedUnread: 0, mutedConversations: 0 });
  t.equal(textOf(list.conversations[0]?.last as HistoryEntry), 'psst');
  const first = await bob.conversations({ limit: 1 });
  const second = await bob.conversations({ limit: 1, cursor: first.cursor as string });
  t.same(
    [...first.conversations, ...second.conversations].map(({ conversation }) => conversation),
    ['direct:alice:bob', 'rooks'],
  );
  t.equal(second.cursor, undefined);

  const newest = await bob.history('rooks');
  t.same(
    [newest.entries.length, textOf(newest.entries.at(-1) as HistoryEntry), newest.older, newest.newer],
    [50, 'm61', true, false],
  );
  const older = await bob.history('rooks', { before: newest.entries[0]?.n as number });
  t.same(older.entries.map(textOf), ['groupCreated', ...Array.from({ length: 10 }, (_, i) => `m${i + 2}`)]);
  t.same((await bob.history('rooks', { around: 30, limit: 3 })).entries.map(textOf), ['m29', 'm30', 'm31']);
  t.equal((await bob.history('rooks', { since: 0, limit: 1 })).entries[0]?.n, 1);

  await bob.markRead('rooks', 60).durable;
  const read = await eventually(async () => {
    const receipts = await alice.receipts('rooks', 60);
    return receipts.count === 1 ? receipts : undefined;
  }, 'alice sees that bob has read');
  t.match(read, { memberCount: 2, readers: [{ user: 'bob', upTo: 60 }] });
  t.equal((await alice.receipts('rooks', 61)).count, 0);
  t.match((await bob.conversations()).badge, { unread: 2, conversations: 2 });

  t.match(await bob.edits('rooks', 61), { versions: [{ contentType: 'text/plain' }], older: false });
  const members = await bob.members('rooks', { limit: 1 });
  t.match(members, { members: [{ user: 'alice', role: 'owner', since: 1 }], memberCount: 2 });
  t.match(await bob.members('rooks', { cursor: members.cursor as string }), {
    members: [{ user: 'bob', role: 'member' }],
  });

  const notYours = { code: 'NOT_A_MEMBER' } as never;
  for (const id of ['rooks', 'no-such-group', 'direct:alice:bob']) {
    await t.rejects(carol.history(id), notYours, id);
    await t.rejects(carol.receipts(id, 1), notYours, id);
    await t.rejects(carol.edits(id, 1), notYours, id);
    await t.rejects(carol.members(id), notYours, id);
  }
  const none = { unread: 0, conversations: 0, mutedUnread: 0, mutedConversations: 0 };
  t.same(await carol.conversations(), { conversations: [], badge: none });
});

t.test('what one sets is in the list of every device: pins first, drafts, archived ones apart', async (t) => {
  const worker = await startWorker(gateways);
  t.teardown(() => worker.drain());
  const bob = await connected(t, 'bob');
  await bob.changePreferences('rooks', { pinned: true, mutedUntil: -1, draft: '写到一半' }).durable;
  await bob.changePreferences('', { mutedUntil: 7 }).durable;
  const page = await eventually(async () => {
    const list = await bob.conversations().catch(() => undefined);
    return list?.conversations[0]?.preferences.pinned ? list : undefined;
  }, 'the pin is in the list');
  t.same(page.conversations[0]?.preferences, { pinned: true, mutedUntil: -1, draft: '写到一半' });
  t.match(page.badge, { unread: 2, mutedUnread: 1, mutedConversations: 1 });
  const everything = await bob.changes(0);
  t.same(
    everything.conversations.map(({ conversation }) => conversation),
    ['direct:alice:bob', 'rooks'],
  );
  await bob.changePreferences('rooks', { archived: true }).durable;
  await eventually(async () => (await bob.conversations({ archived: true })).conversations.length === 1, 'archived');
  t.same(
    (await bob.conversations()).conversations.map(({ conversation }) => conversation),
    ['direct:alice:bob'],
  );
  await eventually(async () => (await bob.preferences('')).mutedUntil === 7, 'about all');
  t.equal(await refusalOf(() => bob.changePreferences('no-such-group', { pinned: true }).durable), 'NOT_A_MEMBER');
  await bob.changePreferences('rooks', { archived: false, pinned: false, mutedUntil: 0, draft: '' }).durable;
});

t.test('a search finds what one may see, page by page', async (t) => {
  const worker = await startWorker(gateways);
  t.teardown(() => worker.drain());
  const [bob, carol] = [await connected(t, 'bob'), await connected(t, 'carol')];
  await eventually(async () => (await bob.search('m61').catch(() => undefined))?.hits.length === 1, 'all is read');
  const hits = (await bob.search('m5')).hits.map(({ entry }) => textOf(entry));
  t.same(hits, ['m59', 'm58', 'm57', 'm56', 'm55', 'm54', 'm53', 'm52', 'm51', 'm50', 'm5']);
  const page = await bob.search('m5', { conversation: 'rooks', by: 'alice', limit: 2 });
  t.same(
    page.hits.map(({ entry, matches }) => [textOf(entry), matches]),
    [
      ['m59', [[0, 3]]],
      ['m58', [[0, 3]]],
    ],
  );
  const next = await bob.search('m5', { conversation: 'rooks', limit: 2, cursor: page.cursor as string });
  t.same(
    next.hits.map(({ entry }) => textOf(entry)),
    ['m57', 'm56'],
  );
  t.same(await carol.search('m5'), { hits: [] });
});

t.test('one of two workers goes away: the other answers', async (t) => {
  const [first, second] = [await startWorker(gateways), await startWorker(gateways, 'replica')];
  t.teardown(() => second.drain());
  const bob = await connected(t, 'bob');
  await eventually(
    () =>
      bob.conversations().then(
        () => true,
        () => false,
      ),
    'an answer',
  );
  await first.drain();
  await eventually(
    () =>
      bob.conversations().then(
        () => true,
        () => false,
      ),
    'an answer of the other',
  );
  for (let i = 0; i < 20; i++) await bob.history('rooks', { limit: 1 });
});

t.test('bad questions get their code, on both encodings, and the socket lives on', async (t) => {
  const client = await RawClient.greeted(gateways.gateway, 'mallory', 'd', jsonCodec);
  t.teardown(() => client.end());
  const bad: [object, string][] = [
    [{ type: 'everything' }, 'BAD_REQUEST'],
    [{ type: 'conversations', limit: 0 }, 'BAD_REQUEST'],
    [{ type: 'conversations', limit: 101 }, 'BAD_REQUEST'],
    [{ type: 'conversations', cursor: 'made up' }, 'BAD_REQUEST'],
    [{ type: 'conversations', cursor: 'x'.repeat(10_000) }, 'BAD_REQUEST'],
    [{ type: 'conversations', archived: 1 }, 'BAD_REQUEST'],
    [{ type: 'changes' }, 'BAD_REQUEST'],
    [{ type: 'changes', since: 0, cursor: 'made up' }, 'BAD_REQUEST'],
    [{ type: 'preferences' }, 'BAD_ID'],
    [{ type: 'history' }, 'BAD_ID'],
    [{ type: 'history', conversation: 'rooks', before: 1, after: 2 }, 'BAD_REQUEST'],
    [{ type: 'history', conversation: 'rooks', around: -1 }, 'BAD_REQUEST'],
    [{ type: 'history', conversation: 'rooks', since: '2026' }, 'BAD_REQUEST'],
    [{ type: 'members', conversation: 'rooks', cursor: 'made up' }, 'BAD_REQUEST'],
    [{ type: 'edits', conversation: 'rooks' }, 'BAD_REQUEST'],
    [{ type: 'receipts', conversation: 'rooks' }, 'BAD_REQUEST'],
    [{ type: 'search' }, 'BAD_REQUEST'],
    [{ type: 'search', words: 'x'.repeat(257) }, 'BAD_REQUEST'],
    [{ type: 'search', words: 'rook', by: '' }, 'BAD_ID'],
    [{ type: 'search', words: 'rook', cursor: '1.2.3' }, 'BAD_REQUEST'],
    [{ type: 'search', words: 'rook', cursor: '-1' }, 'BAD_REQUEST'],
  ];
  for (const [query, code] of bad) {
    const answer = await client.ask({ t: 'query', query });
    t.equal(answer.code, code, JSON.stringify(query).slice(0, 80));
  }
});
