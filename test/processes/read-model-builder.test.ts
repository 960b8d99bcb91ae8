/** What two threads build of a log is what one does. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { StoredEvent } from '../../src/adapters/jetstream/log/log-reader.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { ReadModelSnapshot } from '../../src/adapters/sqlite/read-model-digests.ts';
import { BuildingWindows } from '../../src/application/read-model/rebuild.ts';
import { isUnreadable, type LogRecord } from '../../src/ports/conversation-log.ts';
import { LogPacker, LogUnpacker, type PackedPortion } from '../../src/processes/packed-log.ts';
import { MAX_BYTES_AHEAD, ReadModelBuilder, type StoredLogReader } from '../../src/processes/read-model-builder.ts';
import { RookeryError } from '../../src/protocol/error-codes.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { codeOf } from '../support/code-of.ts';
import { bytes } from '../support/given.ts';
import { alice, bob, rooms } from '../support/histories.ts';
import { log, type Part, says } from '../support/logged.ts';

const [room, other] = rooms;
if (!room || !other) throw new Error('two rooms');
const founded = (name: string): Part => ({ type: 'groupCreated', by: alice, name, members: [bob] });

/** Words, an edit, a recall, a read mark, somebody who leaves; one event in the middle cannot be read. */
const events: StoredEvent[] = log(
  [room, founded('ravens')],
  [other, founded('rooks')],
  ...Array.from({ length: 400 }, (_, i) => [i % 3 ? room : other, says(i % 2 ? alice : bob, `said-${i}`)] as const),
  [
    other,
    {
      type: 'messageEdited',
      by: bob,
      target: { by: bob, id: 'said-0' as never },
      contentType: 'text/plain',
      body: bytes('乌鸦'),
    },
  ],
  [other, { type: 'messageRecalled', by: alice, target: { by: alice, id: 'said-3' as never } }],
  [room, { type: 'conversationRead', by: bob, upTo: 20 }],
  [room, { type: 'memberLeft', by: bob }],
).map(({ pos, at, conversation, event }) => {
  const data = pos === 100 ? bytes('no event') : encodeLogEvent(event);
  return { pos, at, subject: conversationSubject(conversation, 'm'), data };
});
const end = events.length;

/** As they come out in another thread. */
function recordsOf(stored: readonly StoredEvent[]): LogRecord[] {
  const packer = new LogPacker();
  for (const { pos, at, subject, data } of stored) packer.add(pos, at, subject, data);
  return new LogUnpacker().records(structuredClone(packer.take() as PackedPortion));
}

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-builder-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** In parts of 7. @param interruptions positions behind which the read breaks off, each once */
function readerOf(...interruptions: number[]): StoredLogReader & { readonly begun: number[] } {
  const begun: number[] = [];
  return {
    begun,
    async *readStored(from, to) {
      begun.push(from);
      for (let start = from; start <= to; start += 7) {
        if (interruptions[0] !== undefined && start > interruptions[0]) {
          interruptions.shift();
          throw new RookeryError('LOG_UNAVAILABLE', 'interrupted');
        }
        yield events.slice(start - 1, Math.min(start + 6, to));
      }
    },
  };
}

function digestsOf(path: string) {
  const snapshot = new ReadModelSnapshot(path);
  try {
    return { position: snapshot.position, tables: snapshot.digests() };
  } finally {
    snapshot.close();
  }
}

t.test('what was packed is what comes out, also what cannot be read', async (t) => {
  const records = recordsOf(events);
  t.same(
    records.map(({ pos, at }) => [pos, at]),
    events.map(({ pos, at }) => [pos, at]),
  );
  t.same(
    records.flatMap((record) => (isUnreadable(record) ? [[record.pos, new Uint8Array(record.data)]] : [])),
    [[100, bytes('no event')]],
  );
});

t.test('the file is the one that a single thread writes, window by window; interruptions are read over', async (t) => {
  const dir = folder(t);
  const [one, two] = [join(dir, 'one.sqlite'), join(dir, 'two.sqlite')];
  const model = new SqliteReadModel({ path: one, log: 'CONV' });
  for (let start = 0; start < end; start += 11) {
    const windows = new BuildingWindows(model);
    windows.add(recordsOf(events.slice(start, start + 11)));
    windows.flush();
  }
  model.close();
  const builder = new ReadModelBuilder({ path: two, log: 'CONV', isBuilt: true });
  const reader = readerOf(50, 120);
  await builder.foldUpTo(reader, 300, () => undefined);
  const positions: number[] = [];
  await builder.foldUpTo(reader, end, ({ position }) => positions.push(position));
  await builder.close();
  t.equal(positions.at(-1), end);
  t.equal(reader.begun.length, 4, 'it went on behind what was read');
  t.same(digestsOf(two), digestsOf(one));
});

t.test('a log that stays silent, and a file that cannot be written, end it with their codes', async (t) => {
  const dir = folder(t);
  const silent = new ReadModelBuilder({ path: join(dir, 'silent.sqlite'), log: 'CONV', isBuilt: true });
  t.equal(await codeOf(silent.foldUpTo(readerOf(...Array(9).fill(0)), end, () => undefined)), 'LOG_UNAVAILABLE');
  await silent.close();
  writeFileSync(join(dir, 'file'), '');
  const hopeless = new ReadModelBuilder({ path: join(dir, 'file', 'lane.sqlite'), log: 'CONV', isBuilt: true });
  t.equal(await codeOf(hopeless.foldUpTo(readerOf(), end, () => undefined)), 'STATE_FILE_UNUSABLE');
  await hopeless.close();
});

t.test('abandoned while it reads, it stops at once and leaves no thread', async (t) => {
  const dir = folder(t);
  const builder = new ReadModelBuilder({ path: join(dir, 'lane.sqlite'), log: 'CONV', isBuilt: true });
  let [parts, told] = [0, 0];
  const reader: StoredLogReader = {
    async *readStored(from, to) {
      for await (const part of readerOf().readStored(from, to)) {
        if (++parts === 3) builder.abandon();
        yield part;
      }
    },
  };
  await builder.foldUpTo(reader, end, () => (told += 1));
  await builder.close();
  t.same([parts, told], [3, 2]);
  t.notOk(existsSync(join(dir, 'lane.sqlite-words')));
});

t.test('no more is read than may wait for the other thread', async (t) => {
  const builder = new ReadModelBuilder({ path: join(folder(t), 'lane.sqlite'), log: 'CONV', isBuilt: true });
  const bodies = 16 * MAX_BYTES_AHEAD;
  const body = new Uint8Array(MAX_BYTES_AHEAD / 4);
  let [read, written, most] = [0, 0, 0];
  const reader: StoredLogReader = {
    async *readStored() {
      for (let pos = 1; read < bodies; pos++) {
        read += body.length;
        most = Math.max(most, read - written * body.length);
        yield [{ pos, at: pos, subject: 'conv.0.room.m', data: body }];
      }
    },
  };
  await builder.foldUpTo(reader, bodies / body.length, ({ position }) => {
    written = position;
  });
  await builder.close();
  t.equal(written, bodies / body.length);
  t.ok(most <= 4 * MAX_BYTES_AHEAD, `${most} bytes at most`);
});
