/** Bad input: each gets its code, the socket or at least the gateway survives, and nothing is lost. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { closeCodes } from '../../src/protocol/close-codes.ts';
import { codecs, jsonCodec, msgpackCodec } from '../../src/protocol/codec.ts';
import { RawClient, startTestGateway, tokenFor } from '../support/gateway.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, stop } = await startTestGateway({ limits: { helloTimeoutMs: 1_000 } });
t.teardown(stop);

const text = { contentType: 'text/plain', body: Buffer.from('hello') };
let ids = 0;
const freshId = (): string => `m${++ids}`;
const message = (fields: object): object => ({ t: 'send', clientMsgId: freshId(), ...text, ...fields });
const command = (fields: object): object => ({ t: 'command', clientMsgId: freshId(), command: fields });
const UNREADABLE = 16;

for (const codec of codecs) {
  t.test(`${codec.subprotocol}: broken frames are answered, the socket lives, nothing is lost`, async (t) => {
    const client = await RawClient.greeted(gateway, 'breaker', 'd', codec);
    const broken = [Buffer.from([0x81]), Buffer.from('{"t":'), Buffer.alloc(0), Buffer.from([0xff, 0xfe])];
    for (const data of broken) client.raw(data);
    client.raw(codec.encode(message({ to: 'bob' })), !codec.binary);
    client.send([1, 2]);
    client.send({ t: 'nonsense', id: 5 });
    const errors = await eventually(() => {
      const found = client.frames.filter((frame) => frame.t === 'error');
      return found.length === broken.length + 3 && found;
    }, 'an error each');
    t.same(
      errors.map(({ code }) => code),
      [...Array(broken.length + 2).fill('BAD_FRAME'), 'UNKNOWN_FRAME'],
    );
    t.match(await client.ask(message({ to: 'bob' })), { t: 'sent' });
    client.end();
  });

  t.test(`${codec.subprotocol}: who sends only frames that cannot be read is shown out`, async (t) => {
    const client = await RawClient.greeted(gateway, 'noise', 'd', codec);
    for (let i = 0; i <= UNREADABLE; i++) client.raw(Buffer.from([0x81]));
    t.equal(await client.closeCode(), closeCodes.PROTOCOL_VIOLATION);
  });

  t.test(`${codec.subprotocol}: any bytes on a live socket, and the next client is served`, async (t) => {
    const honest = await RawClient.greeted(gateway, 'honest', codec.subprotocol, codec);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 24 }), async (frames) => {
        const client = await RawClient.greeted(gateway, 'fuzzer', 'd', codec);
        const whole = codec.encode(message({ id: 9, to: 'bob' }));
        for (const bytes of frames) {
          const changed = Buffer.from(whole);
          for (const byte of bytes) changed[byte % changed.length] = byte;
          client.raw(bytes);
          client.raw(changed);
        }
        client.send({ t: 'ping' });
        await eventually(
          () => client.closed || client.frames.some((frame) => frame.t === 'pong'),
          'an answer or an end',
        );
        client.end();
      }),
      { numRuns: 25 },
    );
    t.match(await honest.ask(message({ to: 'bob' })), { t: 'sent' });
    honest.end();
  });
}

t.test('bytes that are no WebSocket at all do not disturb the gateway', async (t) => {
  const { port } = new URL(gateway.address);
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.end(randomBytes(2_000)));
      socket
        .on('close', () => resolve())
        .on('error', () => resolve())
        .resume();
    });
  }
  t.equal((await fetch(`${gateway.address}/healthz`)).status, 200);
});

t.test('a frame beyond the limit closes its socket and no other', async (t) => {
  const [honest, huge] = await Promise.all([RawClient.greeted(gateway, 'honest2'), RawClient.greeted(gateway, 'huge')]);
  huge.raw(Buffer.alloc(1_000_000));
  t.equal(await huge.closeCode(), 1009);
  t.match(await honest.ask(message({ to: 'bob' })), { t: 'sent' });
  honest.end();
});

t.test('before the hello was taken nothing longer than one is read, nor in crumbs', async (t) => {
  const stranger = await RawClient.open(gateway);
  const socket = (stranger.ws as unknown as { _socket: Socket })._socket;
  socket.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0x40, 0x01]));
  t.equal(await stranger.closeCode(), 1009, 'by what it says its length is');
  const crumbs = await RawClient.open(gateway);
  const { _socket: slow } = crumbs.ws as unknown as { _socket: Socket };
  slow.setNoDelay(true);
  slow.write(Buffer.from([0x82, 0xfe, 0x3f, 0xff, 0, 0, 0, 0]));
  for (let sent = 0; sent < 16_000 && !crumbs.closed; sent++) {
    slow.write(Buffer.alloc(1));
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(await crumbs.closeCode(), 1008);
  const longest = await RawClient.open(gateway);
  const token = await tokenFor('x'.repeat(128));
  const hello = { t: 'hello', id: 1, token, device: 'd', resume: 'latest' };
  longest.send({ ...hello, more: 'x'.repeat(15_000) });
  t.match(await longest.answer(1), { t: 'welcome' });
  longest.send(message({ id: 2, to: 'bob', body: Buffer.alloc(65_536) }));
  t.match(await longest.answer(2), { t: 'sent' });
  longest.end();
});

t.test('a request of the wrong shape gets its code', async (t) => {
  const client = await RawClient.greeted(gateway, 'alice');
  const million = 'x'.repeat(1_000_000);
  const cases: readonly [string, object][] = [
    ['BODY_TOO_LARGE', message({ to: 'bob', body: Buffer.alloc(65_537) })],
    ['BAD_REQUEST', message({ to: 'bob', body: 'text' })],
    ['BAD_REQUEST', message({ to: 'bob', contentType: '' })],
    ['BAD_REQUEST', message({ to: 'bob', conversation: 'team' })],
    ['BAD_REQUEST', message({ to: 'bob', replyTo: -1 })],
    ['BAD_REQUEST', message({ to: 'bob', mentions: Array(257).fill('x') })],
    ['BAD_ID', message({})],
    ['BAD_ID', message({ to: '' })],
    ['BAD_ID', message({ to: 7 })],
    ['BAD_ID', message({ to: 'x'.repeat(129) })],
    ['BAD_ID', message({ to: '你'.repeat(43) })],
    ['BAD_ID', message({ to: 'bob', clientMsgId: '' })],
    ['BAD_ID', message({ conversation: 'direct:bob:alice' })],
    ['BAD_ID', message({ conversation: 'direct:alice' })],
    ['BAD_ID', command({ type: 'createGroup', conversation: 'direct:alice:bob', name: 'n', members: [] })],
    ['BAD_REQUEST', command({ type: 'createGroup', conversation: 'g', name: 'x'.repeat(257), members: [] })],
    ['BAD_REQUEST', command({ type: 'addMembers', conversation: 'g', members: [] })],
    ['BAD_REQUEST', command({ type: 'changeRole', conversation: 'g', member: 'bob', role: 'king' })],
    ['BAD_REQUEST', command({ type: 'teleport' })],
    ['BAD_REQUEST', { t: 'query', query: { type: 'everything' } }],
    ['BAD_REQUEST', { t: 'hello', token: 'x', device: 'd', resume: 'latest' }],
  ];
  for (const [code, request] of cases) t.match(await client.ask(request), { t: 'error', code });
  t.equal(client.closed, undefined, 'none of them ended the session');
  const fewer = await RawClient.greeted(gateway, 'alice', 'other', jsonCodec);
  fewer.raw(
    JSON.stringify({ t: 'send', id: 1, to: million.slice(0, 300_000), clientMsgId: 'm', contentType: 'x', text: '' }),
  );
  t.match(await fewer.answer(1), { code: 'BAD_ID' }, 'a long id that fits a frame');
  fewer.raw(JSON.stringify({ t: 'send', id: 2, to: million, clientMsgId: 'm', contentType: 'x', text: '' }));
  t.equal(await fewer.closeCode(), 1009, 'a million characters do not fit a frame');
  client.end();
});

t.test(
  'a forged cursor of the true epoch, far beyond the end, is not believed, and what comes live comes',
  async (t) => {
    const honest = await RawClient.greeted(gateway, 'honest3');
    await honest.ask(message({ to: 'honest3' }));
    await eventually(() => honest.entries.length === 1, 'it is delivered');
    const { epoch, seq } = await eventually(() => honest.frames.findLast(({ t }) => t === 'cursor'), 'a cursor');
    honest.end();
    for (const beyond of [2_000_000, Number.MAX_SAFE_INTEGER - (seq as number)]) {
      const forger = await RawClient.open(gateway);
      const resume = { epoch, seq: (seq as number) + beyond };
      forger.send({ t: 'hello', id: 1, token: await tokenFor('honest3'), device: 'forger', resume });
      t.match(await forger.frame('resync'), { reason: 'CURSOR_UNKNOWN' });
      const { length } = await eventually(() => forger.entries.length > 0 && forger.entries, 'the past');
      await forger.ask(message({ to: 'honest3' }));
      await eventually(() => forger.entries.length > length, 'what comes live');
      forger.end();
    }
  },
);

t.test('an unknown conversation and a foreign one answer alike', async (t) => {
  const [owner, stranger] = await Promise.all([
    RawClient.greeted(gateway, 'owner'),
    RawClient.greeted(gateway, 'stranger'),
  ]);
  const created = await owner.ask(
    command({ type: 'createGroup', conversation: 'secret', name: 'n', members: ['bob'] }),
  );
  t.match(created, { t: 'done' });
  await eventually(() => owner.entries.some(({ type }) => type === 'groupCreated'), 'the group is folded');
  for (const conversation of ['secret', 'no-such-group']) {
    for (const request of [
      message({ conversation }),
      command({ type: 'markRead', conversation, upTo: 1 }),
      command({ type: 'leaveGroup', conversation }),
      command({ type: 'renameGroup', conversation, name: 'mine' }),
      { t: 'query', query: { type: 'conversation', conversation } },
    ]) {
      const { id: _, ...answer } = await stranger.askUntilTaken(request);
      if (answer.t === 'error') t.same(answer, { t: 'error', code: 'NOT_A_MEMBER', message: 'refused: not a member' });
      else t.equal(await stranger.outcome(request), 'NOT_A_MEMBER', 'by the fold, where the worker had no time');
    }
  }
  t.equal(await stranger.outcome(message({ conversation: 'direct:alice:bob' })), 'NOT_A_MEMBER', "others' talk");
  t.match(await owner.ask(message({ conversation: 'secret' })), { t: 'sent' });
  owner.end();
  stranger.end();
});

t.test('an index that is not there yet is refused by the fold, and comes back', async (t) => {
  const client = await RawClient.greeted(gateway, 'reader');
  await client.ask(message({ to: 'bob' }));
  await client.ask(command({ type: 'markRead', conversation: 'direct:bob:reader', upTo: 99 }));
  const rejected = await eventually(() => client.entries.find(({ type }) => type === 'rejected'), 'it is returned');
  t.match(rejected, { code: 'INDEX_BEYOND_END', conversation: 'direct:bob:reader' });
  client.end();
});

t.test('wildcards, dots, spaces, line breaks and emoji in ids are ids like any other', async (t) => {
  const strange = [
    '*',
    '>',
    'conv.*.>',
    'a b',
    'x\r\nNats-Msg-Id: y',
    '👩‍👩‍👧',
    '陈晨',
    '\u0000',
    '~abc',
    '\ufeffbom',
    '../..',
    '$JS.API.>',
  ];
  for (const [k, id] of strange.entries()) {
    const sender = await RawClient.greeted(gateway, id, id);
    const group = `group ${id}`;
    const create = {
      t: 'command',
      clientMsgId: id,
      command: { type: 'createGroup', conversation: group, name: 'n', members: [`other${id}`] },
    };
    t.match(await sender.askUntilTaken(create), { t: 'done' }, JSON.stringify(id));
    t.match(await sender.ask(message({ conversation: group, clientMsgId: `${id}${k}` })), { t: 'sent' });
    t.match(await sender.ask(message({ to: `other${id}` })), { t: 'sent' });
    await eventually(() => sender.entries.length >= 3, `delivered to ${JSON.stringify(id)}`);
    t.same(sender.entries.map((entry) => [entry.conversation === group, entry.by, entry.n]).sort(), [
      [false, id, 1],
      [true, id, 1],
      [true, id, 2],
    ]);
    sender.end();
  }
});

t.test('tokens that are not good close with the code that says what to do', async (t) => {
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"alice","exp":9999999999}').toString('base64url')}.`;
  const good = await tokenFor('alice');
  const tampered = good.replace(
    /\.[^.]+\./,
    `.${Buffer.from('{"sub":"root","exp":9999999999}').toString('base64url')}.`,
  );
  const cases: readonly [string, string][] = [
    ['TOKEN_INVALID', none],
    ['TOKEN_INVALID', tampered],
    ['TOKEN_INVALID', 'x'],
    ['TOKEN_INVALID', await tokenFor('alice', { secret: 'another secret of thirty-two bytes!!' })],
    ['TOKEN_INVALID', await tokenFor('')],
    ['TOKEN_INVALID', await tokenFor('x'.repeat(129))],
    ['TOKEN_INVALID', await tokenFor('alice', { device: 'another' })],
    ['TOKEN_EXPIRED', await tokenFor('alice', { lifetimeMs: -60_000 })],
  ];
  for (const [code, token] of cases) {
    const client = await RawClient.open(gateway);
    client.send({ t: 'hello', id: 1, token, device: 'd', resume: 'latest' });
    t.equal(await client.closeCode(), closeCodes[code as keyof typeof closeCodes], token.slice(0, 40));
    t.notOk(client.frames.some((frame) => frame.t === 'welcome'));
  }
});

t.test('nothing is taken before the hello, and the hello must come', async (t) => {
  const early = await RawClient.open(gateway);
  t.match(await early.ask(message({ to: 'bob' })), { code: 'HELLO_EXPECTED' });
  t.equal(await early.closeCode(), closeCodes.HELLO_TIMEOUT);
});

t.test('who offers no subprotocol of ours is told so', async (t) => {
  for (const offered of [[], ['chat'], ['chat', 'soap']]) {
    t.equal(await new RawClient(gateway, offered).closeCode(), closeCodes.UNSUPPORTED_SUBPROTOCOL, offered.join());
  }
  const both = new RawClient(gateway, ['chat', jsonCodec.subprotocol, msgpackCodec.subprotocol]);
  await eventually(() => both.ws.protocol !== '', 'the handshake');
  t.equal(both.ws.protocol, msgpackCodec.subprotocol);
  both.end();
});
