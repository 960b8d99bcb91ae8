/** Messages that leave packed arrive as those that nats.js writes one by one. */
import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/nats-core';
import t from 'tap';
import { PackedPublishing } from '../../src/adapters/jetstream/messages/packed-publishing.ts';
import { WrittenHeaders } from '../../src/adapters/jetstream/messages/written-headers.ts';
import { bytes } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const nats = await startNats();
t.teardown(() => nats.stop());
const { nc, inboxPrefix } = await nats.connect('operator');
const subject = `${inboxPrefix}.packed`;

const arrived: Msg[] = [];
nc.subscribe(`${subject}.>`, { callback: (_error, message) => void arrived.push(message) });
await nc.flush();

const written = (value: string): MsgHdrs => WrittenHeaders.of(`NATS/1.0\r\nName: ${value}\r\n\r\n`);
const shown = ({ subject, reply, headers, data }: Msg) => ({
  ...{ subject, reply, name: headers?.get('Name') },
  data: Buffer.from(data).toString('latin1'),
});

t.test('in order, whatever they are: empty, large, in another script, without headers', async (t) => {
  const messages: [string, Uint8Array, MsgHdrs | undefined][] = [
    ['empty', new Uint8Array(0), written('a')],
    ['binary', new Uint8Array([0, 13, 10, 255]), written('room:alice:1')],
    ['script', bytes('你好'), written('房间')],
    ['large', new Uint8Array(200_000).fill(7), written('b')],
    ['bare', bytes('no headers'), undefined],
    // So many that the buffer is filled several times.
    ...Array.from({ length: 300 }, (_, i) => [`many.${i}`, new Uint8Array(i * 10), written(`${i}`)] as const).map(
      ([name, data, headers]): [string, Uint8Array, MsgHdrs] => [name, data, headers],
    ),
    ['last', bytes('last'), written('c')],
  ];
  const packed = new PackedPublishing(nc);
  const of = (options: { headers?: MsgHdrs | undefined }) => ({
    reply: `${subject}.reply`,
    ...(options.headers && { headers: options.headers }),
  });
  for (const [name, data, headers] of messages) packed.publish(`${subject}.${name}`, data, of({ headers }));
  t.ok(arrived.length === 0, 'nothing arrives in this very turn');
  packed.sendAll();
  await eventually(async () => arrived.length === messages.length, 'all of them');
  const once = arrived.splice(0).map(shown);
  for (const [name, data, headers] of messages) nc.publish(`${subject}.${name}`, data, of({ headers }));
  await eventually(async () => arrived.length === messages.length, 'all of them once more');
  t.same(once, arrived.splice(0).map(shown));
});

t.test('a pack is written into again once all that is in it has arrived, and not before', async (t) => {
  const sent: { readonly pack: Uint8Array; readonly was: string }[] = [];
  const protocol = {
    sendCommand: (pack: Uint8Array) => void sent.push({ pack, was: Buffer.from(pack).toString('latin1') }),
    flushPending: () => undefined,
  };
  const packed = new PackedPublishing({ protocol } as unknown as NatsConnection);
  const isAsItWas = ({ pack, was }: (typeof sent)[number]): boolean => Buffer.from(pack).toString('latin1') === was;
  const publish = (count: number): void => {
    for (let i = 0; i < count; i++) packed.publish('a.b', new Uint8Array(1_000).fill(i), { headers: written(`${i}`) });
  };
  publish(500);
  packed.sendAll();
  const first = sent.splice(0);
  packed.arrived(120);
  publish(500);
  packed.sendAll();
  const memory = new Set(first.map(({ pack }) => pack.buffer));
  t.ok(sent.some(({ pack }) => memory.has(pack.buffer)));
  // At 1,000 bytes and some each, the first has 60 or so in it.
  t.same(
    first.map(isAsItWas),
    [...Array(first.length).keys()].map((i) => i > 0),
  );
  t.ok(sent.every(isAsItWas));
});

t.test('what is no subject is refused, and nothing else of it leaves', async (t) => {
  const packed = new PackedPublishing(nc);
  const options = { reply: `${subject}.reply`, headers: written('a') };
  packed.publish(`${subject}.before`, bytes('before'), options);
  for (const bad of ['', `${subject}.a b`, `${subject}.a 0\r\n\r\nPUB ${subject}.smuggled 0\r\n\r\n`, 'a\tb']) {
    t.throws(() => packed.publish(bad, bytes('x'), options), { name: 'InvalidSubjectError' });
  }
  packed.publish(`${subject}.behind`, bytes('behind'), options);
  packed.sendAll();
  await eventually(async () => arrived.length === 2, 'the two others');
  await nc.flush();
  t.same(
    arrived.splice(0).map(({ subject }) => subject),
    [`${subject}.before`, `${subject}.behind`],
  );
});
