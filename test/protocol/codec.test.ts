import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { isFitName } from '../../src/domain/names.ts';
import { type Codec, codecs, jsonCodec, msgpackCodec } from '../../src/protocol/codec.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { DEFAULT_MAX_BODY_BYTES } from '../../src/protocol/limits.ts';
import { parseClientFrame, requestIdOf } from '../../src/protocol/validation.ts';

/** Well-formed, 1 to 128 bytes of UTF-8, of all planes. */
const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => {
  const { length } = Buffer.from(text);
  return length > 0 && length <= 128 && !text.startsWith('direct:');
});
const whole = fc.maxSafeNat();
const requestId = fc.maxSafeInteger();
const body = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
);
const line = (max: number) => fc.string({ minLength: 1, maxLength: max });
const members = fc.array(id, { minLength: 1, maxLength: 5 });

const content = fc.record(
  {
    contentType: line(127),
    body: body.map((bytes) => new Uint8Array(bytes)),
    keyId: line(128),
    replyTo: whole,
    mentions: fc.array(id, { maxLength: 4 }),
    expiresAt: whole,
  },
  { requiredKeys: ['contentType', 'body'] },
);
const address = fc.oneof(fc.record({ to: id }), fc.record({ conversation: id }));
const send = fc
  .tuple(fc.record({ t: fc.constant('send'), id: requestId, clientMsgId: id }), address, content)
  .map(([head, target, rest]) => ({ ...head, ...target, ...rest }));
const command = fc.record({
  t: fc.constant('command'),
  id: requestId,
  clientMsgId: id,
  command: fc.oneof(
    fc.record({ type: fc.constant('createGroup'), conversation: id, name: line(256).filter(isFitName), members }),
    fc.record({ type: fc.constantFrom('addMembers', 'removeMembers'), conversation: id, members }),
    fc.record({ type: fc.constantFrom('leaveGroup', 'dissolveGroup'), conversation: id }),
    fc.record({
      type: fc.constant('changeRole'),
      conversation: id,
      member: id,
      role: fc.constantFrom('owner', 'admin', 'member'),
    }),
    fc.record({ type: fc.constantFrom('markRead', 'markDelivered'), conversation: id, upTo: whole }),
    fc.record({ type: fc.constantFrom('blockUser', 'unblockUser'), user: id }),
  ),
});
const hello = fc.record(
  {
    t: fc.constant('hello'),
    id: requestId,
    token: line(200),
    device: id,
    resume: fc.oneof(fc.constantFrom('latest', 'everything'), fc.record({ epoch: line(64), seq: whole })),
    onGap: fc.constantFrom('replay', 'changes'),
  },
  { requiredKeys: ['t', 'id', 'token', 'device', 'resume'] },
);
const query = fc.record(
  {
    t: fc.constant('query'),
    id: requestId,
    query: fc.record({ type: fc.constant('changes'), since: whole }),
    reached: line(64),
  },
  { requiredKeys: ['t', 'id', 'query'] },
);
const clientFrame: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  send,
  command,
  hello,
  query,
  fc.record({ t: fc.constant('confirm'), seq: whole }),
);

const read = (codec: Codec, data: Uint8Array): unknown => parseClientFrame(codec.decode(data), DEFAULT_MAX_BODY_BYTES);

/** Compared by what is in them: one codec gives a Buffer, the other a Uint8Array; fast-check gives no prototypes. */
const plain = (frame: object): object =>
  structuredClone('body' in frame ? { ...frame, body: Buffer.from(frame.body as Uint8Array).toString('hex') } : frame);
const same = (one: unknown, other: unknown): boolean => isDeepStrictEqual(plain(one as object), plain(other as object));

/** What the frame is read as, or the code it is refused with. Anything else thrown is a defect and goes through. */
function outcome(codec: Codec, data: Uint8Array): string {
  try {
    return (read(codec, data) as { t: string }).t;
  } catch (error) {
    if (error instanceof RookeryError) return error.code;
    throw error;
  }
}

const REFUSALS = ['BAD_FRAME', 'UNKNOWN_FRAME', 'BAD_REQUEST', 'BAD_ID', 'BAD_NAME', 'BODY_TOO_LARGE'];
const OUTCOMES = new Set([...REFUSALS, 'hello', 'send', 'command', 'query', 'confirm', 'ping']);

for (const codec of codecs) {
  t.test(`${codec.subprotocol}: a frame is read as it was written`, async (t) => {
    fc.assert(fc.property(clientFrame, (frame) => same(read(codec, codec.encode(frame)), frame)));
    t.pass();
  });

  t.test(`${codec.subprotocol}: what is read and written again is the same frame`, async (t) => {
    fc.assert(
      fc.property(clientFrame, (frame) => {
        const once = read(codec, codec.encode(frame)) as object;
        return same(read(codec, codec.encode(once)), frame);
      }),
    );
    t.pass();
  });

  t.test(`${codec.subprotocol}: no bytes do more than be refused`, async (t) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (data) => OUTCOMES.has(outcome(codec, data))),
      { numRuns: 2_000 },
    );
    t.pass();
  });

  t.test(`${codec.subprotocol}: no frame with bytes changed, cut or doubled does more than be refused`, async (t) => {
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.boolean() });
    fc.assert(
      fc.property(clientFrame, fc.array(change, { minLength: 1, maxLength: 4 }), (frame, changes) => {
        let data = Uint8Array.from(codec.encode(frame));
        for (const { at, to, cut } of changes) {
          if (data.length === 0) break;
          if (cut) data = data.slice(0, at % data.length);
          else data[at % data.length] = to;
        }
        return OUTCOMES.has(outcome(codec, data));
      }),
      { numRuns: 2_000 },
    );
    t.pass();
  });

  t.test(`${codec.subprotocol}: a value of another type in a field is refused with a code`, async (t) => {
    const other = fc.oneof(
      fc.constantFrom(null, true, -1, 1.5, '', [], {}),
      fc.string({ maxLength: 3 }),
      fc.constant('x'.repeat(100_000)),
      fc.dictionary(fc.string(), fc.integer(), { maxKeys: 3 }),
    );
    fc.assert(
      fc.property(clientFrame, fc.nat(), other, (frame, pick, value) => {
        const keys = Object.keys(frame);
        const changed = { ...frame, [keys[pick % keys.length] as string]: value };
        return OUTCOMES.has(outcome(codec, codec.encode(changed)));
      }),
      { numRuns: 1_000 },
    );
    t.pass();
  });
}

t.test('both encodings tell the same frame', async (t) => {
  fc.assert(
    fc.property(clientFrame, (frame) =>
      same(read(jsonCodec, jsonCodec.encode(frame)), read(msgpackCodec, msgpackCodec.encode(frame))),
    ),
  );
  t.pass();
});

t.test('bytes that are no text pass JSON as base64, text as text', async (t) => {
  const written = (bytes: number[]): object =>
    JSON.parse(Buffer.from(jsonCodec.encode({ body: Buffer.from(bytes) })).toString());
  t.same(written([0xff, 0x00]), { base64: '/wA=' });
  t.same(written([0xe4, 0xbd, 0xa0]), { text: '你' });
  t.same(written([0xef, 0xbb, 0xbf, 0x61]), { text: '\ufeffa' }, 'a byte order mark is part of the body');
  t.same(outcome(jsonCodec, Buffer.from('{"t":"send","base64":"*"}')), 'BAD_FRAME');
});

t.test('deep nesting is refused, not a crash', async (t) => {
  const deepJson = Buffer.from('['.repeat(200_000) + ']'.repeat(200_000));
  const deepMsgpack = new Uint8Array(200_000).fill(0x91);
  t.equal(outcome(jsonCodec, deepJson), 'BAD_FRAME');
  t.equal(outcome(msgpackCodec, deepMsgpack), 'BAD_FRAME');
});

t.test('a length that promises more than is there is refused at once', async (t) => {
  for (const head of [
    [0xdf, 0xff, 0xff, 0xff, 0xff],
    [0xdd, 0xff, 0xff, 0xff, 0xff],
    [0xc6, 0xff, 0xff, 0xff, 0xff],
  ]) {
    const began = performance.now();
    t.equal(outcome(msgpackCodec, Uint8Array.from(head)), 'BAD_FRAME');
    t.ok(performance.now() - began < 500, 'no allocation as large as promised');
  }
});

t.test("a frame's fields never reach the prototype of objects", async (t) => {
  outcome(jsonCodec, Buffer.from('{"t":"ping","__proto__":{"polluted":1}}'));
  outcome(msgpackCodec, msgpackCodec.encode({ t: 'ping', ['__proto__']: { polluted: 1 } }));
  t.equal(({} as { polluted?: number }).polluted, undefined);
});

t.test('a refused frame can still be named by its request', async (t) => {
  t.equal(requestIdOf(msgpackCodec.decode(msgpackCodec.encode({ t: 'send', id: 7 }))), 7);
  for (const value of [undefined, null, 3, 'x', [], { id: '7' }, { id: 1.5 }]) t.equal(requestIdOf(value), undefined);
});

t.test('of MessagePack only what is plain is read', async (t) => {
  const isRefused = (...data: number[]): void => {
    t.throws(() => msgpackCodec.decode(Uint8Array.from(data)), { code: 'BAD_FRAME' }, data.slice(0, 8).join(' '));
  };
  isRefused(0xdd, 0x01, 0xe8, 0x48, 0x00); // a list that announces 32 million
  isRefused(0xdf, 0xff, 0xff, 0xff, 0xff);
  isRefused(0xc6, 0x7f, 0xff, 0xff, 0xff, 0x00);
  isRefused(...Array.from({ length: 40 }, () => 0x91), 0xc0); // too deep
  isRefused(0xd4, 0x65, 0x00); // extensions
  isRefused(0xc7, 0x01, 0x72, 0x00);
  isRefused(0xc1);
  isRefused(0xc0, 0xc0); // two values
  isRefused(0xd9);
  isRefused();
});

t.test('whatever we write is plain', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.anything({ withDate: false, maxDepth: 4 }), fc.uint8Array({ maxLength: 300 }), (value, body) => {
        const frame = {
          value: JSON.parse(JSON.stringify({ value })),
          body,
          n: 2 ** 40,
          at: 1.5,
          long: 'é'.repeat(body.length),
        };
        const decoded = msgpackCodec.decode(msgpackCodec.encode(frame)) as typeof frame;
        return decoded.long === frame.long && decoded.body.length === body.length && decoded.n === frame.n;
      }),
    ),
  );
});

t.test('half a surrogate pair is no text', async (t) => {
  const send = (fields: object) => () =>
    parseClientFrame(
      { t: 'send', id: 1, to: 'bob', clientMsgId: 'x', contentType: 'text/plain', body: new Uint8Array(0), ...fields },
      100,
    );
  t.throws(send({ contentType: 'x\ud800y' }), { code: 'BAD_REQUEST' });
  t.throws(send({ keyId: '\udfff' }), { code: 'BAD_REQUEST' });
  t.doesNotThrow(send({ keyId: '🗝' }));
});

t.test('the free fields of a profile may be called what a body is called in JSON', async (t) => {
  const frame = { t: 'command', command: { type: 'changeProfile', profile: { fields: { text: 'a', base64: '*' } } } };
  for (const codec of [jsonCodec, msgpackCodec]) t.same(codec.decode(codec.encode(frame)), frame, codec.subprotocol);
});
