/** What a read-model worker has open is taken away under it: it takes what stands there then, or builds anew. */
import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { infoOf } from '../../src/adapters/jetstream/streams/stream-info.ts';
import { lockFolder } from '../../src/adapters/sqlite/folder-lock.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { directConversationId } from '../../src/domain/ids.ts';
import type { HistoryPage } from '../../src/protocol/frames.ts';
import { user } from '../support/given.ts';
import { says, startOperated } from '../support/operated.ts';
import { startProcess } from '../support/processes.ts';
import { readModelsOf } from '../support/read-models.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob] = [user('alice'), user('bob')];
const direct = directConversationId(alice, bob);
const scene = await startOperated();
t.teardown(() => scene.stop());
const { append, nats, operator } = scene;
const stateDir = join(nats.dataDir, 'read-model');
const file = join(stateDir, 'lane-0.sqlite');
const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
const configuration = { nats: access, logLevel: 'info', stateDir };

/** Undefined while there is none, or none that is whole. */
function position(): number | undefined {
  try {
    const db = new Database(file, { readonly: true, fileMustExist: true });
    const value = db.prepare("SELECT value FROM about WHERE key = 'position'").pluck().get();
    db.close();
    return Number(value);
  } catch {
    return undefined;
  }
}

const worker = startProcess('read-model-worker', configuration, nats.dataDir);
t.teardown(() => worker.child.kill('SIGKILL'));
let last = 0;
for (let i = 0; i < 5; i++) last = await append(direct, says(alice, `hello ${i}`));
await worker.said('lane current');

/** What of its files is open and gone, as the kernel tells. */
function deleted(): string[] {
  const fds = `/proc/${worker.child.pid}/fd`;
  const links = readdirSync(fds).map((fd) => {
    try {
      return readlinkSync(join(fds, fd));
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.includes('.sqlite') && link.endsWith('(deleted)'));
}

async function servesFrom(t: Test, pos: number): Promise<void> {
  await eventually(() => position() === pos, `the file at its place is at ${pos}`, 20_000);
  const models = readModelsOf(await nats.connect('gateway'));
  const page = await models.ask(
    0,
    { type: 'history', user: bob, conversation: direct, range: { type: 'newest' }, limit: 100 },
    pos,
  );
  t.equal((page as HistoryPage | undefined)?.entries.length, pos);
  if (process.platform === 'linux') t.same(deleted(), []);
}

t.test('its whole folder: it is made and locked anew', async (t) => {
  await eventually(() => position() === last, 'it has all');
  rmSync(stateDir, { recursive: true });
  await worker.said('folder was taken away');
  // It gives no answers from a file that has nothing yet.
  await worker.said('lane begins anew');
  last = await append(direct, says(alice, 'after'));
  await servesFrom(t, last);
  t.throws(() => lockFolder(stateDir), { code: 'ALREADY_RUNNING' });
});

t.test('another file is put in its place', async (t) => {
  const { created } = await infoOf(operator.jsm, 'CONV_0');
  const other = join(nats.dataDir, 'other.sqlite');
  new SqliteReadModel({ path: other, log: `CONV_0 ${String(created)}` }).close();
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
  renameSync(other, file);
  last = await append(direct, says(alice, 'of another file'));
  await servesFrom(t, last);
});

t.test('a rebuild beside it is taken also then', async (t) => {
  rmSync(stateDir, { recursive: true });
  await eventually(() => position() === last, 'made anew', 20_000);
  t.match((await scene.json('rebuild', 'read-model', '--state-dir', stateDir))[0], { inUse: true, position: last });
  await worker.said('rebuilt file found');
  last = await append(direct, says(alice, 'behind the rebuilt one'));
  await servesFrom(t, last);
});

t.test('a folder that another worker has got meanwhile is left to it', async (t) => {
  worker.child.kill('SIGSTOP');
  rmSync(stateDir, { recursive: true });
  mkdirSync(stateDir);
  const lock = lockFolder(stateDir);
  t.teardown(() => lock.release());
  worker.child.kill('SIGCONT');
  t.equal(await worker.ended, '1');
  t.match(worker.lines.join('\n'), /"code":"ALREADY_RUNNING"/);
});
