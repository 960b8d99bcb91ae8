/** The bench's own instruments. */
import fc from 'fast-check';
import t from 'tap';
import { Histogram } from '../../bench/load/histogram.ts';
import { FrameParser } from '../../bench/load/socket.ts';
import { rounded } from '../../bench/report.ts';
import { type Row, verdict } from '../../bench/rows.ts';
import { frameOnWire } from '../../src/adapters/websocket/framing.ts';
import { msgpackCodec } from '../../src/protocol/codec.ts';

t.test('a percentile is never below the truth and at most 1/32 above it', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 2 ** 31 - 1 }), { minLength: 1 }), (values) => {
      const histogram = new Histogram();
      for (const us of values) histogram.add(us);
      const sorted = [...values].sort((a, b) => a - b);
      for (const p of [0.01, 0.5, 0.99, 1]) {
        const truth = (sorted[Math.ceil(sorted.length * p) - 1] as number) / 1_000;
        const found = histogram.percentileMs(p) as number;
        if (found < truth || found > truth * (1 + 1 / 32)) return false;
      }
      return true;
    }),
  );
  t.equal(new Histogram().percentileMs(0.5), undefined);
});

t.test('frames come out whole, however the bytes were cut', async (t) => {
  const sizes = fc.constantFrom(0, 1, 125, 126, 300, 65_535, 65_536, 70_000);
  fc.assert(
    fc.property(fc.array(sizes, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 90_000 })), (lengths, cuts) => {
      const payloads = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      const wire = Buffer.concat(payloads.map((payload) => frameOnWire(msgpackCodec, payload)));
      const got: Buffer[] = [];
      const parser = new FrameParser(
        (payload) => got.push(Buffer.from(payload)),
        () => undefined,
      );
      let at = 0;
      for (const cut of cuts) {
        // A view of what will be overwritten, as the socket's is.
        const chunk = Buffer.from(wire.subarray(at, at + cut));
        if (chunk.length > 0) parser.push(chunk);
        chunk.fill(0);
        at += cut;
      }
      if (at < wire.length) parser.push(wire.subarray(at));
      return got.length === payloads.length && got.every((payload, i) => payload.equals(payloads[i] as Buffer));
    }),
    { numRuns: 200 },
  );
  t.pass();
});

t.test('a ping is answered and a close is seen', async (t) => {
  const pings: string[] = [];
  const parser = new FrameParser(
    () => t.fail('no message'),
    (payload) => pings.push(payload.toString()),
  );
  parser.push(Buffer.from([0x89, 2, 0x68, 0x69]));
  t.same(pings, ['hi']);
  parser.push(Buffer.from([0x88, 0]));
  t.equal(parser.sawClose, true);
});

const row: Row = {
  name: 'group-500',
  value: 123_456.789,
  unit: 'deliveries/s',
  p99Ms: 251,
  ratio: 1.5,
  lost: 0,
  doubled: 0,
  outOfOrder: 0,
  durability: 'default',
};

t.test('a row has met what it must when every bound holds', async (t) => {
  t.equal(verdict(row, []), undefined);
  t.match(verdict(row, [{ of: 'ratio', least: 1.5 }]), { isMet: true, must: 'ratio ≥ 1.5' });
  const both = [{ of: 'ratio', least: 1.5 } as const, { of: 'p99Ms', most: 250 } as const];
  t.match(verdict(row, both), { isMet: false });
  t.match(verdict(row, [{ of: 'ackP50Ms', most: 1 }]), { isMet: false }, 'what was not measured is not met');
});

t.test('a result keeps the digits that mean something', async (t) => {
  t.match(rounded({ ...row, ratio: 1.23456, p50Ms: 0.123456 }), { value: 123_457, ratio: 1.23, p50Ms: 0.123, lost: 0 });
});
