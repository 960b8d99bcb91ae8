/** `rookery read-model` beside a worker that serves: status, verify, rebuild, and what is left when one is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { bytes, conversation, msgId, user } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { startProcess, stopped } from '../support/processes.ts';
import { readModelsOf } from '../support/read-models.ts';
import { eventually } from '../support/waiting.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');
const MESSAGES = 6_000;
const group = conversation('rooks');
const [alice, bob] = [user('alice'), user('bob')];

const nats = await startNats();
t.teardown(() => nats.stop());
const stateDir = join(nats.dataDir, 'read-model');
const file = join(stateDir, 'lane-0.sqlite');
const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
const configuration = { nats: access, logLevel: 'info', stateDir };
const configFile = join(nats.dataDir, 'worker.json');
writeFileSync(configFile, JSON.stringify(configuration));

const operator = await nats.connect('operator');
let spoken = 0;
async function speak(count: number): Promise<void> {
  const sent: Promise<unknown>[] = [];
  for (const end = spoken + count; spoken < end; spoken++) {
    const event = { type: 'messageSent', by: alice, id: msgId(`m${spoken}`), contentType: 'text/plain' } as const;
    sent.push(operator.js.publish(conversationSubject(group, 'm'), encodeLogEvent({ ...event, body: bytes('rook') })));
    // Each is given up when it is not acked in time, on a slow machine the last of too many.
    if (sent.length % 500 === 0) await Promise.all(sent.splice(0));
  }
  await Promise.all(sent);
}
const created = { type: 'groupCreated', by: alice, id: msgId('new'), name: 'Rooks', members: [bob] } as const;
await operator.js.publish(conversationSubject(group, 's'), encodeLogEvent(created));
await speak(MESSAGES);

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

function run(...args: string[]): Run {
  const child = spawn(process.execPath, [CLI, 'read-model', ...args, '--config', configFile]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, ended: ended.then((code) => ({ code, stdout, stderr })) };
}

async function worker(t: Test) {
  const running = startProcess('read-model-worker', configuration, nats.dataDir);
  t.teardown(async () => {
    running.child.kill('SIGTERM');
    await running.ended;
  });
  await running.said('lane current');
  return running;
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await run(...args, '--json').ended;
  if (stdout === '') throw new Error(`${args[0]}: ${stderr}`);
  return JSON.parse(stdout);
}

t.test('without a file it says so', async (t) => {
  const { code, stderr } = await run('status').ended;
  t.same([code, stderr.split(':')[0]], [1, 'NOT_FOUND']);
});

t.test('of a file that follows another log nothing is said but that, and none takes its place', async (t) => {
  mkdirSync(stateDir, { recursive: true });
  new SqliteReadModel({ path: file, log: 'CONV_0 of another deployment' }).close();
  t.teardown(() => rmSync(stateDir, { recursive: true }));
  for (const command of ['status', 'verify', 'rebuild']) {
    const { code, stderr } = await run(command).ended;
    t.same([code, stderr.split(':')[0]], [1, 'STATE_FILE_UNUSABLE'], command);
  }
  t.notOk(existsSync(join(stateDir, 'rebuilt')));
});

t.test('beside a worker: status, verify, and a rebuild that it takes up while it serves', async (t) => {
  const running = await worker(t);
  const status = await json('status', '--digest');
  t.match(status, {
    lane: 0,
    position: MESSAGES + 1,
    lag: 0,
    version: /\d$/,
    bytes: Number,
    digest: /^[0-9a-f]{64}$/,
  });
  t.match(await json('verify'), { same: true, position: MESSAGES + 1, difference: undefined });

  const models = readModelsOf(await nats.connect('gateway'));
  let answers = 0;
  let isDone = false;
  const asking = (async () => {
    for (; !isDone; answers++) await models.ask(0, { type: 'badge', user: bob, now: 0 });
  })();
  const { code, stdout, stderr } = await run('rebuild').ended;
  isDone = true;
  await asking;
  t.equal(code, 0, stderr);
  t.match(stdout, /^lane 0 {2}rebuilt up to 6001 in .* events\/s, in use$/m);
  t.equal(stderr, '', 'a bar is for a terminal');
  t.ok(answers > 10, `${answers} answers meanwhile, none refused`);
  t.match(await running.said('other read model in use'), { position: MESSAGES + 1 });
  t.equal((await json('status', '--digest')).digest, status.digest);
  await speak(10);
  await eventually(async () => (await json('status')).position === MESSAGES + 11, 'it goes on', 20_000);
  t.match(await json('verify'), { same: true });
});

t.test('a row that is not what the log says is named, and a rebuild puts it right', async (t) => {
  const db = new Database(file);
  db.prepare("UPDATE entry SET body = 'crow' WHERE pos = 77").run();
  db.close();
  const { code, stdout } = await run('verify').ended;
  t.equal(code, 1);
  t.match(stdout, /DIFFERS first in entry\n {2}file {2}\[77,.*\n {2}log {3}\[77,/);
  t.match(await json('rebuild'), { inUse: false, position: MESSAGES + 11 }, 'put in its place, and nobody is there');
  t.match(await json('verify'), { same: true });
});

t.test('nobody says that a file is in use which no worker has taken', async (t) => {
  const empty = join(nats.dataDir, 'empty');
  mkdirSync(empty);
  const { code, stdout } = await run('rebuild', '--state-dir', empty).ended;
  t.equal(code, 0);
  t.match(stdout, /^lane 0 {2}rebuilt up to \d+ in .*, in use once a worker starts there$/m);
  const running = await worker(t);
  running.child.kill('SIGSTOP');
  await stopped(running.child.pid);
  const { child, ended } = run('rebuild');
  const said = new Promise<string>((resolve) => child.stderr?.once('data', (chunk) => resolve(String(chunk))));
  t.match(await said, /^lane 0 {2}built; waiting for the worker of .*read-model, which does not take it/);
  t.match((await ended).stdout, new RegExp(`in use once process ${running.child.pid} takes it, which does not answer`));
  running.child.kill('SIGCONT');
  await running.said('rebuilt file found');
  await eventually(() => !existsSync(join(stateDir, 'rebuilt', 'lane-0.sqlite')), 'it takes it when it goes on');
});

t.test('killed at any moment it leaves a file that works, and the next one goes through', async (t) => {
  const running = await worker(t);
  for (const delay of [0, 150, 300, 450, 600, 800, 1_000]) {
    const { child, ended } = run('rebuild');
    const folder = join(stateDir, 'rebuilding', 'lane-0.sqlite');
    // Not a wait for something to happen, but a moment to be killed at.
    if (delay > 0) await eventually(() => existsSync(folder) || child.exitCode !== null, 'it has begun', 20_000);
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, delay))]);
    child.kill('SIGKILL');
    await ended;
    t.match(await json('verify'), { same: true }, `killed after ${delay} ms`);
  }
  t.match(await json('rebuild'), { inUse: true });
  running.child.kill('SIGKILL');
  await running.ended;
  t.match(await json('verify'), { same: true });
});

t.test('who was killed while putting the new file in place: the next to open it finishes that', async (t) => {
  const place = { path: join(nats.dataDir, 'swap', 'lane-0.sqlite'), log: 'CONV_0' };
  mkdirSync(join(nats.dataDir, 'swap', 'rebuilt'), { recursive: true });
  const waiting = join(nats.dataDir, 'swap', 'rebuilt', 'lane-0.sqlite');
  const model = new SqliteReadModel({ ...place, path: `${place.path}.new` });
  const nothing = { at: 0, conversations: new Map(), readMarks: [], deliveredMarks: [], seen: [] };
  const noRows = { summaries: new Map(), memberships: [], entries: [], ownLast: new Map(), amendments: [] };
  model.write(nothing, { ...noRows, receipts: [], delivered: [], preferences: [], contacts: [] }, 9, undefined);
  model.close();
  renameSync(`${place.path}.new`, waiting);
  // The old file is gone already, its journal not.
  writeFileSync(`${place.path}-wal`, 'what an older file had in its journal');
  const next = new SqliteReadModel(place);
  t.equal(next.position, 9);
  t.notOk(existsSync(waiting));
  next.close();
});
