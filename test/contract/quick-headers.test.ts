/** What is read of a message from its bytes is what nats.js reads of it. */
import { headers, type Msg } from '@nats-io/nats-core';
import t from 'tap';
import { parseDelivery } from '../../src/adapters/jetstream/messages/delivery-subject.ts';
import { headersOf } from '../../src/adapters/jetstream/messages/quick-headers.ts';
import { startNats } from '../support/nats.ts';

const nats = await startNats();
t.teardown(() => nats.stop());
const { nc, inboxPrefix } = await nats.connect('operator');
const subject = `${inboxPrefix}.quick`;

/** As they come back from the server, all of them before the first is looked at. */
async function sent(
  messages: readonly (readonly [string, readonly (readonly [string, string])[] | undefined, string])[],
) {
  const { promise, resolve } = Promise.withResolvers<Msg[]>();
  const received: Msg[] = [];
  const subscription = nc.subscribe(`${subject}.>`, {
    callback: (_error, message) => {
      if (received.push(message) === messages.length) resolve(received);
    },
  });
  await nc.flush();
  for (const [more, pairs, data] of messages) {
    const about = pairs && headers();
    for (const [name, value] of pairs ?? []) about?.append(name, value);
    nc.publish(`${subject}.${more}`, data, { ...(about && { headers: about }), reply: `${subject}.reply` });
  }
  const all = await promise;
  subscription.unsubscribe();
  return all;
}

const slowly = ({ headers }: Msg) => headers && [...headers].map(([name, values]) => [name, values[0]]);

t.test('headers of every kind', async (t) => {
  const large = 'x'.repeat(200_000);
  const messages = await sent([
    ['plain', undefined, 'no headers'],
    ['empty', undefined, ''],
    [
      'usual',
      [
        ['Nats-Msg-Id', 'room:alice:1'],
        ['Rookery-At', '000001795958669'],
      ],
      'data',
    ],
    [
      'colons',
      [
        ['A', 'one: two: three'],
        ['B', ':'],
      ],
      'data',
    ],
    [
      'nothing',
      [
        ['A', ''],
        ['B', 'b'],
      ],
      '',
    ],
    [
      'twice',
      [
        ['A', 'first'],
        ['B', 'b'],
        ['A', 'second'],
      ],
      'data',
    ],
    [
      'chinese',
      [
        ['A', '陈晨'],
        ['B', 'b'],
      ],
      'data',
    ],
    ['陈晨', [['A', 'a']], 'a subject that is no ASCII'],
    ['陈晨', undefined, 'NATS/1.0\r\nA: b\r\n\r\n'],
    ['spaces', [['A', 'inner  spaces stay']], 'data'],
    ['forged', undefined, 'NATS/1.0\r\nA: b\r\n\r\ndata'],
    ['large', [['A', 'over several reads of the socket']], large],
    ['after', [['A', 'b']], 'NATS/1.0\r\n\r\n'],
  ]);
  for (const message of messages) {
    t.same(headersOf(message, message.data), slowly(message), message.subject);
  }
});

t.test('what a consumer says of a delivery, in all its forms', async (t) => {
  const expected = { streamSeq: 12_345, consumerSeq: 77, atMs: 1_790_000_000_123, pending: 9 };
  const numbers = '1.12345.77.1790000000123999999.9';
  t.same(parseDelivery(`$JS.ACK.CONV_0.abc.${numbers}`), expected);
  t.same(parseDelivery(`$JS.ACK.domain.account.CONV_0.abc.${numbers}`), expected);
  t.same(parseDelivery(`$JS.ACK._.account.CONV_0.abc.${numbers}.token`), expected);
  for (const other of ['_INBOX.x.y', '$JS.ACK.CONV_0.abc', '']) t.equal(parseDelivery(other), undefined, other);
});
