/** `rookery verify` beside a worker that goes on: what is wrong is named, and `--repair` puts it right. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import { JetstreamInboxWriter } from '../../src/adapters/jetstream/inbox/inbox-writer.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { DerivedStreams } from '../../src/adapters/jetstream/streams/derived-streams.ts';
import { noFailpoints } from '../../src/adapters/system/failpoints.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import { isUnreadable, type LogEvent } from '../../src/ports/conversation-log.ts';
import { foldReadable } from '../../src/projections/fan-out.ts';
import { planFor } from '../../src/projections/fan-out-plan.ts';
import { MemoryFanOutState } from '../../src/projections/memory-fan-out-state.ts';
import { decodeOrigin, encodeInboxRecord } from '../../src/protocol/inbox-record.ts';
import { conversation, user, users } from '../support/given.ts';
import { readInboxes } from '../support/inboxes.ts';
import { type Operated, type Outcome, says, startOperated } from '../support/operated.ts';
import { type RunningProcess, startProcess, stopped } from '../support/processes.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob] = users('alice', 'bob') as [UserId, UserId];
const direct = directConversationId(alice, bob);
const group = conversation('rooks');
const crowd = Array.from({ length: 30 }, (_, i) => user(`m${i}`));

async function caughtUp({ operator }: Operated): Promise<void> {
  await eventually(async () => {
    const { state } = await operator.jsm.streams.info('CONV_0');
    return (await operator.jsm.consumers.info('CONV_0', 'fan-out')).ack_floor.stream_seq === state.last_seq;
  }, 'all is in the inboxes');
}

const scene = await startOperated();
t.teardown(() => scene.stop());
const { append, run, operator, nats } = scene;
const { jsm, js } = operator;
const stateDir = join(nats.dataDir, 'read-model');
/** Of the read model as well, once there is one. */
let withReadModel: string[] = [];
const verify = (...args: string[]): Promise<Outcome> => run('verify', ...withReadModel, ...args);

await scene.startWorker();
await append(group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob, ...crowd] });
for (let i = 0; i < 10; i++) {
  await append(direct, says(alice, `hello ${i}`));
  await append(group, says(bob, `caw ${i}`));
}
await caughtUp(scene);

const inboxOf = async (name: string) => (await readInboxes(operator, nats.topology)).of.get(name) ?? [];
/** Sequence of a user's n-th record. */
async function seqOf(subject: string, count: number): Promise<number> {
  let seq = 0;
  for (let i = 0; i < count; i++) {
    seq = (await jsm.direct.getMessage('INBOX_0', { next_by_subj: subject, seq: seq + 1 }))?.seq ?? 0;
  }
  return seq;
}
const whole = await inboxOf(bob);
let reader: RunningProcess | undefined;
t.teardown(() => reader?.child.kill('SIGKILL'));

t.test('what is as the log says is told so', async (t) => {
  const { code, stdout, stderr } = await verify('--json');
  t.equal(code, 0, stderr);
  const [inbox = '', readModel = ''] = stdout.split('\n');
  t.match(JSON.parse(inbox), { what: 'inbox', inboxStream: 'INBOX_0', checkedTo: 21, lag: 0, findings: 0, told: [] });
  t.match(JSON.parse(readModel), { what: 'read model', lane: 0, checked: false }, 'and of what it is not told');
  t.match(
    (await verify()).stdout,
    /lane 0 {2}INBOX_0 {2}up to 21 .* every entry is there once\nlane 0 {2}read model {2}not checked: there is no folder/,
  );
});

t.test('a read model that should be there and is not is a finding', async (t) => {
  const missing = {
    code: 1,
    stdout: /every entry is there once\nlane 0 {2}read model {2}MISSING: there is no .*lane-0/,
  };
  t.match(await run('verify', '--state-dir', stateDir), missing, 'where its folder is named');
  const named = join(nats.dataDir, 'named.json');
  writeFileSync(
    named,
    JSON.stringify({ ...JSON.parse(readFileSync(scene.configFile, 'utf8')), stateDirs: { readModel: stateDir } }),
  );
  t.match(await scene.runWith(named, 'verify'), missing, 'by operator.json');
  t.match(JSON.parse((await scene.runWith(named, 'verify', '--json')).stdout.split('\n')[1] ?? ''), {
    missing: join(stateDir, 'lane-0.sqlite'),
  });
  const usual = join(nats.dataDir, 'data', 'read-model');
  const local = join(nats.dataDir, 'data', 'operator.json');
  mkdirSync(join(nats.dataDir, 'data'));
  const { nats: access } = JSON.parse(readFileSync(scene.configFile, 'utf8'));
  const write = (servers: string[]) =>
    writeFileSync(local, JSON.stringify({ nats: { ...access, servers }, stateDirs: { readModel: usual } }));
  write(['nats://127.0.0.1:1']);
  t.match(await verify(), { code: 0, stdout: /not checked/ }, 'not by the file of another deployment');
  write(access.servers);
  t.match(await verify(), missing, "by the deployment's own file, in the current folder");
  t.match(await verify('--repair'), { code: 0, stdout: /MISSING.*\nrepaired .*\n.*byte-id/ });
  rmSync(usual, { recursive: true });
  rmSync(local);
  mkdirSync(usual, { recursive: true });
  t.match(await verify(), missing, 'where its worker has a folder');
  rmSync(usual, { recursive: true });
  const built = join(nats.dataDir, 'built');
  t.match(await run('verify', '--repair', '--state-dir', built), {
    code: 0,
    stdout: /MISSING.*\nrepaired .*\n.*byte-id/,
  });
  t.match(await run('verify', '--state-dir', built), { code: 0, stdout: /byte-identical/ });
});

t.test('an entry that is missing is named, and restored in its place among the user’s others', async (t) => {
  await jsm.streams.deleteMessage('INBOX_0', await seqOf('inbox.*.bob', 4), false);
  const left = new Set((await inboxOf(bob)).map(({ pos }) => pos));
  const lost = whole.filter(({ pos }) => !left.has(pos));
  const [first] = lost;
  const found = await verify();
  t.equal(found.code, 1);
  t.match(found.stdout, new RegExp(`missing {2}INBOX_0 {2}bob {2}CONV_0@${first?.pos}.* of ${first?.conversation}`));
  t.match(found.stdout, / 1 finding$/m);
  t.equal(left.size, whole.length - lost.length);
  const repaired = await verify('--repair');
  t.equal(repaired.code, 0, repaired.stdout + repaired.stderr);
  t.match(
    repaired.stdout,
    /repaired {2}INBOX_0: \d+ records written anew, \d+ taken away\n.*every entry is there once/,
  );
  const of = (name: string, entries: typeof whole) => entries.filter((entry) => entry.conversation === name);
  for (const name of [direct, group]) t.same(of(name, await inboxOf(bob)), of(name, whole), 'in order, and no other');
});

t.test(
  'what a repair has written is found where it stands, and is no difference to what would be written anew',
  async (t) => {
    for (const { pos } of whole) {
      const [story] = await scene.json('show', String(pos));
      const { recipients } = story as { recipients: { user: string; seq?: number }[] };
      const seq = recipients.find(({ user }) => user === bob)?.seq;
      const { subject } = (seq && (await jsm.streams.getMessage('INBOX_0', { seq }))) || {};
      t.match(subject, /^inbox\.\d+\.bob$/, `CONV_0@${pos}`);
    }
    t.match(await run('rebuild', 'inbox', '--shadow'), { code: 0, stdout: /no difference/ });
  },
);

t.test('the worker goes on behind it, and a second flaw among what was repaired is found as well', async (t) => {
  await append(direct, says(bob, 'and on'));
  await caughtUp(scene);
  t.match(await verify(), { code: 0 });
  const last = await jsm.streams.getMessage('INBOX_0', { last_by_subj: 'inbox.*.bob' });
  await jsm.streams.deleteMessage('INBOX_0', (last?.seq ?? 0) as number, false);
  await jsm.streams.deleteMessage('INBOX_0', await seqOf('inbox.*.bob', 6), false);
  t.match(await verify(), { code: 1, stdout: /2 findings/ });
  t.match(await verify('--repair'), { code: 0 });
  t.same((await inboxOf(bob)).filter((entry) => entry.conversation === direct).length, 11);
});

t.test('a pack that is gone, a record twice, and one with a place of its own making', async (t) => {
  await jsm.streams.deleteMessage('INBOX_0', await seqOf('pack.0.0', 2), false);
  const copy = await jsm.streams.getMessage('INBOX_0', { seq: await seqOf('inbox.*.alice', 3) });
  if (!copy) throw new Error('alice has no third record');
  // As of the term that is the newest now: else they would be void.
  const { term } = decodeOrigin(
    (await jsm.streams.getMessage('INBOX_0', { last_by_subj: 'term.0.0' }))?.data as Uint8Array,
  );
  const origin = { ...decodeOrigin(copy.data), term };
  await js.publish(copy.subject, encodeInboxRecord(origin, copy.data.slice(20)));
  await js.publish(copy.subject, encodeInboxRecord({ ...origin, offset: 999 }, copy.data.slice(20)));
  const [inbox = ''] = (await verify('--json')).stdout.split('\n');
  const { told } = JSON.parse(inbox) as { told: { flaw: string; user: string }[] };
  t.ok(
    told.some(({ flaw, user }) => flaw === 'damaged' && user === 'm0'),
    'a pointer to a pack that is gone',
  );
  // At least: a copy may hold more than one entry, as the worker's windows fell.
  t.ok(told.filter(({ flaw, user }) => flaw === 'doubled' && user === alice).length >= 2, JSON.stringify(told));
  t.match(await verify('--repair'), { code: 0 });
  t.equal((await inboxOf('m0')).length, 11);
  t.equal(new Set((await inboxOf(alice)).map(({ pos }) => pos)).size, (await inboxOf(alice)).length);
});

t.test(
  'killed in the middle of a repair it leaves entries twice at worst, and the next one goes through',
  async (t) => {
    await jsm.streams.deleteMessage('INBOX_0', await seqOf('inbox.*.m7', 2), false);
    const before = (await jsm.streams.info('INBOX_0')).state.last_seq;
    const { child, ended } = scene.start('verify', '--repair');
    await eventually(async () => {
      const { state } = await jsm.streams.info('INBOX_0');
      const last =
        state.last_seq > before ? await jsm.streams.getMessage('INBOX_0', { seq: state.last_seq }) : undefined;
      return last && decodeOrigin(last.data).lane === 0xffff;
    }, 'the repair writes');
    child.kill('SIGKILL');
    await ended;
    t.equal(new Set((await inboxOf('m7')).map(({ pos }) => pos)).size >= 10, true, 'none is lost');
    t.match(await verify('--repair'), { code: 0 });
    t.same(
      (await inboxOf('m7')).map((entry) => 'n' in entry && entry.n),
      Array.from({ length: 11 }, (_, i) => i + 1),
    );
  },
);

t.test('a row of the read model that is not what the log says is named and restored', async (t) => {
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  mkdirSync(stateDir, { recursive: true });
  reader = startProcess('read-model-worker', { nats: access, logLevel: 'info', stateDir }, nats.dataDir);
  await reader.said('lane current');
  withReadModel = ['--state-dir', stateDir];
  t.match(await verify(), { code: 0, stdout: /read model {2}up to \d+ {2}\d+ tables, \d+ rows: byte-identical/ });
  const db = new Database(join(stateDir, 'lane-0.sqlite'));
  db.prepare("UPDATE summary SET name = 'Crows' WHERE name = 'Rooks'").run();
  db.close();
  t.match(await verify(), { code: 1, stdout: /read model .*DIFFERS first in summary\n.*Crows.*\n.*Rooks/ });
  t.match(await verify('--repair'), { code: 0, stdout: /repaired {2}read model of lane 0/ });
});

t.test('a stream that somebody has emptied is not taken for one that had to drop', async (t) => {
  await jsm.streams.purge('INBOX_0');
  await append(direct, says(bob, 'after'));
  await caughtUp(scene);
  t.match(await verify(), { code: 1, stdout: /missing {2}INBOX_0 {2}alice {2}CONV_0@1 … 21 of rooks/ });
  t.match(await verify('--repair'), { code: 0 });
  t.equal((await inboxOf(bob)).length, 23);
});

t.test('what is behind the log is told, and where nobody works on it', async (t) => {
  const lines = async (): Promise<string> => (await verify()).stdout;
  const { position } = (await scene.json('verify', ...withReadModel)).at(-1) as { position: number };
  reader?.child.kill('SIGSTOP');
  await stopped(reader?.child.pid);
  await append(direct, says(bob, 'nobody reads this'));
  await caughtUp(scene);
  t.match(
    await lines(),
    /every entry is there once\n.*identical, 1 event behind .* file; its worker does not answer$/m,
  );
  reader?.child.kill('SIGKILL');
  await reader?.ended;
  t.match(await lines(), /identical, 1 event behind it not yet in the file; nobody works on it$/m);
  await scene.drain();
  await append(direct, says(bob, 'nor this'));
  t.match(await lines(), /INBOX_0 .*once, 1 event behind it not yet in the inboxes; nobody works on it$/m);
  const [inbox, model] = await scene.json('verify', ...withReadModel);
  t.match(inbox, { what: 'inbox', lag: 1, work: 'none' });
  t.match(model, { what: 'read model', position, lag: 2, work: 'none' });
});

t.test('an entry whose bytes are not those of the log', async (t) => {
  const other = await startOperated();
  t.teardown(() => other.stop());
  for (let i = 0; i < 4; i++) await other.append(direct, says(alice, `hello ${i}`));
  const parts = { ...other.operator, convStream: 0 };
  const events: LogEvent[] = [];
  for await (const record of new JetstreamLogReader(parts).read(1, 4)) if (!isUnreadable(record)) events.push(record);
  const plan = planFor(foldReadable(new MemoryFanOutState(), events).runs, 0, 0, other.nats.topology);
  const forged = plan.map((record, i) => ({ ...record, body: i === 1 ? record.body.with(-3, 0x21) : record.body }));
  const derived = new DerivedStreams(other.operator.jsm, other.nats.topology);
  const writer = new JetstreamInboxWriter({
    ...other.operator,
    derived,
    lane: 0,
    inboxStream: 0,
    failpoints: noFailpoints,
  });
  await writer.begin();
  await writer.write({ from: 1, to: 4 }, forged, 0);
  writer.stop();
  t.match(await other.run('verify'), {
    code: 1,
    stdout: /^damaged {2}INBOX_0@\d+ {2}bob {2}CONV_0@1 … 4 of direct:alice:bob {2}\(.*\)$/m,
  });
  t.match(await other.run('verify', '--repair'), { code: 0 });
  t.match(await other.run('verify', '--repair'), { code: 0, stdout: /every entry is there once/ });
});

t.test('an inbox stream that is gone', async (t) => {
  await scene.drain();
  await jsm.streams.delete('INBOX_0');
  t.match(await verify(), { code: 1, stderr: /^STREAM_MISSING: INBOX_0/ });
});
