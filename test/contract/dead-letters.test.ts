/** What `DeadLetters` promises, on a real nats-server. */
import t, { type Test } from 'tap';
import { DEAD_REASON, DEAD_SUBJECT, JetstreamDeadLetters } from '../../src/adapters/jetstream/log/dead-letters.ts';
import type { UnreadableEvent } from '../../src/ports/conversation-log.ts';
import { bytes } from '../support/given.ts';
import { startNats } from '../support/nats.ts';

async function scene(t: Test) {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const worker = await nats.connect('fan-out-worker');
  const { jsm } = await nats.connect('operator');
  return { letters: new JetstreamDeadLetters(worker.js), jsm };
}

const letter = (pos: number, reason = 'no MessagePack'): UnreadableEvent => ({
  pos,
  subject: 'conv.1.x.m',
  reason,
  data: bytes(`garbage ${pos}`),
});

t.test('a letter is kept with its bytes, its reason and where it came from', async (t) => {
  const { letters, jsm } = await scene(t);
  await letters.put('fan-out', 'CONV_0', letter(7));
  const kept = await jsm.streams.getMessage('DEAD', { last_by_subj: 'dead.fan-out.CONV_0.7' });
  t.same(kept?.data, bytes('garbage 7'));
  t.equal(kept?.header.get(DEAD_REASON), 'no MessagePack');
  t.equal(kept?.header.get(DEAD_SUBJECT), 'conv.1.x.m');
});

t.test('the same letter is stored once, however often and by whomever it is given', async (t) => {
  const { letters, jsm } = await scene(t);
  await Promise.all([1, 2, 3].map(() => letters.put('fan-out', 'CONV_0', letter(7))));
  await letters.put('fan-out', 'CONV_0', letter(7, 'another reason'));
  await letters.put('fan-out', 'CONV_0', letter(8));
  await letters.put('fan-out', 'CONV_1', letter(7));
  await letters.put('read-model', 'CONV_0', letter(7));
  t.equal((await jsm.streams.info('DEAD')).state.messages, 4);
});

t.test('a reason of many lines and any length is one line that fits', async (t) => {
  const { letters, jsm } = await scene(t);
  await letters.put('fan-out', 'CONV_0', letter(1, `first\r\nNats-Rollup: all\n${'x'.repeat(10_000)}`));
  const kept = await jsm.streams.getMessage('DEAD', { seq: 1 });
  t.match(kept?.header.get(DEAD_REASON), /^first Nats-Rollup: all x+$/);
  t.equal(kept?.header.has('Nats-Rollup'), false);
});

t.test('without a server it says so', async (t) => {
  const nats = await startNats();
  const { js } = await nats.connect('fan-out-worker');
  await nats.stop();
  await t.rejects(new JetstreamDeadLetters(js).put('fan-out', 'CONV_0', letter(1)), { code: 'LOG_UNAVAILABLE' });
});
