/** A worker without the lease: what its state file says it knows, it knows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { SqliteFanOutState } from '../../src/adapters/sqlite/fan-out-state.ts';
import { follow } from '../../src/application/fan-out/standby.ts';
import type { LogEvent, LogReader } from '../../src/ports/conversation-log.ts';
import type { InboxWriter } from '../../src/ports/inbox-writer.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';

const room = conversation('direct:alice:bob');
const alice = user('alice');

const log = Array.from({ length: 10 }, (_, i): LogEvent => {
  const event = {
    type: 'messageSent',
    by: alice,
    id: msgId(`m${i}`),
    contentType: 'text/plain',
    body: bytes('x'),
  } as const;
  return { pos: i + 1, at: 1_000 + i, conversation: room, event };
});

/** Whoever answers has `has` events, whatever was said before. */
const readerOf = (has: () => number): LogReader => ({
  lastPos: async () => log.length,
  async *read(from, to) {
    yield* log.slice(from - 1, Math.min(to, has()));
  },
  async *readParts() {},
  at: async () => undefined,
});

t.test('a read that ends before the position it was asked for takes the state no further than it came', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rookery-standby-'));
  const state = new SqliteFanOutState({ path: join(folder, 'lane.sqlite'), log: 'a log' });
  t.teardown(() => {
    state.close();
    rmSync(folder, { recursive: true });
  });
  let has = 6;
  const writers = [{ checkpointed: async () => 9 } as InboxWriter];
  const parts = { state, writers, reader: readerOf(() => has) };
  const { signal } = new AbortController();
  await follow(parts, signal);
  t.equal(state.position, 6);
  has = 3;
  await follow(parts, signal);
  t.equal(state.position, 6, 'nor back, where there is less still');
  has = 10;
  await follow(parts, signal);
  t.equal(state.position, 9, 'what the inboxes have');
  t.equal(state.folded(room).conversation.lastIndex, 9, 'all of it');
});
