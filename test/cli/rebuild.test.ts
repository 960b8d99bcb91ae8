/** `rookery rebuild` beside workers that serve, and what `--shadow` tells of a build that would judge otherwise. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { JetstreamInboxWriter } from '../../src/adapters/jetstream/inbox/inbox-writer.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { DerivedStreams } from '../../src/adapters/jetstream/streams/derived-streams.ts';
import { SqliteFanOutState } from '../../src/adapters/sqlite/fan-out-state.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { noFailpoints } from '../../src/adapters/system/failpoints.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import { isUnreadable, type LogEvent } from '../../src/ports/conversation-log.ts';
import { lanePlace, rebuild } from '../../src/processes/read-model-files.ts';
import { foldReadable } from '../../src/projections/fan-out.ts';
import { planFor } from '../../src/projections/fan-out-plan.ts';
import { MemoryFanOutState } from '../../src/projections/memory-fan-out-state.ts';
import { conversation, user, users } from '../support/given.ts';
import { readInboxes } from '../support/inboxes.ts';
import { says, startOperated } from '../support/operated.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob] = users('alice', 'bob') as [UserId, UserId];
const direct = directConversationId(alice, bob);
const group = conversation('rooks');

const scene = await startOperated();
t.teardown(() => scene.stop());
const { append, run, json, operator, nats } = scene;
const stateDir = join(nats.dataDir, 'fan-out-a');

async function caughtUp(): Promise<void> {
  await eventually(async () => {
    const { state } = await operator.jsm.streams.info('CONV_0');
    return (await operator.jsm.consumers.info('CONV_0', 'fan-out')).ack_floor.stream_seq === state.last_seq;
  }, 'all is in the inboxes');
}
const entries = async () => (await readInboxes(operator, nats.topology)).of;

await scene.startWorker();
await append(group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] });
for (let i = 0; i < 30; i++) await append(i % 2 === 0 ? direct : group, says(alice, `hello ${i}`));
await caughtUp();
const before = await entries();

t.test('an inbox stream written anew by its worker is what it was', async (t) => {
  const { created } = await operator.jsm.streams.info('INBOX_0');
  const [result] = await json('rebuild', 'inbox', '--stream', '0');
  t.match(result, { inboxStream: 'INBOX_0', checkpoints: [31], isComplete: true });
  t.not(
    String((await operator.jsm.streams.info('INBOX_0')).created),
    String(created),
    'another stream, of another epoch',
  );
  // Windows are cut anew, and conversations may overtake each other: of each one the order is the same.
  const after = await entries();
  for (const name of [alice, bob]) {
    for (const room of [direct, group]) {
      const own = (all: typeof before) => all.get(name)?.filter((entry) => entry.conversation === room);
      t.same(own(after), own(before));
    }
  }
  await append(direct, says(bob, 'and on'));
  await caughtUp();
  t.match(await run('verify'), { code: 0 });
});

t.test('a state file built beside the one in use is taken by the worker, which goes on', async (t) => {
  const db = new Database(join(stateDir, 'lane-0.sqlite'));
  db.prepare("UPDATE conversation SET last_index = 1000 WHERE id = 'rooks'").run();
  db.close();
  const shadow = await run('rebuild', 'fan-out-state', '--shadow', '--state-dir', stateDir);
  t.match(shadow, {
    code: 1,
    stdout: /fan-out-state {2}conversation \["rooks"\]\n {2}stands .*"last_index":1000.*\n {2}anew .*"last_index":16/,
  });
  t.match((await json('rebuild', 'fan-out-state', '--state-dir', stateDir))[0], { lane: 0, position: 32, inUse: true });
  await append(group, says(bob, 'and on'));
  await caughtUp();
  t.match((await entries()).get(alice)?.at(-1), { n: 17 }, 'its index follows from the log');
  t.match(await run('rebuild', 'fan-out-state', '--shadow', '--state-dir', stateDir), {
    code: 0,
    stdout: /no difference/,
  });
  t.match(await run('verify'), { code: 0 });
});

t.test('killed while it builds, the file in use is what counts', async (t) => {
  const { child, ended } = scene.start('rebuild', 'fan-out-state', '--state-dir', stateDir);
  await eventually(
    () => existsSync(join(stateDir, 'rebuilding', 'lane-0.sqlite')) || child.exitCode !== null,
    'it builds',
  );
  child.kill('SIGKILL');
  await ended;
  t.match(await run('rebuild', 'fan-out-state', '--shadow', '--state-dir', stateDir), { code: 0 });
  t.match((await json('rebuild', 'fan-out-state', '--state-dir', stateDir))[0], { inUse: true });
});

t.test('interrupted while it builds a read model, it stops and puts nothing in place', async (t) => {
  const dir = join(nats.dataDir, 'read-model-x');
  const stop = new AbortController();
  const parts = { config: { stateDir: dir }, nats: operator, lane: 0, withDigest: false, stop: stop.signal };
  let published = 0;
  const onPublished = (): void => {
    published += 1;
  };
  t.equal(await rebuild({ ...parts, onPublished, onProgress: () => stop.abort() }), undefined);
  t.equal(published, 0);
  const [file, anew] = [join(dir, 'lane-0.sqlite'), join(dir, 'rebuilding', 'lane-0.sqlite')];
  for (const path of [file, anew, join(dir, 'rebuilt', 'lane-0.sqlite')]) t.notOk(existsSync(path), path);

  const { child, said, ended } = scene.start('rebuild', 'read-model', '--state-dir', dir);
  await eventually(() => existsSync(anew) || child.exitCode !== null, 'it builds');
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  t.equal(code, 130, said.stderr);
  // It may have been in place already when the signal came.
  if (stdout === '') t.match([existsSync(file), stderr], [false, /The files in use are untouched/]);
  else t.match([existsSync(file), stderr], [true, /The file of lane 0 is built and takes the place/]);
  const whole = { ...parts, stop: new AbortController().signal, onPublished, onProgress: () => undefined };
  t.match(await rebuild(whole), { inUse: false }, 'no worker has it');
  t.ok(existsSync(file), 'and it is in its place for one');
  t.equal(published, 1);
});

t.test('a build that judges otherwise: its decisions and the inboxes it would change', async (t) => {
  const other = await startOperated();
  t.teardown(() => other.stop());
  await other.append(group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] });
  await other.append(group, says(bob, 'one'));
  await other.append(group, says(user('mallory'), 'let me in'));
  const events: LogEvent[] = [];
  const reader = new JetstreamLogReader({ ...other.operator, convStream: 0 });
  for await (const record of reader.read(1, 3)) if (!isUnreadable(record)) events.push(record);
  // What stands there: a fold that let mallory in, and kept from bob what bob wrote.
  const { runs } = foldReadable(new MemoryFanOutState(), events);
  const otherwise = runs.map((one) =>
    one.timeline
      ? { ...one, audience: [alice] }
      : {
          ...one,
          audience: [alice, bob],
          entries: one.entries.map((entry) => ({ ...entry, type: 'message', n: 3 }) as never),
        },
  );
  const derived = new DerivedStreams(other.operator.jsm, other.nats.topology);
  const writer = new JetstreamInboxWriter({
    ...other.operator,
    derived,
    lane: 0,
    inboxStream: 0,
    failpoints: noFailpoints,
  });
  await writer.begin();
  await writer.write({ from: 1, to: 3 }, planFor(otherwise, 0, 0, other.nats.topology), 0);
  writer.stop();
  const told = await other.json('rebuild', 'inbox', '--shadow');
  t.match(told, [
    { about: 'decision', pos: 3, stands: 'message, index 3', anew: 'rejected NOT_A_MEMBER' },
    { about: 'inbox', user: 'alice', pos: 3, stands: /"message"/ },
    { about: 'inbox', user: 'bob', pos: 3, stands: /"message"/ },
    { about: 'inbox', user: 'bob', pos: 1, anew: /"groupCreated"/ },
    { about: 'inbox', user: 'bob', pos: 2, anew: /"message"/ },
    { about: 'inbox', user: 'mallory', pos: 3, anew: /"rejected"/ },
    { about: 'verdict', position: 3, differences: 6 },
  ]);
  t.match(await other.run('rebuild', 'inbox', '--shadow'), {
    code: 1,
    stdout: /^decision {2}CONV_0@3 of rooks: message, index 3 → rejected/m,
  });
});

t.test('bad input is refused with a code', async (t) => {
  const foreign = join(nats.dataDir, 'foreign');
  new SqliteFanOutState({ path: join(foreign, 'lane-0.sqlite'), log: 'CONV_0 of another deployment' }).close();
  const cases: [string[], RegExp][] = [
    [['everything'], /^BAD_REQUEST: everything: there is nothing of that name; there are inbox/],
    [['inbox', '--stream', '7'], /^BAD_REQUEST: --stream 7/],
    [['inbox', '--state-dir', '.'], /^BAD_REQUEST: --state-dir is of no INBOX stream/],
    [['read-model', '--stream', '0'], /^BAD_REQUEST: --stream is of inbox alone/],
    [
      ['read-model', '--shadow', '--state-dir', join(nats.dataDir, 'nowhere')],
      /^NOT_FOUND: there is no file of a worker/,
    ],
    [['fan-out-state', '--state-dir', foreign], /^STATE_FILE_UNUSABLE: .*follows another log/],
    [['fan-out-state', '--shadow', '--state-dir', foreign], /^STATE_FILE_UNUSABLE: .*follows another log/],
  ];
  for (const [args, stderr] of cases) t.match(await run('rebuild', ...args), { code: 1, stderr }, args.join(' '));
});

t.test('a folder that is not there is not made, and one of the other kind of worker is left as it is', async (t) => {
  const nowhere = join(nats.dataDir, 'mistyped');
  const models = join(nats.dataDir, 'models');
  new SqliteReadModel(await lanePlace(models, operator, 0)).close();
  // Who only reads a file makes a journal beside it.
  const files = () => [stateDir, models].map((dir) => readdirSync(dir).filter((name) => !/-(shm|wal)$/.test(name)));
  const before = files();
  const missing = /^NOT_FOUND: there is no folder .*mistyped; --state-dir names that of the worker/;
  const cases: [string[], RegExp][] = [
    [['rebuild', 'read-model', '--state-dir', nowhere], missing],
    [['rebuild', 'fan-out-state', '--state-dir', nowhere], missing],
    [['read-model', 'rebuild', '--state-dir', nowhere], missing],
    [
      ['rebuild', 'read-model', '--state-dir', stateDir],
      /^STATE_FILE_UNUSABLE: .*is a fan-out state and no read model/,
    ],
    [['rebuild', 'read-model', '--shadow', '--state-dir', stateDir], /^STATE_FILE_UNUSABLE: .* no read model/],
    [
      ['read-model', 'rebuild', '--state-dir', stateDir],
      /^STATE_FILE_UNUSABLE: .*is a fan-out state and no read model/,
    ],
    [['read-model', 'status', '--state-dir', stateDir], /^STATE_FILE_UNUSABLE: .*is a fan-out state and no read model/],
    [['read-model', 'verify', '--state-dir', stateDir], /^STATE_FILE_UNUSABLE: .*is a fan-out state and no read model/],
    [['verify', '--repair', '--state-dir', stateDir], /^STATE_FILE_UNUSABLE: .*is a fan-out state and no read model/],
    [
      ['rebuild', 'fan-out-state', '--state-dir', models],
      /^STATE_FILE_UNUSABLE: .*is a read model and no fan-out state/,
    ],
    [['rebuild', 'fan-out-state', '--shadow', '--state-dir', models], /^STATE_FILE_UNUSABLE: .* no fan-out state/],
  ];
  for (const [args, stderr] of cases) t.match(await run(...args), { code: 1, stderr }, args.join(' '));
  t.notOk(existsSync(nowhere));
  t.same(files(), before, 'nothing was put in');
});

t.test('without a worker the stream is made anew all the same, and written when one comes', async (t) => {
  await scene.drain();
  await operator.jsm.streams.delete('INBOX_0');
  t.match((await json('rebuild', 'inbox'))[0], { isComplete: false, checkpoints: [0] });
  await scene.startWorker();
  await eventually(async () => (await entries()).get(alice)?.length === 33, 'all is written again');
  t.match(await run('verify'), { code: 0 });
});
