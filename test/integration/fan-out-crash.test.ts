/**
 * The worker is killed (SIGKILL) between each pair of its steps, and nats-server in mid-stream; afterwards every inbox holds
 * each message once and in order.
 */
import t, { type Test } from 'tap';
import type { Nats } from '../../src/adapters/jetstream/connect.ts';
import type { FanOutStep } from '../../src/application/fan-out/lane.ts';
import type { ConversationEvent } from '../../src/domain/conversation.ts';
import { type ConversationId, directConversationId } from '../../src/domain/ids.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject, convStreamName, messageIdOf } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { readInboxes } from '../support/inboxes.ts';
import { startNats, type TestNats } from '../support/nats.ts';
import { startProcess } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const topology = { convStreams: 2, inboxStreams: 2 };
const groups = [3, 30].map((size) => ({
  id: conversation(`rooks ${size}`),
  members: Array.from({ length: size }, (_, i) => user(`u${i}`)),
}));
const direct = directConversationId(user('u0'), user('u1'));

function append({ js }: Nats, to: ConversationId, event: ConversationEvent): Promise<unknown> {
  const part = event.type === 'messageSent' ? 'm' : 's';
  return js.publish(conversationSubject(to, part), encodeLogEvent(event), {
    msgID: messageIdOf(to, event.by, event.id),
    retries: 20,
  });
}

/** Messages of three conversations, interleaved; each resolves when it is durable. */
async function speak(nats: Nats, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    const to = [direct, ...groups.map(({ id }) => id)][i % 3] as ConversationId;
    const id = msgId(`m${String(i).padStart(6, '0')}`);
    await append(nats, to, { type: 'messageSent', by: user('u0'), id, contentType: 'text/plain', body: bytes(id) });
  }
}

async function create(nats: Nats): Promise<void> {
  for (const { id, members } of groups) {
    await append(nats, id, { type: 'groupCreated', by: user('u0'), id: msgId(`new ${id}`), name: id, members });
  }
}

function workerConfiguration({ server, dataDir }: TestNats, failpoint?: { step: FanOutStep; times: number }) {
  const nats = { servers: [server.url], credentialsFile: server.credentialsFile };
  return { nats, topology, logLevel: 'info', stateDir: `${dataDir}/fan-out`, ...(failpoint && { failpoint }) };
}

/** Events in the log. */
async function stored({ jsm }: Nats): Promise<number> {
  const infos = await Promise.all([0, 1].map((k) => jsm.streams.info(convStreamName(k))));
  return infos.reduce((sum, { state }) => sum + state.messages, 0);
}

/** Every member's inbox has each message of the conversation once, gapless by index, in the order of sending. */
async function checkInboxes(t: Test, nats: Nats, count: number): Promise<void> {
  const complete = async (): Promise<boolean> => {
    const { of } = await readInboxes(nats, topology);
    return (of.get('u0') ?? []).filter(({ type }) => type === 'message').length >= count;
  };
  await eventually(complete, `all ${count} messages with u0`, 60_000);
  const { of } = await readInboxes(nats, topology);
  const wrong: string[] = [];
  for (const { id, members } of [...groups, { id: direct, members: [user('u0'), user('u1')] }]) {
    const sent = Array.from({ length: count }, (_, i) => i)
      .filter((i) => [direct, ...groups.map((group) => group.id)][i % 3] === id)
      .map((i) => `m${String(i).padStart(6, '0')}`);
    for (const member of members) {
      const entries = (of.get(member) ?? []).filter((entry) => entry.conversation === id);
      const ids = entries.filter(({ type }) => type === 'message').map((entry) => entry.id);
      const indexes = entries.map((entry) => ('n' in entry ? entry.n : 0));
      if (JSON.stringify(ids) !== JSON.stringify(sent))
        wrong.push(`${member} in ${id}: ${ids.length} of ${sent.length}`);
      if (indexes.some((n, i) => n !== i + 1)) wrong.push(`${member} in ${id}: indexes ${indexes.join()}`);
    }
  }
  t.same(wrong, [], 'each message once and in order in every inbox');
}

/** Where the worker dies, and at which arrival there: at its first window, or in the midst of its work. */
const deaths: { step: FanOutStep; times: number }[] = [
  { step: 'termBegun', times: 1 },
  { step: 'sourceOpened', times: 1 },
  { step: 'folded', times: 3 },
  { step: 'halfEmitted', times: 1 },
  { step: 'halfEmitted', times: 4 },
  { step: 'confirmed', times: 1 },
  { step: 'confirmed', times: 4 },
  { step: 'committed', times: 2 },
  { step: 'acked', times: 2 },
];

t.test('a worker killed between any two steps loses and doubles nothing', async (t) => {
  const nats = await startNats({ topology });
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  await create(operator);
  let sent = 0;
  for (const { step, times } of deaths) {
    const dying = startProcess('fan-out-worker', workerConfiguration(nats, { step, times }), nats.dataDir);
    // Once it works, so that the messages come to it in many windows.
    if (step !== 'termBegun' && step !== 'sourceOpened') await dying.said('term begun');
    // Until it dies: how many windows a number of messages makes is the scheduler's matter.
    let alive = true;
    const end = dying.ended.finally(() => (alive = false));
    do {
      await speak(operator, sent, 30);
      sent += 30;
    } while (alive);
    t.equal(await end, 'SIGKILL', `killed at ${step}, time ${times}`);
  }
  const last = startProcess('fan-out-worker', workerConfiguration(nats), nats.dataDir);
  t.teardown(async () => {
    last.child.kill('SIGTERM');
    await last.ended;
  });
  await checkInboxes(t, operator, sent);
});

t.test('nats-server killed in mid-stream loses and doubles nothing', async (t) => {
  const nats = await startNats({ topology });
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  await create(operator);
  const worker = startProcess('fan-out-worker', workerConfiguration(nats), nats.dataDir);
  t.teardown(async () => {
    worker.child.kill('SIGTERM');
    await worker.ended;
  });
  await worker.said('fan-out worker started');
  let sent = 0;
  for (let round = 0; round < 3; round++) {
    const speaking = speak(operator, sent, 400);
    const before = await stored(operator);
    await eventually(async () => (await stored(operator)) > before + 50, 'some of them');
    nats.server.signal('SIGKILL');
    await nats.server.respawn();
    await speaking;
    sent += 400;
  }
  await checkInboxes(t, operator, sent);
});

t.test('what a paused worker writes when it wakes is void', async (t) => {
  const nats = await startNats({ topology });
  t.teardown(() => nats.stop());
  const operator = await nats.connect('operator');
  await create(operator);
  const paused = startProcess('fan-out-worker', workerConfiguration(nats), nats.dataDir);
  await paused.said('lane taken');
  await speak(operator, 0, 90);
  await checkInboxes(t, operator, 90);
  paused.child.kill('SIGSTOP');
  const other = startProcess(
    'fan-out-worker',
    { ...workerConfiguration(nats), stateDir: `${nats.dataDir}/other` },
    nats.dataDir,
  );
  t.teardown(async () => {
    paused.child.kill('SIGKILL');
    other.child.kill('SIGTERM');
    await other.ended;
  });
  await other.said('lane taken');
  await speak(operator, 90, 90);
  const waking = speak(operator, 180, 300);
  paused.child.kill('SIGCONT');
  await waking;
  await checkInboxes(t, operator, 480);
});

t.test(
  'a worker killed behind a checkpoint leaves its dead letters to be found, though a standby passes it',
  async (t) => {
    const nats = await startNats({ topology });
    t.teardown(() => nats.stop());
    const operator = await nats.connect('operator');
    const dying = startProcess(
      'fan-out-worker',
      workerConfiguration(nats, { step: 'confirmed', times: 1 }),
      nats.dataDir,
    );
    await dying.said('term begun');
    await operator.js.publish(conversationSubject(direct, 'm'), 'no code can read this');
    t.equal(await dying.ended, 'SIGKILL');
    const standby = startProcess(
      'fan-out-worker',
      { ...workerConfiguration(nats), stateDir: `${nats.dataDir}/standby` },
      nats.dataDir,
    );
    t.teardown(async () => {
      standby.child.kill('SIGTERM');
      await standby.ended;
    });
    await create(operator);
    await speak(operator, 0, 30);
    await checkInboxes(t, operator, 30);
    const { state } = await operator.jsm.streams.info('DEAD');
    t.equal(state.messages, 1, 'its letter, once');
  },
);
