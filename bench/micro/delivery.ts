/**
 * What the live path costs outside the kernel: one group, sockets that only count, ticks as the tail brings them (a pack
 * and a pointer each, or copies). `node bench/micro/delivery.ts [members] [messages a pack] [records a tick]`
 */
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { Device } from '../../src/application/delivery/device.ts';
import { LiveInbox } from '../../src/application/delivery/live-inbox.ts';
import type { DeliveryParts } from '../../src/application/delivery/parts.ts';
import type { DeviceId, UserId } from '../../src/domain/ids.ts';
import type { ClientConnection } from '../../src/ports/client-connection.ts';
import type { InboxMessage } from '../../src/ports/inbox-reader.ts';
import { msgpackCodec } from '../../src/protocol/codec.ts';
import { marker, pack, pointer } from '../../test/support/inbox-records.ts';

const [members = 500, perPack = 1, perTick = 2_000] = process.argv.slice(2).map(Number);
const WARM_UP_RECORDS = 500_000;
const RECORDS = 3_000_000;

let writes = 0;
let bytes = 0;
const connection = (): ClientConnection => ({
  codec: msgpackCodec,
  isOpen: true,
  bufferedBytes: 0,
  write(wire) {
    writes += 1;
    bytes += wire.length;
  },
  flush: () => undefined,
  takeWholeFrames: () => undefined,
  onDrain: () => undefined,
  close: () => undefined,
});

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const limits = {
  maxBufferedBytes: 1_048_576,
  ringMaxBytes: 134_217_728,
  ringMaxEntries: 1_048_576,
  maxColdEntries: 1,
  maxReplayEvents: 1,
};
const parts = { frameOnWire, limits, log: silent } as unknown as DeliveryParts;
const inbox = new LiveInbox(0, 'epoch', 1, parts, () => undefined);
const names = Array.from({ length: members }, (_, i) => `user-${i}`);
for (const name of names) {
  const whose = { user: name as UserId, device: 'd' as DeviceId, connection: connection() };
  const device = new Device(whose, name, 'latest', 'replay', parts);
  device.moveTo('epoch', 0);
  inbox.goLive(device);
}

/** Ticks of about `perTick` records, with fresh keys as the subjects of real messages have. */
function* ticks(count: number): Generator<InboxMessage[]> {
  let tick: InboxMessage[] = [];
  for (let made = 0; made < count; ) {
    pos += perPack;
    const positions = Array.from({ length: perPack }, (_, i) => pos + i);
    const window = { from: pos, to: pos + perPack - 1 };
    tick.push({ seq: ++seq, kind: 'pack', key: '0', data: pack(positions, window) });
    const data = pointer(positions, 0, window);
    for (const name of names) {
      const subject = `inbox.17.${name}`;
      tick.push({ seq: ++seq, kind: 'inbox', key: subject.slice(subject.lastIndexOf('.') + 1), data });
    }
    made += members + 1;
    if (tick.length < perTick) continue;
    yield tick;
    tick = [];
  }
}

let [seq, pos] = [1, 0];
inbox.receive([{ seq: 1, kind: 'term', key: '0', data: marker() }]);
for (const tick of ticks(WARM_UP_RECORDS)) inbox.receive(tick);

let spentMs = 0;
let records = 0;
writes = 0;
bytes = 0;
for (const tick of ticks(RECORDS)) {
  const before = performance.now();
  inbox.receive(tick);
  spentMs += performance.now() - before;
  records += tick.length;
}
const deliveries = (records * perPack * members) / (members + 1);
process.stdout.write(
  `${members} members, ${perPack} messages a pack, ${perTick} records a tick: ` +
    `${((spentMs * 1e6) / deliveries).toFixed(0)} ns a delivery, ${((spentMs * 1e6) / writes).toFixed(0)} ns a write, ` +
    `${(bytes / writes).toFixed(0)} bytes a write\n`,
);
