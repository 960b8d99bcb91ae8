/** What is taken from the bytes of a socket, and what of them is left to nats.js, wherever they are cut. */
import type { NatsConnection } from '@nats-io/nats-core';
import fc from 'fast-check';
import t from 'tap';
import { DeliveredRecord } from '../../src/adapters/jetstream/messages/delivered-record.ts';
import { DeliveriesInPlace } from '../../src/adapters/jetstream/messages/deliveries-in-place.ts';

const SID = 7;
const NONE = () => undefined;

interface Sent {
  /** Of the delivery. */
  readonly sid?: number;
  readonly consumer?: string;
  readonly subject?: string;
  readonly headers?: string;
  readonly data: Buffer;
}

let deliveries = 0;
function delivery({ sid = SID, consumer = 'span-1', subject = 'conv.9.a.m', headers, data }: Sent): Buffer {
  deliveries += 1;
  const reply = `$JS.ACK.CONV_0.${consumer}.1.${deliveries + 90}.${deliveries}.1700000000123456789.${deliveries % 40}`;
  const text = headers ?? `NATS/1.0\r\nNats-Msg-Id: a:b:${deliveries}\r\n\r\n`;
  const bytes = Buffer.byteLength(text);
  const head = `HMSG ${subject} ${sid} ${reply} ${bytes} ${bytes + data.length}\r\n${text}`;
  return Buffer.concat([Buffer.from(head), data, Buffer.from('\r\n')]);
}

/** A connection that is told chunks; what was taken, and what was left to nats.js, in order. */
function connection(state = 0) {
  const told: string[] = [];
  const inner = { state, parse: (chunk: Uint8Array) => void told.push(Buffer.from(chunk).toString('latin1')) };
  const protocol: { parser: { parse(chunk: Uint8Array): void } } = { parser: inner };
  return { nc: { protocol } as unknown as NatsConnection, protocol, told };
}

function taking(told: string[], nc: NatsConnection) {
  const record = new DeliveredRecord(SID, 'CONV_0', 'span-1');
  return DeliveriesInPlace.take(nc, { delivery: record, take: () => void told.push(shown(record)), heard: NONE });
}

const shown = (record: DeliveredRecord): string => {
  const { data, ...rest } = record.whole();
  const { consumerSeq, pending } = record;
  return JSON.stringify({ ...rest, consumerSeq, pending, data: Buffer.from(data).toString('latin1') });
};

const data = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 30_000, max: 400_000 }).map((size) => Buffer.alloc(size, 'HMSG a.b 7 \r\n')),
);
const kept = `NATS/1.0\r\nRookery-Msg-Id: a\r\nNats-Expected-Last-Sequence: 3\r\nRookery-At: 000001234567890\r\n\r\n`;
const usual = fc.record({ data, headers: fc.constantFrom(undefined, kept) });
const unusual = fc.oneof(
  data.map((one) => delivery({ data: one, sid: SID + 70 })),
  data.map((one) => delivery({ data: one, consumer: 'span-2' })),
  data.map((one) => delivery({ data: one, headers: 'NATS/1.0\r\nOther: x\r\n\r\n' })),
  data.map((one) => delivery({ data: one, headers: kept.replace('\r\n\r\n', '\r\nMore: x\r\n\r\n') })),
  data.map((one) => delivery({ data: one, headers: kept.replace(': a', ': 房间') })),
  data.map((one) => delivery({ data: one, headers: kept.replace('000001', '1') })),
  fc
    .constantFrom(
      ...['PING\r\n', 'PONG\r\n', '+OK\r\n', 'INFO {"a":1}\r\n', 'MSG a.b 7 3\r\nabc\r\n', 'MSG a.b 7 c.d 0\r\n\r\n'],
      'HMSG _INBOX.a 7 31 31\r\nNATS/1.0 100 Idle Heartbeat\r\n\r\n\r\n',
    )
    .map((text) => Buffer.from(text, 'latin1')),
);

t.test(
  'each delivery is taken whole and in its order, and all else is left whole, wherever the bytes are cut',
  async () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 3, arbitrary: usual }, unusual), { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(2_000_000), { maxLength: 20 }),
        (pieces, cuts) => {
          deliveries = 0;
          const { nc, protocol, told } = connection();
          taking(told, nc);
          const expected: string[] = [];
          const stream: Buffer[] = [];
          for (const piece of pieces) {
            const bytes = Buffer.isBuffer(piece)
              ? piece
              : delivery({ data: piece.data, ...(piece.headers && { headers: piece.headers }) });
            stream.push(bytes);
            expected.push(Buffer.isBuffer(piece) ? bytes.toString('latin1') : expectedOf(piece));
          }
          const all = Buffer.concat(stream);
          const at = [...new Set([0, ...cuts.map((cut) => cut % all.length), all.length])].sort((a, b) => a - b);
          for (let i = 1; i < at.length; i++) protocol.parser.parse(new Uint8Array(all.subarray(at[i - 1], at[i])));
          return expected.length === told.length && expected.every((one, i) => one === told[i]);
        },
      ),
      { numRuns: 150 },
    );
  },
);

function expectedOf({ headers, data }: { headers?: string | undefined; data: Buffer }): string {
  return JSON.stringify({
    seq: deliveries + 90,
    at: headers ? 1_234_567_890 : 1_700_000_000_123,
    subject: 'conv.9.a.m',
    messageId: headers ? 'a' : `a:b:${deliveries}`,
    headers: [],
    consumerSeq: deliveries,
    pending: deliveries % 40,
    data: data.toString('latin1'),
  });
}

t.test('who ends taking leaves all that comes afterwards to nats.js, and whatever was there in part', async (t) => {
  deliveries = 0;
  const { nc, protocol, told } = connection();
  const end = taking(told, nc);
  const [first, second, third] = [1, 2, 3].map(() => delivery({ data: Buffer.from('x') })) as [Buffer, Buffer, Buffer];
  protocol.parser.parse(new Uint8Array(Buffer.concat([first, second.subarray(0, 20)])));
  end();
  protocol.parser.parse(new Uint8Array(second.subarray(20)));
  protocol.parser.parse(new Uint8Array(third));
  t.match(told[0], /"seq":91/);
  t.same(told.slice(1), [second.toString('latin1'), third.toString('latin1')]);
  taking(told, nc);
  protocol.parser.parse(new Uint8Array(delivery({ data: Buffer.from('y') })));
  t.match(told[3], /"seq":94/);
});

t.test('in the middle of what nats.js reads, and beside another taker, nothing is taken', async (t) => {
  const inTheMiddle = connection(3);
  const { parser } = inTheMiddle.protocol;
  taking(inTheMiddle.told, inTheMiddle.nc);
  t.equal(inTheMiddle.protocol.parser, parser);

  deliveries = 0;
  const { nc, protocol, told } = connection();
  const end = taking(told, nc);
  const others: string[] = [];
  taking(others, nc)();
  protocol.parser.parse(new Uint8Array(delivery({ data: Buffer.from('x') })));
  t.match(told, [/"seq":91/]);
  end();
  t.same(others, []);
});
