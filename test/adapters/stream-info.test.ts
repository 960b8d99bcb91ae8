/** A leader that was deposed and does not know it yet. */
import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import t from 'tap';
import { infoOf } from '../../src/adapters/jetstream/streams/stream-info.ts';

/** Answers one after the other; the last one again and again. */
function asked(replicas: number, ...ends: number[]) {
  const answers = { count: 0 };
  const jsm = {
    streams: {
      async info() {
        const last_seq = ends[Math.min(answers.count++, ends.length - 1)];
        return { config: { num_replicas: replicas }, state: { last_seq } } as StreamInfo;
      },
    },
  } as unknown as JetStreamManager;
  return { jsm, answers };
}

t.test('of a stream with replicas an answer that lacks what is known is not believed at once', async (t) => {
  const { jsm, answers } = asked(3, 7, 7, 12);
  t.equal((await infoOf(jsm, 'CONV_0', 10)).state.last_seq, 12);
  t.equal(answers.count, 3);
});

t.test('one that has all that is known is', async (t) => {
  const { jsm, answers } = asked(3, 10, 12);
  t.equal((await infoOf(jsm, 'CONV_0', 10)).state.last_seq, 10);
  t.equal(answers.count, 1);
});

t.test('a stream with one replica may have lost its end, and there is nobody else to ask', async (t) => {
  const { jsm, answers } = asked(1, 7, 12);
  t.equal((await infoOf(jsm, 'CONV_0', 10)).state.last_seq, 7);
  t.equal(answers.count, 1);
});
