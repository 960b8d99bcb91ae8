/** Two read-model workers, of which one is killed with questions under way: who asked gets every answer all the same. */
import { join } from 'node:path';
import t from 'tap';
import { user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { startProcess, stopped } from '../support/processes.ts';
import { readModelsOf } from '../support/read-models.ts';
import { eventually } from '../support/waiting.ts';

/** Some go to either worker: that all go to one happens once in 2^63 runs. */
const QUESTIONS = 64;

const nats = await startNats();
t.teardown(() => nats.stop());
const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
const [dying, staying] = ['one', 'other'].map((folder) => {
  const stateDir = join(nats.dataDir, folder);
  const worker = startProcess('read-model-worker', { nats: access, stateDir }, nats.dataDir);
  t.teardown(async () => {
    worker.child.kill('SIGKILL');
    await worker.ended;
  });
  return worker;
}) as [ReturnType<typeof startProcess>, ReturnType<typeof startProcess>];

t.test('a worker killed with questions under way takes no answer with it', async (t) => {
  await Promise.all([dying.said('lane current'), staying.said('lane current')]);
  const models = readModelsOf(await nats.connect('gateway'));
  const ask = () => models.ask(0, { type: 'badge', user: user('alice'), now: Date.now() });
  await ask();
  dying.child.kill('SIGSTOP');
  await stopped(dying.child.pid);
  let answered = 0;
  const answers = Array.from({ length: QUESTIONS }, () => ask().finally(() => (answered += 1)));
  const all = Promise.all(answers);
  await eventually(() => answered > 0, 'answers of the one that lives');
  t.ok(answered < QUESTIONS, 'questions are under way with the one that will not answer');
  dying.child.kill('SIGKILL');
  t.equal((await all).length, QUESTIONS);
});
