/**
 * What a replay through the folds reads, beside what a bare ordered consumer reads of the same log in the same run; and its memory at
 * the end of each quarter, which must not grow with the log.
 *
 *   node bench/replay.ts [events, default 1000000]
 */
import { DeliverPolicy } from '@nats-io/jetstream';
import { JetstreamLogFollower } from '../src/adapters/jetstream/log-follower.ts';
import { ReplayState } from '../src/adapters/sqlite/replay-state.ts';
import { FoldCounts, foldCounted, foldTo } from '../src/application/replay/fold-counts.ts';
import type { ConversationEvent } from '../src/domain/conversation.ts';
import { encodeLogEvent } from '../src/protocol/log-event.ts';
import { conversationSubject } from '../src/protocol/subjects.ts';
import { uuidv7 } from '../src/sdk/uuidv7.ts';
import { bytes, conversation, msgId, users } from '../test/support/given.ts';
import { quiet, startNats } from '../test/support/nats.ts';

const EVENTS = Number(process.argv[2] ?? 1_000_000);
const CONVERSATIONS = 1_000;
const IN_FLIGHT = 2_048;
/** UUIDv7 of the events begin here; fifty have the same millisecond. */
const START = Date.now();

const people = users(...Array.from({ length: 10 }, (_, i) => `member-${i}`));
const rooms = Array.from({ length: CONVERSATIONS }, (_, i) => conversation(`room-${i}`));

const nats = await startNats();
try {
  const { nc, js, jsm } = await nats.connect('operator');
  let last = 0;
  let pending: Promise<{ seq: number }>[] = [];
  const publish = async (room: (typeof rooms)[number], event: ConversationEvent): Promise<void> => {
    pending.push(js.publish(conversationSubject(room, 'm'), encodeLogEvent(event)));
    if (pending.length < IN_FLIGHT) return;
    for (const { seq } of await Promise.all(pending)) last = Math.max(last, seq);
    pending = [];
  };
  const by = people[0] as (typeof people)[number];
  for (const room of rooms) {
    await publish(room, { type: 'groupCreated', by, id: msgId(uuidv7(START)), name: room, members: people });
  }
  const body = bytes('the quick brown fox jumps over the lazy dog, and the rook looks on: ninety-six bytes in all');
  for (let i = 0; i < EVENTS; i++) {
    const room = rooms[(i * 7919) % rooms.length] as (typeof rooms)[number];
    const speaker = people[i % people.length] as (typeof people)[number];
    const id = msgId(uuidv7(START + Math.floor(i / 50)));
    await publish(
      room,
      i % 10 === 9
        ? { type: 'conversationRead', by: speaker, id, upTo: 1 + Math.floor(i / CONVERSATIONS / 2) }
        : { type: 'messageSent', by: speaker, id, contentType: 'text/plain', body },
    );
  }
  for (const { seq } of await Promise.all(pending)) last = Math.max(last, seq);

  const bare = async (): Promise<number> => {
    const consumer = await js.consumers.get('CONV_0', { deliver_policy: DeliverPolicy.All });
    const messages = await consumer.consume({ max_messages: 8_192 });
    const before = performance.now();
    let bytesRead = 0;
    for await (const { seq, data } of messages) {
      bytesRead += data.length;
      if (seq >= last) break;
    }
    const rate = last / ((performance.now() - before) / 1_000);
    await consumer.delete();
    console.log(`bare ordered consumer  ${Math.round(rate)} events/s  (${(bytesRead / last).toFixed(0)} bytes each)`);
    return rate;
  };

  const replay = async (): Promise<number> => {
    const state = new ReplayState(nats.dataDir);
    const counts = new FoldCounts();
    const follower = new JetstreamLogFollower({ nc, js, jsm, convStream: 0, log: quiet });
    const rss: string[] = [];
    const before = performance.now();
    await foldTo(
      follower,
      1,
      last,
      (records) => {
        foldCounted(state, records, counts);
        const quarter = Math.floor(((records.at(-1)?.pos ?? 0) * 4) / last);
        if (quarter > rss.length) rss.push(`${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`);
      },
      new AbortController().signal,
    );
    const rate = last / ((performance.now() - before) / 1_000);
    state.close();
    console.log(
      `replay through folds   ${Math.round(rate)} events/s  accepted ${counts.accepted}, ${counts.entries} inbox entries`,
    );
    console.log(`memory by quarter      ${rss.join(', ')}`);
    return rate;
  };

  const limits = [await bare()];
  const rate = await replay();
  limits.push(await bare());
  console.log(
    `ratio                  ${(rate / Math.max(...limits)).toFixed(2)} of the better bare read; ${last} events`,
  );
} finally {
  await nats.stop();
}
