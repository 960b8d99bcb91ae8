/** Events that are read by hand are those that are read in full. */
import fc from 'fast-check';
import t from 'tap';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { LOG_SCHEMA_VERSION, sealed } from '../../src/protocol/log-envelope.ts';
import { decodedInFull, decodeLogEvent } from '../../src/protocol/log-event.ts';
import { QuickEvents } from '../../src/protocol/quick-event.ts';

const quick = new QuickEvents(LOG_SCHEMA_VERSION);

/** What an id or a type may be, and what it may not. */
const anyText = fc.oneof(
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.uuid({ version: 7 }),
  fc.constantFrom('alice', 'bob', '陈晨', '', 'a\u0000b', 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(300)),
);
const anyNumber = fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeInteger(), fc.double(), fc.constantFrom(-1, 2 ** 32));
const anyBody = fc.uint8Array({ maxLength: 70_000, size: 'large' });
const anyEvent = fc.oneof(
  fc.record(
    {
      type: fc.constant('messageSent'),
      by: anyText,
      id: anyText,
      contentType: anyText,
      body: anyBody,
      replyTo: anyNumber,
    },
    { requiredKeys: ['type', 'by', 'id', 'contentType', 'body'] },
  ),
  fc.record({ type: fc.constant('messageSent'), by: anyText, id: anyText, contentType: anyText, body: anyText }),
  fc.record({ type: fc.constant('conversationRead'), by: anyText, id: anyText, upTo: anyNumber }),
  fc.record({ by: anyText, type: fc.constant('messageSent'), id: anyText, contentType: anyText, body: anyBody }),
);

/** What it is, or why it is none. */
function told(read: (data: Uint8Array) => ConversationEvent, data: Uint8Array): unknown {
  try {
    const event = read(data);
    return 'body' in event ? { ...event, body: Buffer.from(event.body).toString('hex') } : event;
  } catch (error) {
    return (error as Error).message;
  }
}

t.test('whatever is written, it is the same read by hand and read in full', async (t) => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const data = sealed(event);
      t.same(told(decodeLogEvent, data), told(decodedInFull, data));
    }),
    { numRuns: 1_000 },
  );
});

t.test('whatever becomes of its bytes, it is the same read by hand and read in full', async (t) => {
  const change = fc.record({ at: fc.nat(120), byte: fc.nat(255), cut: fc.option(fc.nat(120), { nil: undefined }) });
  fc.assert(
    fc.property(anyEvent, change, (event, { at, byte, cut }) => {
      const data = new Uint8Array(sealed(event)).slice(0, cut);
      if (at < data.length) data[at] = byte;
      t.same(told(decodeLogEvent, data), told(decodedInFull, data));
    }),
    { numRuns: 2_000 },
  );
});

t.test('the usual ones are read by hand', async (t) => {
  const message = { type: 'messageSent', by: 'alice', id: 'one', contentType: 'text/plain', body: new Uint8Array(300) };
  t.same(quick.read(sealed(message)), { ...message, body: Buffer.alloc(300) });
  t.same(quick.read(sealed({ type: 'conversationRead', by: 'bob', id: 'two', upTo: 70_000 })), {
    ...{ type: 'conversationRead', by: 'bob', id: 'two' },
    upTo: 70_000,
  });
  t.equal(quick.read(sealed({ ...message, replyTo: 3 })), undefined, 'anything else is left to who reads everything');
});
