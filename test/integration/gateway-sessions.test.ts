/** How sessions begin and end on a real gateway: replaced, expired, half-open, too many, shut down. */
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { startFanOutWorker } from '../../src/processes/fan-out-worker.ts';
import { closeCodes } from '../../src/protocol/close-codes.ts';
import { jsonCodec, msgpackCodec } from '../../src/protocol/codec.ts';
import { API_KEY, RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { stopped } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const text = { contentType: 'text/plain', body: Buffer.from('hello') };
/** Two heartbeats, and more. */
const STALL_MS = 2_500;
let ids = 0;
const message = (to: string): object => ({ t: 'send', clientMsgId: `m${++ids}`, ...text, to });

t.test('the same device connecting again replaces its older session, here and on another gateway', async (t) => {
  const { gateway, more, stop } = await startTestGateway();
  t.teardown(stop);
  const other = await more();
  const first = await RawClient.greeted(gateway, 'alice', 'phone');
  const laptop = await RawClient.greeted(other, 'alice', 'laptop');
  const second = await RawClient.greeted(gateway, 'alice', 'phone');
  t.equal(await first.closeCode(), closeCodes.SESSION_REPLACED);
  const third = await RawClient.greeted(other, 'alice', 'phone');
  t.equal(await second.closeCode(), closeCodes.SESSION_REPLACED);
  t.match(await third.ask(message('bob')), { t: 'sent' });
  t.match(await laptop.ask(message('bob')), { t: 'sent' }, "another device of the user is nobody's business");
  t.same([third.closed, laptop.closed], [undefined, undefined]);
  third.end();
  laptop.end();
});

t.test('however often a device connects again at one gateway, the newest is known there and no other', async (t) => {
  const { gateway, stop } = await startTestGateway();
  t.teardown(stop);
  let newest = await RawClient.greeted(gateway, 'alice', 'phone');
  for (let k = 0; k < 4; k++) {
    const before = newest;
    newest = await RawClient.greeted(gateway, 'alice', 'phone');
    t.equal(await before.closeCode(), closeCodes.SESSION_REPLACED);
  }
  const account = (method: string, path: string, body: object) =>
    fetch(`${gateway.address}/v1/accounts${path}`, {
      ...{ method, body: JSON.stringify(body) },
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    });
  t.equal((await account('POST', '', { user: 'alice' })).status, 201);
  t.equal((await account('PATCH', '/alice', { active: false })).status, 200);
  t.equal(await newest.closeCode(), closeCodes.ACCOUNT_DEACTIVATED, 'what happens to the account ends it');
});

t.test('a greeting whose sender has gone ends no session of the device', async (t) => {
  const { gateway, more, stop } = await startTestGateway();
  t.teardown(stop);
  const other = await more();
  const live = await RawClient.greeted(gateway, 'alice', 'phone');
  for (let k = 0; k < 20; k++) {
    const ghost = await RawClient.open(k % 2 === 0 ? other : gateway);
    ghost.send({ t: 'hello', id: 1, token: await tokenFor('alice'), device: 'phone', resume: 'latest' });
    ghost.ws.close();
    await ghost.closeCode();
  }
  t.match(await live.ask(message('bob')), { t: 'sent' });
  t.equal(live.closed, undefined);
  live.end();
});

t.test('a session ends with its token, and the close code says to get a new one', async (t) => {
  const { gateway, stop } = await startTestGateway();
  t.teardown(stop);
  const client = await RawClient.open(gateway);
  const token = await tokenFor('alice', { lifetimeMs: 2_000 });
  t.match(await client.ask({ t: 'hello', token, device: 'd', resume: 'latest' }), { t: 'welcome' });
  t.equal(await client.closeCode(), closeCodes.TOKEN_EXPIRED);
  const again = await RawClient.open(gateway);
  again.send({ t: 'hello', id: 1, token, device: 'd', resume: 'latest' });
  t.equal(await again.closeCode(), closeCodes.TOKEN_EXPIRED, 'a remembered token expires like any other');
});

t.test('a half-open connection is found; one that answers pings or speaks is kept', async (t) => {
  const { gateway, stop } = await startTestGateway({ limits: { heartbeatMs: 1_000 } });
  t.teardown(stop);
  const deaf = await RawClient.greeted(gateway, 'deaf');
  const quiet = await RawClient.greeted(gateway, 'quiet');
  let pings = 0;
  quiet.ws.on('ping', () => (pings += 1));
  deaf.ws.pause();
  await eventually(() => pings >= 4, 'the quiet one is pinged again and again');
  // A process that stood still was the one that did not listen.
  for (const until = performance.now() + STALL_MS; performance.now() < until; );
  await eventually(() => pings >= 6, 'and goes on to be');
  t.equal(quiet.closed, undefined);
  deaf.ws.resume();
  t.equal(await deaf.closeCode(), closeCodes.HEARTBEAT_TIMEOUT);
  quiet.end();
});

t.test('requests beyond what a session may have unanswered are refused one by one, the others answered', async (t) => {
  const { gateway, stop } = await startTestGateway({ limits: { maxInFlight: 8 } });
  t.teardown(stop);
  const client = await RawClient.greeted(gateway, 'eager');
  const messages = Array.from({ length: 64 }, () => message('bob'));
  const answers = await Promise.all(messages.map((each) => client.ask(each)));
  const refused = answers.filter(({ t: type }) => type === 'error');
  t.ok(refused.length > 0 && refused.length <= 56, `${refused.length} refused`);
  t.ok(refused.every(({ code, retryAfterMs }) => code === 'OVERLOADED' && (retryAfterMs as number) > 0));
  t.equal(answers.length - refused.length, answers.filter(({ t: type }) => type === 'sent').length);
  t.match(await client.ask(message('carol')), { t: 'sent' }, 'and it goes on');
  t.match(await client.ask(message('bob')), { code: 'OVERLOADED' }, 'but not past what was refused');
  const again = messages.filter((_, k) => answers[k]?.t === 'error');
  for (const each of again) t.match(await client.ask(each), { t: 'sent' });
  t.match(await client.ask(message('bob')), { code: 'OVERLOADED' }, 'one had come while it was so');
  client.end();
});

t.test(
  'while the inboxes are far behind the log senders are refused, with a time, and then taken in again',
  async (t) => {
    const { gateway, nats, stop } = await startTestGateway({ limits: { maxLaneBacklog: 20 }, worker: false });
    t.teardown(stop);
    const client = await RawClient.greeted(gateway, 'eager');
    const answers: Awaited<ReturnType<typeof client.ask>>[] = [];
    for (let i = 0; i < 25; i++) answers.push(await client.ask(message('bob')));
    const sent = answers.filter(({ t: type }) => type === 'sent');
    const refused = answers.filter(({ code }) => code === 'OVERLOADED');
    t.same([sent.length, refused.length], [20, 5]);
    t.ok(refused.every(({ retryAfterMs }) => (retryAfterMs as number) > 0));
    const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
    const stateDir = join(nats.dataDir, 'state');
    const { topology } = nats;
    const worker = await startFanOutWorker({ nats: access, topology, logLevel: 'silent', stateDir }, quiet);
    t.teardown(() => worker.drain());
    await eventually(async () => (await client.ask(message('bob'))).t === 'sent', 'taken in again');
    client.end();
  },
);

t.test(
  'messages of one session to one conversation stand in the order they were sent, with or without a view',
  async (t) => {
    const { gateway, stop } = await startTestGateway();
    t.teardown(stop);
    const client = await RawClient.greeted(gateway, 'alice');
    for (let k = 0; k < 300; k++) {
      client.send({ t: 'send', id: k, clientMsgId: `o${k}`, ...text, to: k % 3 === 0 ? 'carol' : 'bob' });
      if (k % 60 === 59) await client.answer(k);
    }
    await eventually(() => client.entries.length === 300, 'all are delivered');
    for (const [conversation, expected] of [
      ['direct:alice:bob', (k: number) => k % 3 !== 0],
      ['direct:alice:carol', (k: number) => k % 3 === 0],
    ] as const) {
      const entries = client.entries.filter((entry) => entry.conversation === conversation);
      t.same(
        entries.map(({ id }) => id),
        Array.from({ length: 300 }, (_, k) => k)
          .filter(expected)
          .map((k) => `o${k}`),
      );
      t.same(
        entries.map(({ n }) => n),
        entries.map((_, k) => k + 1),
      );
    }
    client.end();
  },
);

t.test('messages between changes that wait for each other stand in the order of their sending', async (t) => {
  const { gateway, stop } = await startTestGateway();
  t.teardown(stop);
  const client = await RawClient.greeted(gateway, 'alice');
  const command = (id: number, command: object) => client.send({ t: 'command', id, clientMsgId: `c${id}`, command });
  const sent: string[] = [];
  command(0, { type: 'createGroup', conversation: 'g', name: 'g', members: ['bob'] });
  for (let k = 1; k <= 120; k++) {
    if (k % 5 === 0) command(k, { type: 'renameGroup', conversation: 'g', name: `name ${k}` });
    else client.send({ t: 'send', id: k, clientMsgId: `o${k}`, ...text, conversation: 'g' });
    sent.push(k % 5 === 0 ? `c${k}` : `o${k}`);
    if (k % 60 === 0) await client.answer(k);
  }
  await eventually(() => client.entries.length > 120, 'all are delivered');
  t.same(
    client.entries.map(({ id }) => id),
    ['c0', ...sent],
  );
  client.end();
});

t.test('who asks and does not read is read no further, and gets every answer once it reads', async (t) => {
  const { gateway, stop } = await startTestGateway({ limits: { maxBufferedBytes: 65_536, maxInFlight: 2_000 } });
  t.teardown(stop);
  const client = await RawClient.greeted(gateway, 'asker', 'd', jsonCodec);
  const members = Array.from({ length: 1_000 }, (_, k) => `member ${k} of a group with long names`);
  const create = { type: 'createGroup', conversation: 'large', name: 'n', members };
  t.match(await client.ask({ t: 'command', clientMsgId: 'c', command: create }), { t: 'done' });
  const query = { t: 'query', query: { type: 'conversation', conversation: 'large' } };
  await eventually(async () => (await client.ask(query)).t === 'result', 'the group is folded');
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${gateway.address}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1]);
  };
  client.ws.pause();
  // 60 KB each: far more than the buffers between us hold. In portions, so that the worker answers each in time.
  const [ASKED, PORTION] = [800, 10];
  for (let id = 10_000; id < 10_000 + ASKED; id++) {
    client.send({ ...query, id });
    if (id % PORTION === 0) {
      await eventually(async () => (await metric('rookery_requests_in_flight')) === 0, 'they are answered');
    }
  }
  const unsentBytes = await metric('rookery_unsent_bytes');
  t.ok(unsentBytes > 0, 'it does not take everything');
  t.ok(unsentBytes < 4_000_000, `${unsentBytes} bytes are kept for it, of 48 million`);
  client.ws.resume();
  await eventually(() => client.frames.filter(({ id = 0 }) => id >= 10_000).length === ASKED, 'all answers come');
  client.end();
});

t.test('sockets beyond the bound are turned away, and let in when there is room', async (t) => {
  const { gateway, stop } = await startTestGateway({ limits: { maxSessions: 2 } });
  t.teardown(stop);
  const [a, b] = [await RawClient.greeted(gateway, 'a'), await RawClient.greeted(gateway, 'b')];
  const third = new RawClient(gateway, msgpackCodec.subprotocol);
  t.equal(await third.closeCode(), closeCodes.OVERLOADED);
  a.end();
  await eventually(async () => {
    const again = await RawClient.open(gateway);
    again.send({ t: 'ping' });
    await eventually(() => again.closed || again.frames.length > 0, 'an answer or an end');
    again.end();
    return again.closed === undefined;
  }, 'there is room again');
  b.end();
});

t.test(
  'connections that say nothing are bounded in number as well, and the next one is served when they go',
  async (t) => {
    const { gateway, stop } = await startTestGateway({ limits: { maxSessions: 2, maxHttpConnections: 1 } });
    t.teardown(stop);
    const port = Number(new URL(gateway.address).port);
    const silent = () => {
      const socket = connect(port, '127.0.0.1');
      const state = { socket, isClosed: false };
      socket.on('error', () => undefined).on('close', () => (state.isClosed = true));
      return state;
    };
    const first = [silent(), silent(), silent()];
    await eventually(() => first.every(({ socket }) => socket.readyState === 'open'), 'they are open');
    const beyond = silent();
    await eventually(() => beyond.isClosed, 'one more is closed');
    t.notOk(first.some(({ isClosed }) => isClosed));
    for (const { socket } of first) socket.destroy();
    const page = await eventually(async () => {
      const answer = await fetch(`${gateway.address}/metrics`).catch(() => undefined);
      return answer && (await answer.text());
    }, 'there is room again');
    t.match(page, /^rookery_refused_total{code="OVERLOADED"} [1-9]/m);
  },
);

t.test('who does not say hello is bounded in number, and goes for who comes', async (t) => {
  const { gateway, stop } = await startTestGateway({ limits: { maxUngreeted: 2, helloTimeoutMs: 60_000 } });
  t.teardown(stop);
  const metric = async (name: string): Promise<number> => {
    const page = await (await fetch(`${gateway.address}/metrics`)).text();
    return Number(
      page
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1] ?? 0,
    );
  };
  const friends: RawClient[] = [];
  for (const user of ['a', 'b', 'c']) friends.push(await RawClient.greeted(gateway, user));
  const silent = [await RawClient.open(gateway), await RawClient.open(gateway)];
  t.equal(await metric('rookery_ungreeted_sessions'), 2, 'who was greeted does not count');
  const early = new RawClient(gateway, msgpackCodec.subprotocol);
  t.equal(await early.closeCode(), closeCodes.TOO_MANY_UNGREETED, 'who has just come may stay');
  t.equal(await metric('rookery_refused_total{code="TOO_MANY_UNGREETED"}'), 1);
  const late = await eventually(async () => {
    const client = new RawClient(gateway, msgpackCodec.subprotocol);
    client.ws.once('open', () => client.send({ t: 'ping' }));
    await eventually(() => client.closed || client.frames.length > 0, 'an answer or an end');
    return client.closed ? undefined : client;
  }, 'one comes in');
  t.equal(await silent[0]?.closeCode(), closeCodes.TOO_MANY_UNGREETED, 'the oldest has gone for it');
  t.equal(silent[1]?.closed, undefined);
  const token = await tokenFor('d');
  t.match(await late.ask({ t: 'hello', token, device: 'd', resume: 'latest' }), { t: 'welcome' });
  t.equal(await metric('rookery_ungreeted_sessions'), 1);
  for (const client of [...friends, ...silent, late]) client.end();
});

t.test(
  'a draining gateway answers what is under way, refuses what comes, and closes with a code to reconnect',
  async (t) => {
    const { gateway, nats, stop } = await startTestGateway();
    t.teardown(stop);
    const client = await RawClient.greeted(gateway, 'alice');
    await client.ask(message('bob'));
    nats.server.signal('SIGSTOP');
    await stopped(nats.server.pid);
    client.send({ id: 1, ...message('bob') });
    client.send({ t: 'ping' });
    await client.frame('pong');
    const drained = gateway.drain();
    await eventually(async () => {
      const answer = await client.ask(message('bob'));
      return answer.code === 'SHUTTING_DOWN';
    }, 'new requests are refused');
    nats.server.signal('SIGCONT');
    t.match(await client.answer(1), { t: 'sent' });
    t.equal(await client.closeCode(), closeCodes.SHUTTING_DOWN);
    await drained;
    await t.rejects(fetch(`${gateway.address}/healthz`), 'it listens no more');
  },
);

t.test('without a worker messages are taken all the same: the fold decides later', async (t) => {
  const { gateway, stop } = await startTestGateway({ worker: false });
  t.teardown(stop);
  const client = await RawClient.greeted(gateway, 'alice');
  t.match(await client.ask(message('bob')), { t: 'sent' });
  const query = { t: 'query', query: { type: 'conversation', conversation: 'direct:alice:bob' } };
  t.match(await client.ask(query), { code: 'LOG_UNAVAILABLE' });
  client.end();
});

t.test('of two sessions of a device the one stays that greeted last, whenever their sockets were opened', async (t) => {
  const { gateway, more, stop } = await startTestGateway();
  t.teardown(stop);
  const other = await more();
  for (const [k, second] of [gateway, other, gateway, gateway].entries()) {
    const user = `twin ${k}`;
    const early = await RawClient.open(second);
    const late = await RawClient.open(gateway);
    const hello = { t: 'hello', token: await tokenFor(user), device: 'd', resume: 'latest' };
    t.match(await late.ask(hello), { t: 'welcome' });
    t.match(await early.ask(hello), { t: 'welcome' });
    t.equal(await late.closeCode(), closeCodes.SESSION_REPLACED);
    t.match(await early.ask(message('bob')), { t: 'sent' }, 'the one that greeted last lives');
    early.end();
  }
});

t.test('before its hello nobody gets us to read much, or often', async (t) => {
  const { gateway, stop } = await startTestGateway();
  t.teardown(stop);
  const long = await RawClient.open(gateway);
  long.raw(msgpackCodec.encode({ t: 'hello', id: 1, token: 'x'.repeat(20_000) }));
  t.equal(await long.closeCode(), 1009);
  const stubborn = await RawClient.open(gateway);
  for (let i = 0; i < 5; i++) stubborn.send({ t: 'hello', id: i, token: 7 });
  t.equal(await stubborn.closeCode(), closeCodes.PROTOCOL_VIOLATION);
  const extended = await RawClient.open(gateway);
  // Extension 0x65 would make msgpackr build an Error, stack and all.
  const error = [0xd4, 0x65, 0, 0x93, 0xa1, 0x41, 0xa1, 0x42, 0xc0];
  extended.raw(Uint8Array.from([0x82, 0xa1, 0x74, 0xa4, 0x70, 0x69, 0x6e, 0x67, 0xa1, 0x78, ...error]));
  t.match(await extended.frame('error'), { code: 'BAD_FRAME' });
  extended.end();
});
