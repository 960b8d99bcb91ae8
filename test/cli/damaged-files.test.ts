/** A worker's file that is cut off, or of which bits are others, in its journal too: every command says so by a code, or finds what differs. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { append, churnedLog } from '../../bench/churned-log.ts';
import { JetstreamLogReader } from '../../src/adapters/jetstream/log/log-reader.ts';
import { lockFolder } from '../../src/adapters/sqlite/folder-lock.ts';
import { SqliteReadModel } from '../../src/adapters/sqlite/read-model.ts';
import { foldLog } from '../../src/application/read-model/rebuild.ts';
import { lanePlace, statusOf, verify } from '../../src/processes/read-model-files.ts';
import { shadowFile } from '../../src/processes/shadow.ts';
import { asRookeryError } from '../../src/protocol/error-codes.ts';
import { startOperated } from '../support/operated.ts';

const EVENTS = 300;
const scene = await startOperated();
t.teardown(() => scene.stop());
const { operator, nats } = scene;
await append(operator.nc, operator.inboxPrefix, churnedLog(EVENTS));

const whole = join(nats.dataDir, 'whole');
const stateDir = join(nats.dataDir, 'read-model');
const file = join(stateDir, 'lane-0.sqlite');
mkdirSync(whole);

/** Half of it in the file itself, half in its journal, as a worker leaves it that was killed. */
const place = await lanePlace(stateDir, operator, 0);
const reader = new JetstreamLogReader({ ...operator, convStream: 0 });
const end = await reader.lastPos();
const half = new SqliteReadModel(place);
await foldLog(reader, half, Math.floor(end / 2), () => undefined);
half.close();
const model = new SqliteReadModel(place);
await foldLog(reader, model, end, () => undefined);
for (const name of readdirSync(stateDir)) copyFileSync(join(stateDir, name), join(whole, name));
model.close();

function restored(): void {
  rmSync(stateDir, { recursive: true });
  mkdirSync(stateDir);
  for (const name of readdirSync(whole)) copyFileSync(join(whole, name), join(stateDir, name));
}

const parts = { config: { stateDir }, nats: operator, lane: 0, onProgress: () => undefined };
const rebuilding = { topology: nats.topology, stop: new AbortController().signal, ...parts };
const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  status: () => statusOf({ ...parts, withDigest: false }),
  'status --digest': () => statusOf({ ...parts, withDigest: true }),
  verify: () => verify({ ...parts, withDigest: false }),
  'rebuild read-model --shadow': () => shadowFile('read-model', rebuilding, stateDir, 0, () => undefined),
};

/** What each says: `done`, or a code. */
async function saidOf(): Promise<string[]> {
  const said: string[] = [];
  for (const work of Object.values(commands)) {
    said.push(
      await work().then(
        () => 'done',
        (thrown: unknown) =>
          `${asRookeryError(thrown).code}${asRookeryError(thrown).code === 'INTERNAL' ? thrown : ''}`,
      ),
    );
  }
  return said;
}

t.test('whole, with a journal, each command is done', async (t) => {
  restored();
  t.ok(existsSync(`${file}-wal`));
  t.same(await saidOf(), ['done', 'done', 'done', 'done']);
  t.match(await verify({ ...parts, withDigest: false }), { same: true, position: end });
});

for (const suffix of ['', '-wal']) {
  const bytes = readFileSync(join(whole, `lane-0.sqlite${suffix}`));
  t.test(`lane-0.sqlite${suffix}, cut off anywhere`, async (t) => {
    const lengths = [
      0,
      1,
      15,
      16,
      100,
      4_095,
      4_096,
      4_097,
      ...[3, 5, 9].map((n) => Math.floor((bytes.length * n) / 10)),
    ];
    for (const length of [...lengths, bytes.length - 4_096, bytes.length - 1]) {
      restored();
      writeFileSync(file + suffix, bytes.subarray(0, length));
      const said = await saidOf();
      t.ok(
        said.every((one) => one === 'done' || one === 'STATE_FILE_UNUSABLE'),
        `${length}: ${said}`,
      );
    }
  });

  t.test(`lane-0.sqlite${suffix}, a few bytes of it others`, async (t) => {
    const places = [0, 16, 18, 20, 24, 28, 40, 44, 56, 60, 96, 100, 103, 105, 108];
    const spread = Array.from({ length: 25 }, (_, i) => Math.floor((bytes.length * (i + 0.37)) / 25));
    for (const at of [...places, ...spread]) {
      restored();
      const changed = Buffer.from(bytes);
      for (let i = at; i < Math.min(at + 3, changed.length); i++) changed[i] = (changed[i] ?? 0) ^ 0xff;
      writeFileSync(file + suffix, changed);
      const said = await saidOf();
      t.ok(
        said.every((one) => one === 'done' || one === 'STATE_FILE_UNUSABLE'),
        `byte ${at}: ${said}`,
      );
    }
  });
}

t.test('the command line says the code, and no more; a repair builds it anew', async (t) => {
  restored();
  for (const name of readdirSync(stateDir)) if (name !== 'lane-0.sqlite') rmSync(join(stateDir, name));
  writeFileSync(file, Buffer.alloc(8_192, 'no database '));
  const unusable = {
    code: 1,
    stdout: '',
    stderr: /^STATE_FILE_UNUSABLE: .*lane-0\.sqlite: file is not a database.*\n$/,
  };
  const config = join(nats.dataDir, 'worker.json');
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  writeFileSync(config, JSON.stringify({ nats: access, stateDir }));
  for (const command of ['status', 'verify']) {
    t.match(await scene.runWith(config, 'read-model', command), unusable, command);
  }
  t.match(await scene.run('rebuild', 'read-model', '--shadow', '--state-dir', stateDir), {
    ...unusable,
    stdout: String,
  });
  t.match(await scene.run('verify', '--state-dir', stateDir), { ...unusable, stdout: /INBOX_0/ });
  t.match(await scene.run('verify', '--repair', '--state-dir', stateDir), {
    code: 0,
    stdout: /repaired {2}read model of lane 0: built anew from the log\n.*byte-identical/,
  });
});

t.test('what is damaged inside a row is a difference', async (t) => {
  restored();
  new SqliteReadModel(place).close();
  const { default: Database } = await import('better-sqlite3');
  const db = new Database(file);
  t.ok(db.prepare("UPDATE roster SET roster = x'c1c1'").run().changes > 0);
  db.close();
  const found: { readonly stands: string | undefined }[] = [];
  await shadowFile('read-model', rebuilding, stateDir, 0, (difference) => found.push(difference));
  t.match(found[0]?.stands, /"roster":\{"base64":"wcE="\}/, 'its bytes are told, since nobody can read them');
  t.match(await verify({ ...parts, withDigest: false }), { same: false });
});

t.test('a position that is none is told', async (t) => {
  restored();
  const changed = new SqliteReadModel(place);
  changed.close();
  const { default: Database } = await import('better-sqlite3');
  const db = new Database(file);
  db.prepare("UPDATE about SET value = '6x' WHERE key = 'position'").run();
  db.close();
  t.same(await saidOf(), Array(4).fill('STATE_FILE_UNUSABLE'));
});

t.test('a folder’s lock that is damaged is not taken for somebody who runs', async (t) => {
  const folder = join(nats.dataDir, 'locked');
  mkdirSync(folder);
  writeFileSync(join(folder, 'lock.sqlite'), Buffer.alloc(4_096, 'x'));
  t.throws(() => lockFolder(folder), { code: 'STATE_FILE_UNUSABLE', message: /remove it when nobody uses the folder/ });
  rmSync(join(folder, 'lock.sqlite'));
  const lock = lockFolder(folder);
  t.throws(() => lockFolder(folder), { code: 'ALREADY_RUNNING' });
  lock.release();
});
