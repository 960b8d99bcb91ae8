/** nats-server as a child: it comes back when it dies, and goes when its parent does. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { findNatsServer } from '../../scripts/nats-server.ts';
import { connectNats } from '../../src/adapters/jetstream/connect.ts';
import { BoundedLog } from '../../src/adapters/system/bounded-log.ts';
import { NatsServer } from '../../src/adapters/system/nats-server.ts';
import { codeOf } from '../support/code-of.ts';
import { freePort, quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const { path: binary } = await findNatsServer();
const topology = { convStreams: 1, inboxStreams: 1 };

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'rookery-nats-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function processesNaming(text: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'pid=,command=']);
  return stdout.split('\n').filter((line) => line.includes(text) && !line.includes('ps -A'));
}

t.test('a server that was killed is started again, on its port, with its data, and clients find it', async (t) => {
  const dataDir = folder(t);
  const port = await freePort();
  const server = await NatsServer.start({
    ...{ binary, dataDir, port, profile: 'default', topology, log: quiet, restart: true },
  });
  t.teardown(() => server.stop());
  const access = { servers: [server.url], credentialsFile: server.credentialsFile };
  const { nc, js, jsm } = await connectNats(access, 'operator', 'test', quiet);
  t.teardown(() => nc.close());
  await jsm.streams.add({ name: 'S', subjects: ['s'] });
  for (let round = 1; round <= 3; round++) {
    const killed = server.pid;
    server.signal('SIGKILL');
    await eventually(() => server.pid !== undefined && server.pid !== killed, 'another process');
    await server.ready();
    // The client may not have noticed yet: what it sends into the dead connection is lost.
    const { seq } = await js.publish('s', String(round), { msgID: String(round), timeout: 250, retries: 40 });
    t.equal(seq, round, 'nothing is lost');
  }
});

t.test('a port that is taken is said so, whoever has it', async (t) => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  t.teardown(() => other.close());
  const starting = NatsServer.start({ binary, dataDir: folder(t), port, profile: 'default', topology, log: quiet });
  t.equal(await codeOf(starting), 'PORT_IN_USE');
});

t.test('a server that cannot start says why', async (t) => {
  const port = await freePort();
  const options = { dataDir: folder(t), port, profile: 'default', topology, log: quiet } as const;
  await t.rejects(NatsServer.start({ ...options, binary: '/nowhere/nats-server' }), { code: 'NATS_SERVER_FAILED' });
  await t.rejects(NatsServer.start({ ...options, binary: '/bin/ls', dataDir: folder(t) }), {
    code: 'NATS_SERVER_FAILED',
    message: /nats-server\.conf/,
  });
});

t.test('the server ends with a parent that was killed, and where it did not, the next start sees to it', async (t) => {
  const dataDir = folder(t);
  const port = await freePort();
  const parent = (profile: string) => {
    const module = join(import.meta.dirname, '..', '..', 'src', 'adapters', 'system', 'nats-server.ts');
    const options = JSON.stringify({ binary, dataDir, port, profile, topology });
    const log = '{ info() {}, warn() {}, error() {} }';
    const script = `const { NatsServer } = await import(${JSON.stringify(module)});
      const { pid } = await NatsServer.start({ ...${options}, log: ${log} });
      console.log(pid);`;
    return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  };
  const first = parent('default');
  const pid = await new Promise<string>((resolve) => first.stdout.once('data', (data) => resolve(String(data).trim())));
  first.kill('SIGKILL');
  await eventually(async () => (await processesNaming(join(dataDir, 'nats-server.conf'))).length === 0, 'it is gone');
  await eventually(async () => (await processesNaming(`rookery-watchdog ${pid}`)).length === 0, 'its watchdog is gone');

  const second = parent('default');
  const orphan = await new Promise<string>((resolve) =>
    second.stdout.once('data', (data) => resolve(String(data).trim())),
  );
  const [watchdog = ''] = await processesNaming(`rookery-watchdog ${orphan}`);
  process.kill(Number.parseInt(watchdog, 10), 'SIGKILL');
  second.kill('SIGKILL');
  const server = await NatsServer.start({ binary, dataDir, port, profile: 'sync', topology, log: quiet });
  t.not(String(server.pid), orphan);
  t.equal((await processesNaming(join(dataDir, 'nats-server.conf'))).length, 1, 'one server has the store');
  await server.stop();
  t.same(await processesNaming(dataDir), [], 'and after a stop none');
});

t.test('a log does not grow without end', async (t) => {
  const dir = folder(t);
  const log = new BoundedLog(join(dir, 'logs', 'x.log'), 1_000);
  for (let i = 0; i < 100; i++) log.write(Buffer.from(`line ${String(i).padStart(4, '0')} ${'.'.repeat(89)}\n`));
  log.close();
  log.write(Buffer.from('late'));
  t.same(readdirSync(join(dir, 'logs')).sort(), ['x.log', 'x.log.1']);
  for (const file of ['x.log', 'x.log.1']) t.ok(statSync(join(dir, 'logs', file)).size <= 1_000);
  t.match(log.tail(1), /^line 0099 /);
});
