/** `rookery dev` as a newcomer runs it: a real process with real children, killed in every way. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { Gateway } from '../../src/processes/gateway.ts';
import { msgpackCodec } from '../../src/protocol/codec.ts';
import { RawClient } from '../support/gateway.ts';
import { freePort } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');
const STARTS_WITHIN_MS = 60_000;

interface Place {
  readonly dataDir: string;
  readonly port: number;
  readonly natsPort: number;
}

interface RunningDev {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly exitCode: Promise<number | string>;
  token(user: string): string;
}

async function place(t: Test): Promise<Place> {
  const dataDir = mkdtempSync(join(tmpdir(), 'rookery-dev-'));
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
  return { dataDir, port: await freePort(), natsPort: await freePort() };
}

function startDev(t: Test, { dataDir, port, natsPort }: Place): RunningDev {
  const args = ['dev', '--data', dataDir, '--port', String(port), '--nats-port', String(natsPort)];
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const exitCode = new Promise<number | string>((resolve) =>
    child.once('close', (code, how) => resolve(code ?? how ?? '')),
  );
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exitCode;
    await nothingLeft({ dataDir, port, natsPort });
  });
  return {
    process: child,
    output: () => output,
    exitCode,
    token: (user) => new RegExp(`token of ${user} +(\\S+)`).exec(output)?.[1] ?? '',
  };
}

async function started(t: Test, where: Place): Promise<RunningDev> {
  const dev = startDev(t, where);
  const isUp = () => /Ctrl-C stops everything/.test(dev.output());
  const ended = dev.exitCode.then((code) => Promise.reject(new Error(`ended with ${code}:\n${dev.output()}`)));
  ended.catch(() => undefined);
  await Promise.race([eventually(isUp, 'rookery dev is up', STARTS_WITHIN_MS), ended]);
  return dev;
}

/** Processes of this deployment: each names its data folder on its command line. */
async function processes({ dataDir }: Place): Promise<{ pid: number; parent: number; command: string }[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'pid=,ppid=,command=']);
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return command.includes(dataDir) ? [{ pid: Number(pid), parent: Number(parent), command }] : [];
  });
}

const kinds: Record<string, RegExp> = {
  'nats-server': /nats-server\.conf/,
  'fan-out-worker': /rookery\.ts fan-out-worker/,
  'read-model-worker': /rookery\.ts read-model-worker/,
  gateway: /rookery\.ts gateway/,
};

async function pidOf(where: Place, name: string): Promise<number | undefined> {
  return (await processes(where)).find(({ command }) => kinds[name]?.test(command))?.pid;
}

async function nothingLeft(where: Place): Promise<void> {
  await eventually(async () => (await processes(where)).length === 0, 'no process is left');
}

/** An operator's commands, as the banner says them, from another folder. */
async function operate(t: Test, dev: RunningDev, { dataDir, port }: Place): Promise<void> {
  const [, file = ''] = /rookery stats --config (\S+)/.exec(dev.output()) ?? [];
  t.equal(file, join(realpathSync(dataDir), 'operator.json'));
  const run = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [CLI, ...args, '--config', file], { cwd: tmpdir() })).stdout;
  t.match(JSON.parse((await run('tail', '--no-follow', '-n', '1', '--json')).trim()), { text: 'hello' });
  t.match(await run('verify'), /read model .* byte-identical/, 'it names the folders of the workers as well');
  t.match(await run('read-model', 'verify'), /byte-identical/);
  t.match(await run('rebuild', 'fan-out-state'), /rebuilt up to/);
  t.match(await run('key', 'list'), /^dev {2}all/, 'and that of the keys');
  const answer = await fetch(`http://127.0.0.1:${port}/v1/messages`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${(await run('token', '--user', 'carol')).trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ to: 'bob', clientMsgId: 'by carol', text: 'by carol' }),
  });
  t.equal(answer.status, 200, 'with a token of this deployment');
}

/** Sends as alice and waits until bob has it. */
async function chat(dev: RunningDev, { port }: Place, text: string): Promise<void> {
  const address = `http://127.0.0.1:${port}`;
  const sent = async (): Promise<boolean> => {
    const answer = await fetch(`${address}/v1/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${dev.token('alice')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ to: 'bob', clientMsgId: text, text }),
    }).catch(() => undefined);
    return answer?.ok ?? false;
  };
  await eventually(sent, `${text} is acked`, 30_000);
  const hello = { t: 'hello', token: dev.token('bob'), device: crypto.randomUUID(), resume: 'everything' };
  const arrived = async (): Promise<boolean> => {
    const bob = await RawClient.open({ address } as Gateway, msgpackCodec).catch(() => undefined);
    try {
      if ((await bob?.ask(hello))?.t !== 'welcome') return false;
      return await eventually(() => bob?.entries.some(({ id }) => id === text), `bob has ${text}`, 5_000);
    } catch {
      return false;
    } finally {
      bob?.end();
    }
  };
  await eventually(arrived, `bob has ${text}`, 30_000);
}

t.test(
  'one command starts everything, any process may be killed, Ctrl-C leaves nothing, and the data stays',
  async (t) => {
    const where = await place(t);
    const dev = await started(t, where);
    t.match(dev.output(), `http://127.0.0.1:${where.port}`);
    t.match(dev.output(), './bin/rookery chat --as alice --to bob');
    t.equal((await processes(where)).length, 5, 'dev and its four children');
    await chat(dev, where, 'hello');
    await operate(t, dev, where);

    for (const name of Object.keys(kinds)) {
      const killed = await pidOf(where, name);
      t.ok(killed, name);
      process.kill(killed as number, 'SIGKILL');
      const next = await eventually(async () => {
        const pid = await pidOf(where, name);
        return pid !== undefined && pid !== killed && pid;
      }, `another ${name}`);
      t.not(next, killed);
      await chat(dev, where, `after ${name}`);
    }

    dev.process.kill('SIGINT');
    t.equal(await dev.exitCode, 0);
    t.same(await processes(where), []);
    t.match(dev.output(), /stopping/);

    const again = await started(t, where);
    await chat(again, where, 'hello');
    await chat(again, where, 'and again');
    again.process.kill('SIGTERM');
    t.equal(await again.exitCode, 0);
    t.same(await processes(where), []);
  },
);

t.test('a second one on the same data or port says so and disturbs nothing', async (t) => {
  const where = await place(t);
  const other = await place(t);
  const dev = await started(t, where);
  const sameData = startDev(t, { ...other, dataDir: where.dataDir });
  t.equal(await sameData.exitCode, 1);
  t.match(sameData.output(), /^ALREADY_RUNNING: .* is in use by process \d+/m);
  const samePort = startDev(t, { ...other, port: where.port });
  t.equal(await samePort.exitCode, 1);
  t.match(samePort.output(), /^PORT_IN_USE: port \d+, for the gateway/m);
  const sameNatsPort = startDev(t, { ...other, natsPort: where.natsPort });
  t.equal(await sameNatsPort.exitCode, 1);
  t.match(sameNatsPort.output(), /^PORT_IN_USE: port \d+, for nats-server/m);
  t.same(await processes(other), []);
  await chat(dev, where, 'undisturbed');
  dev.process.kill('SIGINT');
  t.equal(await dev.exitCode, 0);
});

t.test('killed with -9 it takes its children with it, and can start again at once', async (t) => {
  const where = await place(t);
  const dev = await started(t, where);
  await chat(dev, where, 'before');
  dev.process.kill('SIGKILL');
  await dev.exitCode;
  await nothingLeft(where);
  const again = await started(t, where);
  await chat(again, where, 'before');
  await chat(again, where, 'after');
  again.process.kill('SIGINT');
  t.equal(await again.exitCode, 0);
});

t.test('a second Ctrl-C does not wait for what hangs', async (t) => {
  const where = await place(t);
  const dev = await started(t, where);
  process.kill((await pidOf(where, 'gateway')) as number, 'SIGSTOP');
  dev.process.kill('SIGINT');
  await eventually(() => /stopping/.test(dev.output()), 'it is stopping');
  dev.process.kill('SIGINT');
  t.equal(await dev.exitCode, 130);
  await nothingLeft(where);
});
