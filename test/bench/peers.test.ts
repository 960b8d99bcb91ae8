/** What other messengers really said, recorded byte by byte, is understood; and what they do wrong is found. */
import t, { type Test } from 'tap';
import { type WebSocket, WebSocketServer } from 'ws';
import { Places } from '../../bench/load/peer.ts';
import { centrifugo } from '../../bench/load/peers/centrifugo.ts';
import type { PeerProtocol } from '../../bench/load/peers/protocol.ts';
import { wukongim } from '../../bench/load/peers/wukongim.ts';
import { eventually } from '../support/waiting.ts';

/** Asked and answered, of version 6.9.1: connect, subscribe, publish. */
const CENTRIFUGO: readonly (readonly [asked: string, answers: readonly string[]])[] = [
  [
    '0408012200',
    [
      '3908012a350a2433373465303438372d666165302d343965612d383632662d6661666133383163363164621209302e302e30204f535338194001',
    ],
  ],
  ['0c08022a080a06726f6f6d2d37', ['120802320e1801320868486d456743436b5001']],
  [
    '1108083a0d0a06726f6f6d2d371203636177',
    [
      '4522431206726f6f6d2d37223922036361772a26122433373465303438372d666165302d343965612d383632662d6661666133383163363164623001720868486d456743436b0408084200',
      // A ping.
      '00',
    ],
  ],
  ['00', []],
];

/** Of version 2.2.5: connect, send, what it was refused with while the server was still starting, and once more; the ack of what was received. */
const WUKONGIM: typeof CENTRIFUGO = [
  ['101b0500000562656e6368000467376d30000000000000000000000000', ['211605000001a22e45d1c701000000000000000000000001']],
  [
    '3019000000000500026d35000467376d3101000000000000636177',
    ['40111d866e419d00100000000005000000000f', '40111d866e54f8801000000000050000000101'],
  ],
  [
    '3019000000000600026d36000467376d3101000000000000636177',
    ['502b000000000467376d30000467376d30010000000000026d351d866e54f8801000000000016b0de4f3636177'],
  ],
  ['600c1d866e54f880100000000001', []],
];

/** A server that says what was recorded. @returns all that it was asked */
async function recorded(t: Test, story: typeof CENTRIFUGO) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  const asked: string[] = [];
  let open: WebSocket | undefined;
  server.on('connection', (client) => {
    open = client;
    client.on('message', (data: Buffer) => {
      const [expected, answers] = story[asked.length] ?? ['', []];
      asked.push(data.toString('hex'));
      if (asked.at(-1) === expected) for (const answer of answers) client.send(Buffer.from(answer, 'hex'));
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  t.teardown(() => {
    open?.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as { port: number }).port}/`, asked };
}

async function spoken(t: Test, protocol: PeerProtocol, story: typeof CENTRIFUGO, numbers: number[]) {
  const { url, asked } = await recorded(t, story);
  const heard: unknown[] = [];
  const device = await protocol.enter(
    { url, room: 7, member: 0, members: 2 },
    {
      message: (place, body) => heard.push([place, Buffer.from(body).toString()]),
      acked: (number) => heard.push(['acked', number]),
      refused: (number, reason) => heard.push(['refused', number, reason]),
    },
  );
  for (const number of numbers) device.send(number, Buffer.from('caw'));
  await eventually(() => asked.length === story.length, 'all was asked');
  t.same(
    asked,
    story.map(([expected]) => expected),
  );
  return heard;
}

t.test('Centrifugo: connects, subscribes, publishes, answers a ping', async (t) => {
  t.same(await spoken(t, centrifugo, CENTRIFUGO, [5]), [
    [1, 'caw'],
    ['acked', 5],
  ]);
});

t.test('WuKongIM: connects, sends, acks what it receives', async (t) => {
  t.same(await spoken(t, wukongim, WUKONGIM, [5, 6]), [
    ['refused', 5, 'reason 15'],
    ['acked', 5],
    [1, 'caw'],
  ]);
});

t.test('what comes twice, before its place, or is another one at its place, is found', async (t) => {
  const places = new Places(2);
  t.same([places.receive(0, 1, 10), places.receive(0, 2, 11), places.receive(0, 2, 11)], [true, true, false]);
  t.same({ doubled: places.doubled, outOfOrder: places.outOfOrder }, { doubled: 1, outOfOrder: 0 });
  t.same([places.receive(1, 2, 11), places.receive(1, 1, 10)], [true, true]);
  t.equal(places.outOfOrder, 1, 'late');
  places.receive(0, 3, 12);
  places.receive(1, 3, 13);
  t.equal(places.outOfOrder, 2, 'another one');
});
