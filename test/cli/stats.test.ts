/** `rookery stats`: against a deployment whose lags, letters and streams are known. */
import { writeFileSync } from 'node:fs';
import { headers } from '@nats-io/nats-core';
import t from 'tap';
import { JetstreamDeadLetters } from '../../src/adapters/jetstream/log/dead-letters.ts';
import { ORIGINAL_TIME, originalTimeValue } from '../../src/adapters/jetstream/log/original-time.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import { DeploymentStats } from '../../src/processes/deployment-stats.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject, tailedSubject } from '../../src/protocol/subjects.ts';
import { msgId, users } from '../support/given.ts';
import { says, startOperated } from '../support/operated.ts';
import { startProcess, stopped } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob, carol] = users('alice', 'bob', '陈晨') as [UserId, UserId, UserId];
const scene = await startOperated();
t.teardown(() => scene.stop());
const { append, run, json, operator } = scene;

t.test('a deployment without workers: all is behind', async (t) => {
  // As an import puts it there: six years old, and in the log since just now.
  const old = headers();
  old.set(ORIGINAL_TIME, originalTimeValue(Date.UTC(2020, 8, 14)));
  const event = encodeLogEvent({ ...says(alice, 'hello'), id: msgId('old') } as never);
  await operator.js.publish(conversationSubject(directConversationId(alice, bob), 'm'), event, { headers: old });
  for (let i = 1; i < 8; i++) await append(directConversationId(alice, bob), says(alice, `hello ${i}`));
  for (let i = 0; i < 2; i++) await append(directConversationId(alice, carol), says(alice, `hello ${i}`));
  const letter = { pos: 7, subject: 'conv.0.x.m', reason: 'no reason', data: new Uint8Array([1]) };
  await new JetstreamDeadLetters(operator.js).put('fan-out', 'CONV_0', letter);
  const [stats] = await json('stats');
  t.match(stats, {
    streams: [
      { name: 'CONV_0', messages: 10, first: 1, last: 10, lastAt: Number },
      { name: 'INBOX_0', messages: 0 },
    ],
    workers: [{ worker: 'fan-out', stream: 'CONV_0', position: 0, lag: 10, id: 'nobody holds the lane' }],
    slowest: [{ stream: 'CONV_0', consumer: 'fan-out', pending: 10, unacked: 0 }],
    deadLetters: 1,
    hot: [
      { conversation: directConversationId(alice, bob), events: 8, share: 0.8 },
      { conversation: directConversationId(alice, carol), events: 2 },
    ],
  });
  const { workers } = stats as { workers: { lagSeconds: number }[] };
  t.ok(workers.every(({ lagSeconds }) => lagSeconds > 0 && lagSeconds < 3_600));
  t.match(
    (await run('stats')).stdout,
    /CONV_0 +10 messages.*fan-out +CONV_0 +at 0 +.*10 behind.*dead letters {2}1: rookery dead list/s,
  );
});

t.test('watched: workers come, and their lag goes', async (t) => {
  await scene.startWorker();
  const access = { servers: [scene.nats.server.url], credentialsFile: scene.nats.server.credentialsFile };
  const stateDir = `${scene.nats.dataDir}/read-model`;
  const reader = startProcess('read-model-worker', { nats: access, logLevel: 'info', stateDir }, scene.nats.dataDir);
  t.teardown(() => reader.child.kill('SIGKILL'));
  await reader.said('lane current');
  const { child, said, ended } = scene.start('stats', '--watch', '--json', '--every', '0.1');
  const isThere = (): boolean =>
    said.stdout.split('\n').some((line) => {
      if (!line.endsWith('}')) return false;
      const { workers } = JSON.parse(line) as { workers: { worker: string; lag: number }[] };
      const has = (worker: string, lag: number) => workers.some((one) => one.worker === worker && one.lag === lag);
      return has('fan-out', 0) && has('read-model', 0) && has('gateway', 3);
    });
  await eventually(async () => {
    const { state } = await operator.jsm.streams.info('INBOX_0');
    operator.nc.publish(tailedSubject(0), JSON.stringify({ gateway: 'g', seq: state.last_seq - 3 }));
    return isThere();
  }, 'all three are told of');
  child.kill('SIGINT');
  t.match(await ended, { code: 130 });
});

t.test('a read-model worker that hangs does not vanish, and one that has ended does', async (t) => {
  const stateDir = `${scene.nats.dataDir}/hanging`;
  const file = `${scene.nats.dataDir}/hanging.json`;
  const access = { servers: [scene.nats.server.url], credentialsFile: scene.nats.server.credentialsFile };
  writeFileSync(file, JSON.stringify({ nats: access, stateDirs: { readModel: stateDir } }));
  const reader = startProcess('read-model-worker', { nats: access, logLevel: 'info', stateDir }, scene.nats.dataDir);
  t.teardown(() => reader.child.kill('SIGKILL'));
  await reader.said('lane current');
  reader.child.kill('SIGSTOP');
  await stopped(reader.child.pid);
  for (let i = 0; i < 3; i++) await append(directConversationId(alice, bob), says(alice, 'unheard'));
  const look = async () => (await scene.runWith(file, 'stats')).stdout;
  t.match(await look(), /read-model +CONV_0 +at 10 +!! does not answer, 3 behind, .*hanging/);
  const other = await startOperated();
  t.teardown(() => other.stop());
  const elsewhere = new DeploymentStats(other.operator, other.nats.topology, stateDir);
  t.teardown(() => elsewhere.stop());
  t.equal(await hangingOf(elsewhere), undefined, 'not as one of another deployment');
  const source = new DeploymentStats(operator, scene.nats.topology, stateDir);
  t.teardown(() => source.stop());
  t.match(await hangingOf(source), { position: 10, lag: 3, answers: false });
  reader.child.kill('SIGCONT');
  await eventually(async () => {
    const found = await hangingOf(source);
    return found !== undefined && found.answers === undefined;
  }, 'it answers');
  reader.child.kill('SIGKILL');
  await reader.ended;
  t.equal(await hangingOf(source), undefined);
  t.notMatch(await look(), /hanging/);
});

async function hangingOf(source: DeploymentStats) {
  return (await source.look()).workers.find(({ id }) => id.endsWith('/hanging'));
}

t.test('one look hears a gateway that is idle and tells of itself every two seconds', async (t) => {
  const nats = await scene.nats.connect('gateway');
  const consumer = await nats.js.consumers.get('INBOX_0', { name_prefix: 'tail' } as never);
  const messages = await consumer.consume();
  const source = new DeploymentStats(operator, scene.nats.topology, 'nowhere');
  const tell = () => operator.nc.publish(tailedSubject(0), JSON.stringify({ gateway: 'idle', seq: 1 }));
  const telling = setTimeout(tell, 1_500);
  const { workers } = await source.look();
  clearTimeout(telling);
  t.match(workers.at(-1), { worker: 'gateway', id: 'idle', position: 1 });
  source.stop();
  messages.stop();
});

t.test('a stream that is gone is named; bad input is refused', async (t) => {
  await scene.drain();
  await operator.jsm.streams.delete('INBOX_0');
  t.match(await run('stats'), { code: 1, stdout: /INBOX_0 +STREAM_MISSING/ });
  t.match(await run('stats', '--watch', '--every', 'often'), { code: 1, stderr: /^BAD_REQUEST: --every often/ });
  t.match(await run('stats', '--every', '2'), { code: 1, stderr: /^BAD_REQUEST: --every is of --watch/ });
});
