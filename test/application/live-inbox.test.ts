import t from 'tap';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { Device } from '../../src/application/delivery/device.ts';
import { LiveInbox } from '../../src/application/delivery/live-inbox.ts';
import type { DeliveryParts } from '../../src/application/delivery/parts.ts';
import { TestConnection } from '../support/connection.ts';
import { device, user } from '../support/given.ts';
import { copy, marker } from '../support/inbox-records.ts';
import { quiet } from '../support/nats.ts';

const limits = {
  maxBufferedBytes: 1_000,
  ringMaxBytes: 100_000,
  ringMaxEntries: 100,
  maxColdEntries: 10,
  maxReplayEvents: 10,
};
const parts = { frameOnWire, limits, log: quiet } as unknown as DeliveryParts;

/** The stream `e`, with the past that its one marker gives it. */
const EPOCH = 'e.1-1';

function scene() {
  const left: Device[] = [];
  const inbox = new LiveInbox(0, 'e', 1, parts, (each) => left.push(each));
  inbox.receive([{ seq: 1, kind: 'term', key: '0', data: marker() }]);
  const live = (name: string) => {
    const connection = new TestConnection();
    const each = new Device({ user: user(name), device: device('d'), connection }, name, 'latest', 'replay', parts);
    each.moveTo('e', inbox.seq);
    inbox.goLive(each);
    return { connection, device: each };
  };
  const arrives = (seq: number, name: string) =>
    inbox.receive([{ seq, kind: 'inbox', key: name, data: copy([seq], { from: seq, to: seq }) }]);
  return { inbox, left, live, arrives };
}

t.test(
  'a device that nothing came for gets the tail’s position when its cursor is refreshed, and only then',
  async (t) => {
    const { inbox, live, arrives } = scene();
    const { connection, device } = live('quiet');
    inbox.refreshCursor(device);
    t.same(connection.frames, [], 'nothing to tell');
    arrives(2, 'other');
    t.same(connection.frames, []);
    inbox.refreshCursor(device);
    t.same(connection.frames, [{ t: 'cursor', epoch: EPOCH, seq: 2 }]);
    inbox.refreshCursor(device);
    t.equal(connection.frames.length, 1);
  },
);

t.test('who leaves keeps the place of the tail, though nothing came for it', async (t) => {
  const { inbox, live, arrives } = scene();
  const { device } = live('quiet');
  arrives(2, 'other');
  inbox.leave(device);
  t.match(device, { state: 'waiting', stream: 'e', at: 2, ringPosition: -1 });
});

t.test('a full socket leaves by itself, after what it was given', async (t) => {
  const { left, live, arrives } = scene();
  const { connection, device } = live('slow');
  connection.stopReading();
  let seq = 1;
  while (left.length === 0) arrives(++seq, 'slow');
  arrives(seq + 1, 'slow');
  t.same(left, [device]);
  t.equal(device.at, seq);
  t.same(connection.cursor, { t: 'cursor', epoch: EPOCH, seq });
});
