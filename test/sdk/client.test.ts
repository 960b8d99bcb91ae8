/** The client on a real WebSocket, against a gateway that does what it is told. */
import t, { type Test } from 'tap';
import { msgpackCodec } from '../../src/protocol/codec.ts';
import type { ClientFrame } from '../../src/protocol/frames.ts';
import { type Client, type ClientOptions, createClient, type Entry, MemoryStorage } from '../../src/sdk/index.ts';
import type { OutboxEntry } from '../../src/sdk/requests.ts';
import { conversation, user } from '../support/given.ts';
import { ScriptedGateway } from '../support/scripted-gateway.ts';
import { eventually } from '../support/waiting.ts';

const room = conversation('direct:bob:me');
const textOf = (entry: Entry): string => (entry.type === 'message' ? new TextDecoder().decode(entry.body) : entry.type);
const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `m${i + 1}`);

async function scene(t: Test, options: Partial<ClientOptions> = {}) {
  const gateway = await ScriptedGateway.start();
  const client = await createClient({ url: gateway.url, token: 'a token', device: 'phone', ...options });
  const handled: string[] = [];
  client.on('entry', (_conversation, entry) => void handled.push(textOf(entry)));
  t.teardown(async () => {
    await client.close({ drainWithinMs: 0 });
    await gateway.stop();
  });
  return { gateway, client, handled };
}

const live = (client: Client) => eventually(() => client.status.phase === 'live', 'live');
const sends = (frames: readonly ClientFrame[]): string[] =>
  frames.flatMap((frame) => (frame.t === 'send' ? [new TextDecoder().decode(frame.body)] : []));

for (const codec of ['msgpack', 'json'] as const) {
  t.test(`${codec}: a message is acked with its place, entries come in order, and are confirmed`, async (t) => {
    const { gateway, client, handled } = await scene(t, { codec });
    client.start();
    await live(client);
    const sending = client.sendText({ to: 'bob' }, '你好 🪺');
    t.same(await sending.durable, { clientMsgId: sending.clientMsgId, conversation: room, pos: 1, at: 1_001 });
    t.same(sends(gateway.frames), ['你好 🪺']);
    t.match(await client.createGroup('team', 'Team', ['bob']).durable, { pos: 2 });
    gateway.deliver(3);
    gateway.deliver(2, 4);
    await eventually(() => handled.length === 5, 'all entries');
    t.same(handled, numbered(5));
    await eventually(() => gateway.frames.some((frame) => frame.t === 'confirm' && frame.seq === 5), 'the confirm');
  });
}

t.test('what was sent while there was no connection goes out in order, once there is one', async (t) => {
  const { gateway, client } = await scene(t);
  const sendings = numbered(200).map((text) => client.sendText({ to: 'bob' }, text));
  t.equal(client.outboxSize, 200);
  client.start();
  await Promise.all(sendings.map(({ durable }) => durable));
  t.same(sends(gateway.frames), numbered(200));
});

t.test('acks that a lost connection took with it: the same ids again, acked once', async (t) => {
  const { gateway, client } = await scene(t);
  gateway.answer = (frame, { ws }) => {
    const answer = gateway.ack(frame);
    if (gateway.log.size < 20 || gateway.connections.length > 1) return answer;
    ws.terminate();
    return undefined;
  };
  client.start();
  const results = await Promise.all(numbered(60).map((text) => client.sendText({ to: 'bob' }, text).durable));
  t.same(
    results.map(({ pos }) => pos),
    Array.from({ length: 60 }, (_, i) => i + 1),
  );
  t.equal(gateway.connections.length, 2);
});

t.test('a device goes on from its cursor, and what comes twice is handled once', async (t) => {
  const { gateway, client, handled } = await scene(t);
  client.start();
  await live(client);
  gateway.deliver(10);
  await eventually(() => handled.length === 10, 'the first');
  gateway.connection.ws.close(4000);
  await gateway.welcomed(2);
  t.same(gateway.connection.hello.resume, { epoch: 'e', seq: 10 });
  gateway.deliver(8, 5);
  await eventually(() => handled.length === 12, 'the others');
  t.same(handled, numbered(12));
});

t.test('nothing is confirmed before its handler has resolved; the next entry waits for it', async (t) => {
  const { gateway, client, handled } = await scene(t);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  client.on('entry', (_conversation, entry) => (textOf(entry) === 'm2' ? held : undefined));
  client.start();
  await live(client);
  gateway.deliver(3);
  await eventually(() => handled.includes('m2'), 'the second');
  // A question and its answer: whatever the client had to say before it has been said.
  gateway.answer = (frame) =>
    frame.t === 'query' ? { t: 'error', id: frame.id, code: 'NOT_A_MEMBER', message: '' } : undefined;
  await t.rejects(client.conversation('team'), { code: 'NOT_A_MEMBER' } as never);
  t.same(handled, ['m1', 'm2']);
  t.notOk(gateway.frames.some((frame) => frame.t === 'confirm' && frame.seq === 3));
  release();
  await eventually(() => gateway.frames.some((frame) => frame.t === 'confirm' && frame.seq === 3), 'the confirm');
  t.same(handled, numbered(3));
});

t.test(
  'a handler that fails ends the client; its entry comes again at the next start, those before it do not',
  async (t) => {
    const storage = new MemoryStorage();
    const { gateway, client } = await scene(t, { storage });
    const failures: unknown[] = [];
    client.on('failed', (error) => void failures.push(error));
    client.on('entry', (_conversation, entry) => {
      if (textOf(entry) === 'm3') throw new Error('no room');
    });
    client.start();
    await live(client);
    gateway.deliver(5);
    await eventually(() => client.status.phase === 'stopped', 'the end');
    t.match(failures, [{ message: 'no room' }]);
    await t.rejects(client.sendText({ to: 'bob' }, 'x').durable, { code: 'CLIENT_CLOSED' } as never);
    await client.close();
    const next = await createClient({ url: gateway.url, token: 't', device: 'phone', storage });
    const handled: string[] = [];
    next.on('entry', (_conversation, entry) => void handled.push(textOf(entry)));
    t.teardown(() => next.close());
    next.start();
    await gateway.welcomed(2);
    gateway.deliver(5);
    await eventually(() => handled.length === 3, 'what was not handled');
    t.same(handled, ['m3', 'm4', 'm5']);
  },
);

t.test('a storage that fails ends the client before anything unsaved is sent', async (t) => {
  class Full extends MemoryStorage {
    override async putOutbox(_entry: OutboxEntry): Promise<void> {
      throw new Error('disk full');
    }
  }
  const { gateway, client } = await scene(t, { storage: new Full() });
  const failures: unknown[] = [];
  client.on('failed', (error) => void failures.push(error));
  client.start();
  await live(client);
  await t.rejects(client.sendText({ to: 'bob' }, 'x').durable, { code: 'CLIENT_CLOSED' } as never);
  t.match(failures, [{ message: 'disk full' }]);
  t.same(sends(gateway.frames), []);
});

t.test('nothing is written before it is stored, and not on a connection that came meanwhile', async (t) => {
  const releases: (() => void)[] = [];
  class Slow extends MemoryStorage {
    override async putOutbox(entry: OutboxEntry): Promise<void> {
      await new Promise<void>((resolve) => releases.push(resolve));
      await super.putOutbox(entry);
    }
  }
  const { gateway, client, handled } = await scene(t, { storage: new Slow() });
  client.start();
  await live(client);
  const { durable } = client.sendText({ to: 'bob' }, 'slow');
  gateway.deliver(1);
  await eventually(() => handled.length === 1, 'an entry that came later');
  t.same(sends(gateway.frames), []);
  gateway.connection.ws.terminate();
  await eventually(() => client.status.phase === 'offline', 'the loss');
  await eventually(() => client.status.phase === 'connecting', 'another attempt');
  for (const release of releases) release();
  await durable;
  t.same(sends(gateway.frames), ['slow']);
});

t.test('a refused token is replaced by another; the same again ends the client', async (t) => {
  const tokens = ['old', 'new', 'new'];
  const { gateway, client } = await scene(t, { token: () => tokens.shift() ?? 'new' });
  gateway.refuseHello = ({ token }) => (token === 'old' ? { code: 4101 } : undefined);
  client.start();
  await live(client);
  t.equal(gateway.connection.hello.token, 'new');
  gateway.refuseHello = () => ({ code: 4100 });
  gateway.connection.ws.close(4100);
  await eventually(() => client.status.phase === 'stopped', 'the end');
});

t.test('a token that cannot be fetched is asked for again', async (t) => {
  let asked = 0;
  const { client } = await scene(t, {
    token: async () => {
      if (++asked < 3) throw new Error('out of reach');
      return 'a token';
    },
  });
  client.start();
  await live(client);
  t.equal(asked, 3);
});

t.test('a session that was replaced stays away', async (t) => {
  const { gateway, client } = await scene(t);
  client.start();
  await live(client);
  gateway.connection.ws.close(4200, 'replaced');
  await eventually(() => client.status.phase === 'stopped', 'the end');
  t.match(client.status, { reason: 'replaced (4200)' });
});

t.test('a connection that is gone without a word is told in words, with its code', async (t) => {
  const { gateway, client } = await scene(t);
  const reasons: string[] = [];
  client.on('status', (status) => status.phase === 'offline' && reasons.push(status.reason));
  client.start();
  await live(client);
  gateway.connection.ws.terminate();
  await gateway.welcomed(2);
  gateway.connection.ws.close(4000, 'shutting down');
  await gateway.welcomed(3);
  t.same(reasons, [
    'the connection was lost without a close frame, or none could be made (1006)',
    'shutting down (4000)',
  ]);
});

t.test('what is refused says what was asked for and the code, also to who looks at the text alone', async (t) => {
  const { gateway, client } = await scene(t);
  const refusal = { t: 'error', code: 'CONVERSATION_EXISTS', message: 'conversation exists' } as const;
  gateway.answer = (frame) => ('id' in frame && frame.id !== undefined ? { ...refusal, id: frame.id } : undefined);
  client.start();
  await live(client);
  const told = 'conversation exists (CONVERSATION_EXISTS)';
  const { code } = refusal;
  await t.rejects(client.createGroup('team', 'Team', []).durable, { code, message: `createGroup team: ${told}` });
  await t.rejects(client.block('bob').durable, { code, message: `blockUser bob: ${told}` });
  await t.rejects(client.sendText({ to: 'bob' }, 'x').durable, { code, message: `send to bob: ${told}` });
  await t.rejects(client.history('team'), { code, message: `history team: ${told}` });
  await t.rejects(client.watch(['bob']), { code, message: `watch: ${told}` });
  await client.close();
  const closed = { code: 'CLIENT_CLOSED', message: /^send to bob: the client has stopped: .* \(CLIENT_CLOSED\)$/ };
  await t.rejects(client.sendText({ to: 'bob' }, 'x').durable, closed as never);
});

t.test('a frame that cannot be read costs the connection, not the client', async (t) => {
  const { gateway, client, handled } = await scene(t);
  client.start();
  await live(client);
  for (const [i, broken] of [
    Buffer.from([0xc1]),
    Buffer.from([0xdf, 1]),
    msgpackCodec.encode({ t: 'deliver' }),
  ].entries()) {
    gateway.connection.ws.send(broken, { binary: true });
    await gateway.welcomed(i + 2);
  }
  gateway.deliver(1);
  await eventually(() => handled.length === 1, 'an entry');
});

t.test('a silent connection is asked for a sign of life', async (t) => {
  const { gateway, client } = await scene(t);
  gateway.limits = { ...gateway.limits, heartbeatMs: 20 };
  client.start();
  await gateway.frame('ping');
});

t.test('a close waits for what is on its way, and keeps what is not acked', async (t) => {
  const storage = new MemoryStorage();
  const { gateway, client } = await scene(t, { storage });
  client.start();
  await live(client);
  const [first, second] = [client.sendText({ to: 'bob' }, 'one'), client.sendText({ to: 'bob' }, 'two')];
  await client.close();
  t.match([await first.durable, await second.durable], [{ pos: 1 }, { pos: 2 }]);
  t.equal(client.outboxSize, 0);
  const again = await createClient({ url: gateway.url, token: 't', device: 'phone', storage });
  gateway.answer = () => undefined;
  again.start();
  await live(again);
  const { durable } = again.sendText({ to: 'bob' }, 'three');
  await gateway.frame('send', 3);
  await again.close({ drainWithinMs: 0 });
  await t.rejects(durable, { code: 'CLIENT_CLOSED' } as never);
  t.equal((await storage.load()).outbox.length, 1);
});

t.test('what is returned to the sender is told as such, also what an earlier run has left', async (t) => {
  const storage = new MemoryStorage();
  const earlier = await createClient({ url: 'ws://127.0.0.1:9/', token: 't', device: 'phone', storage });
  const left = earlier.sendText({ to: 'bob' }, 'left over');
  await earlier.close();
  const { gateway, client } = await scene(t, { storage });
  gateway.answer = (frame) =>
    'id' in frame ? { t: 'error', id: frame.id, code: 'MESSAGE_ID_EXPIRED', message: '' } : undefined;
  const told: unknown[] = [];
  client.on('rejected', (where, what) => void told.push([where, what]));
  client.on('duplicate', (where, what) => void told.push([where, what]));
  client.start();
  await eventually(() => told.length === 1, 'the refusal');
  t.same(told, [[room, { clientMsgId: left.clientMsgId, code: 'MESSAGE_ID_EXPIRED' }]]);
  const base = { at: 1, by: 'me' };
  const entries = [
    { ...base, pos: 1, id: 'a', type: 'rejected', code: 'BLOCKED' },
    { ...base, pos: 2, id: 'b', type: 'duplicate', original: 1 },
  ];
  gateway.connection.send({ t: 'deliver', conversation: room, entries });
  await eventually(() => told.length === 3, 'both');
  t.same(told.slice(1), [
    [room, { clientMsgId: 'a', code: 'BLOCKED' }],
    [room, { clientMsgId: 'b', original: 1 }],
  ]);
});

t.test('what is no id, no URL or no device is told at once', async (t) => {
  const { client } = await scene(t);
  t.throws(() => client.sendText({ to: '' }, 'x'), { code: 'BAD_ID' });
  t.throws(() => client.sendText('bob' as never, 'x'), { code: 'BAD_ID' });
  t.throws(() => client.sendText({ conversation: 'direct:b:a' }, 'x'), { code: 'BAD_ID' });
  t.throws(() => client.createGroup('direct:x', 'x', []), { code: 'BAD_ID' });
  await t.rejects(client.conversation('x'.repeat(1_000_000)), { code: 'BAD_ID' } as never);
  await t.rejects(createClient({ url: 'http://x', token: 't', device: 'd' }), { code: 'BAD_REQUEST' } as never);
  await t.rejects(createClient({ url: 'ws://x', device: 'd' } as never), { code: 'BAD_REQUEST' } as never);
  await t.rejects(createClient({ url: 'ws://x', token: 't', device: '' }), { code: 'BAD_ID' } as never);
});

t.test('the bytes of a message are those of the moment it was sent', async (t) => {
  const { gateway, client } = await scene(t);
  const body = new TextEncoder().encode('before');
  const { durable } = client.send({ to: 'bob' }, { contentType: 'text/plain', body });
  body.fill(0);
  client.start();
  await durable;
  t.same(sends(gateway.frames), ['before']);
});

t.test(
  'who passes on what others ask gives commands and queries as the wire has them, under ids of their own',
  async (t) => {
    const { gateway, client } = await scene(t);
    t.equal(client.command({ type: 'blockUser', user: user('mallory') }, 'c-1').clientMsgId, 'c-1');
    const second = client.command({ type: 'signOut' });
    t.same(client.waiting, ['c-1', second.clientMsgId]);
    client.start();
    t.match(await second.durable, { pos: 2 });
    t.same(client.waiting, []);
    t.throws(() => client.command({ type: 'signOut' }, ''), { code: 'BAD_ID' });
    gateway.answer = (frame) => (frame.t === 'query' ? { t: 'result', id: frame.id, result: frame.query } : undefined);
    t.same(await client.query({ type: 'account' }), { type: 'account' });
  },
);

t.test('who looks at the wire sees every frame, in both directions', async (t) => {
  const { client } = await scene(t);
  const seen: string[] = [];
  client.on('frame', (direction, { t }) => void seen.push(`${direction} ${t}`));
  client.start();
  await client.sendText({ to: 'bob' }, 'hello').durable;
  t.same(seen.slice(0, 2), ['out hello', 'in welcome']);
  t.ok(seen.indexOf('out send') < seen.indexOf('in sent'), 'in their order');
  t.ok((client.serverTimeMs ?? 0) >= 1_000, 'and has the time of the server');
});
