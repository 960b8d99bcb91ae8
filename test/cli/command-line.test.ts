/** The `rookery` command as a person or a script meets it. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { JetstreamDeadLetters } from '../../src/adapters/jetstream/log/dead-letters.ts';
import { JwtTokens } from '../../src/adapters/jwt/tokens.ts';
import { NODE_FLAGS } from '../../src/adapters/system/node-flags.ts';
import { directConversationId, type UserId } from '../../src/domain/ids.ts';
import { encodeLogEvent } from '../../src/protocol/log-event.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { bytes, msgId, users } from '../support/given.ts';
import { startNats } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');
const dir = mkdtempSync(join(tmpdir(), 'rookery-cli-'));
t.teardown(() => rmSync(dir, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function rookery(args: readonly string[], environment: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    execFile(process.execPath, [CLI, ...args], { cwd: dir, env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}

t.test('an error is its code and a text, and exit code 1', async (t) => {
  const cases: [string[], RegExp][] = [
    [['config', 'check', 'nothing'], /^CONFIGURATION_INVALID: there is no process nothing/],
    [
      ['config', 'check', 'gateway', '--config', 'nowhere.json'],
      /^CONFIGURATION_INVALID: nowhere\.json: .*; paths are relative to the current folder, \//,
    ],
    [['token', '--user', 'x'.repeat(1_000)], /^BAD_ID: /],
    [['token', '--user', 'alice', '--secret-file', 'nowhere'], /^CONFIGURATION_INVALID: /],
    [['streams', 'diff'], /^CONFIGURATION_INVALID: .*nats-credentials\.json.*relative to the current folder/],
    [['token', '--user', 'alice'], /^CONFIGURATION_INVALID: auth.secretFile data.*relative to the current folder/],
    [['streams', 'diff', '--replicas', '9'], /1 to 5/],
    [['dev', '--port', 'http'], /^CONFIGURATION_INVALID: port: must be integer/],
    [['dev', '--host', '203.0.113.1'], /^CONFIGURATION_INVALID: port 7700, for the gateway: cannot listen on 203/],
    [['dev', '--data', import.meta.filename], /^CONFIGURATION_INVALID: the data folder /],
    [['token', '--user', 'alice', '--days', 'many'], /^CONFIGURATION_INVALID: --days many/],
    [['token', '--user', 'alice', '--days', 'Infinity'], /^CONFIGURATION_INVALID: --days Infinity/],
    [['chat', '--as', 'a', '--to', 'b', '--group', 'c'], /^BAD_REQUEST: either --to or --group/],
    [['dev', '--profile', 'fast'], /^CONFIGURATION_INVALID: profile: must be default or sync/],
  ];
  for (const [args, expected] of cases) {
    t.match(await rookery(args), { code: 1, stderr: expected, stdout: '' }, args.join(' ').slice(0, 60));
  }
});

t.test('a file that does not say where the deployment is, is refused: the local one is not meant', async (t) => {
  const file = join(dir, 'mistaken.json');
  const refused = async (config: object, command: string[], stderr: RegExp): Promise<void> => {
    writeFileSync(file, JSON.stringify(config));
    t.match(await rookery([...command, '--config', file]), { code: 1, stdout: '', stderr }, command.join(' '));
  };
  const misspelt = { natz: {}, topology: { convStreams: 2 } };
  const commands = [
    'stats',
    'tail',
    'streams diff',
    'dead list',
    'read-model status',
    'token --user alice',
    'key list',
  ];
  for (const command of commands) {
    await refused(misspelt, command.split(' '), /^CONFIGURATION_INVALID: .*mistaken\.json: natz: no process has such/);
  }
  await refused({ name: 'a', version: '1' }, ['tail'], /name: no process has .*; version: no process has /);
  await refused({ port: 7700 }, ['tail'], /^CONFIGURATION_INVALID: .*mistaken\.json: nats: it is not there/);
  await refused({ nats: {} }, ['tail'], /mistaken\.json: nats: it is not there/);
  await refused({ stateDirs: { fanout: 'x' } }, ['tail'], /^CONFIGURATION_INVALID: stateDirs\.fanout: /);

  const nats = { servers: ['nats://127.0.0.1:1'], credentialsFile: join(dir, 'nowhere.json') };
  for (const known of [
    { limits: { maxSessions: 1 } },
    { stateDir: 'x' },
    { stateDirs: {}, auth: {} },
    { natsPort: 1 },
  ]) {
    await refused({ nats, ...known }, ['tail'], /^CONFIGURATION_INVALID: .*nowhere\.json/);
  }
});

t.test('whoever meets no server is told what to start', async (t) => {
  const credentialsFile = join(dir, 'credentials.json');
  const password = { user: 'u', password: 'p' };
  writeFileSync(credentialsFile, JSON.stringify({ operator: password, 'read-model-worker': password }));
  const config = join(dir, 'away.json');
  writeFileSync(config, JSON.stringify({ nats: { servers: ['nats://127.0.0.1:1'], credentialsFile } }));
  const commands = [['stats'], ['tail'], ['verify'], ['streams', 'diff'], ['dead', 'list'], ['read-model', 'status']];
  for (const command of commands) {
    const name = command.join(' ');
    t.match(await rookery(command), { code: 1, stderr: /^CONFIGURATION_INVALID: .*; does `make dev` run\?/ }, name);
    const environment = {
      ROOKERY_NATS__SERVERS: 'nats://127.0.0.1:1',
      ROOKERY_NATS__CREDENTIALS_FILE: credentialsFile,
    };
    const away = await rookery(command, environment);
    t.match(away, { code: 1, stderr: /^LOG_UNAVAILABLE: cannot connect .*; does `make dev` run\?\n$/ }, name);
  }
  t.match(await rookery(['tail', '--config', config]), {
    code: 1,
    stderr: /; does the deployment of .*away\.json run\?/,
  });
});

t.test('a server that takes the connection and says nothing is told, and Ctrl-C need not wait for it', async (t) => {
  const silent = createServer((socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<Socket>();
  silent.on('connection', (socket) => sockets.add(socket));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as AddressInfo;
  const credentialsFile = join(dir, 'silent.json');
  writeFileSync(credentialsFile, JSON.stringify({ operator: { user: 'u', password: 'p' } }));
  const environment = {
    ROOKERY_NATS__SERVERS: `nats://127.0.0.1:${port}`,
    ROOKERY_NATS__CREDENTIALS_FILE: credentialsFile,
  };
  // It ends: or this would wait for ever.
  t.match(await rookery(['verify'], environment), { code: 1, stderr: /^LOG_UNAVAILABLE: cannot connect / });
  sockets.clear();
  const child = spawn(process.execPath, [CLI, 'stats'], { cwd: dir, env: { ...process.env, ...environment } });
  await eventually(() => sockets.size > 0, 'it connects');
  child.kill('SIGINT');
  t.equal(await new Promise((resolve) => child.once('close', resolve)), 130);
});

t.test('help is there for every command, with examples', async (t) => {
  for (const command of [
    [],
    ['dev'],
    ['gateway'],
    ['fan-out-worker'],
    ['read-model-worker'],
    ['streams'],
    ['config', 'check'],
    ['dead'],
    ['key'],
  ]) {
    t.match(await rookery([...command, '--help']), { code: 0, stdout: /Examples:/ }, command.join(' '));
  }
});

t.test('a token opens the door it was made for', async (t) => {
  const secretFile = join(dir, 'secret');
  writeFileSync(secretFile, 'a secret of at least thirty-two bytes');
  const { stdout } = await rookery(['token', '--user', '陈晨', '--secret-file', secretFile]);
  const tokens = new JwtTokens({ mode: 'secret', secretFile, jwks: '', issuer: '', audience: '' });
  t.equal((await tokens.verify(stdout.trim())).user, '陈晨');

  const config = join(dir, 'gateway.json');
  writeFileSync(config, JSON.stringify({ port: 7700, auth: { secretFile, issuer: 'us' } }));
  const ours = await rookery(['token', '--user', 'bob', '--config', config]);
  const checked = new JwtTokens({ mode: 'secret', secretFile, jwks: '', issuer: 'us', audience: '' });
  t.equal((await checked.verify(ours.stdout.trim())).user, 'bob', 'as that gateway wants it');
  writeFileSync(config, JSON.stringify({ auth: { mode: 'jwks', jwks: 'https://id.example/jwks' } }));
  const elsewhere = await rookery(['token', '--user', 'bob', '--config', config]);
  t.match(elsewhere, { code: 1, stderr: /^CONFIGURATION_INVALID: auth\.mode is jwks/ });
});

t.test('config check shows what is in force and hides what is secret', async (t) => {
  const { stdout, stderr } = await rookery(['config', 'check', 'gateway'], {
    ROOKERY_AUTH__API_KEYS: 'an-api-key-of-at-least-32-characters',
    ROOKERY_NATS__SERVERS: 'nats://me:hush@127.0.0.1:4222',
    ROOKERY_PROT: '1',
  });
  t.match(stdout, /auth\.apiKeys +\(set\) +environment/);
  t.match(stdout, /nats\.servers +\["nats:\/\/\(set\)@127\.0\.0\.1:4222"\] +environment/);
  t.match(stdout, /limits\.maxInFlight +512 +default +unanswered requests/);
  t.match(stderr, /ROOKERY_PROT .* no process has such a field/);
  t.notMatch(stdout, /an-api-key|hush/);
  t.match(await rookery(['config', 'check']), { code: 0, stdout: /fan-out-worker\n.*\ndev\n/s });
});

t.test('streams are compared and applied from the command line', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const config = join(dir, 'operator.json');
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  writeFileSync(config, JSON.stringify({ nats: access }));
  t.match(await rookery(['streams', 'diff', '--config', config]), { code: 0, stdout: 'no difference\n' });

  const { jsm } = await nats.connect('operator');
  await jsm.streams.update('INBOX_0', { max_age: 30 * 86_400e9 });
  const diff = await rookery(['streams', 'diff', '--config', config]);
  t.match(diff.stdout, /would update INBOX_0\n {2}max_age: 2592000000000000 → 604800000000000 {3}LOSES DATA/);
  const apply = ['streams', 'apply', '--config', config];
  t.match(await rookery(apply), { code: 1, stderr: /^STREAM_CHANGE_REFUSED: .*INBOX_0\.max_age/ });
  t.match(await rookery([...apply, '--allow-data-loss']), { code: 0, stdout: /^updated INBOX_0\n/ });
});

t.test('the version is that of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'));
  t.match(await rookery(['--version']), { code: 0, stdout: `${version}\n` });
});

t.test('a reader that goes away is no error', async (t) => {
  const child = spawn(process.execPath, [CLI, 'config', 'check'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const code = await new Promise((resolve) => child.once('close', resolve));
  t.equal(code, 0);
  t.equal(stderr, '');
});

t.test('every way to start a process of ours gives node the same flags', async (t) => {
  const root = join(import.meta.dirname, '..', '..');
  const flags = NODE_FLAGS.join(' ');
  t.match(readFileSync(join(root, 'bin', 'rookery'), 'utf8'), `exec node ${flags} "$root/src/cli/rookery.ts"`);
  t.equal(readFileSync(CLI, 'utf8').split('\n')[0], `#!/usr/bin/env -S node ${flags}`);
});

t.test('a dead letter is listed, shown and tried again, once however often', async (t) => {
  const nats = await startNats();
  t.teardown(() => nats.stop());
  const { js, jsm } = await nats.connect('operator');
  const [alice, bob] = users('alice', 'bob') as [UserId, UserId];
  const direct = directConversationId(alice, bob);
  const event = {
    type: 'messageSent',
    by: alice,
    id: msgId('late'),
    contentType: 'text/plain',
    body: bytes('hi'),
  } as const;
  const letter = {
    pos: 7,
    subject: conversationSubject(direct, 'm'),
    reason: 'of a later version',
    data: encodeLogEvent(event),
  };
  const letters = new JetstreamDeadLetters(js);
  await letters.put('fan-out', 'CONV_0', letter);
  const file = join(nats.dataDir, 'operator.json');
  writeFileSync(
    file,
    JSON.stringify({ nats: { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile } }),
  );
  const dead = (...args: string[]): Promise<Outcome> => rookery(['dead', ...args, '--config', file]);

  t.match(await dead('list'), { code: 0, stdout: /^1 {2}.*fan-out {2}CONV_0@7 .*of a later version\n$/ });
  t.match(JSON.parse((await dead('list', '--json')).stdout), {
    number: 1,
    worker: 'fan-out',
    stream: 'CONV_0',
    pos: 7,
  });
  const shown = await dead('show', '1');
  t.match(shown.stdout, Buffer.from(letter.data).toString('base64'));
  t.match(await dead('retry', '1'), { code: 0, stdout: 'appended at CONV_0@1\n' });
  t.match(await dead('list'), { code: 0, stdout: 'no dead letters\n' });
  t.match(await dead('retry', '1'), { code: 1, stderr: /^NOT_FOUND: there is no dead letter 1/ });

  // Killed between the append and the deletion: the letter is still there, and is tried again.
  await letters.put('fan-out', 'CONV_0', letter);
  t.match(await dead('retry', '2'), { code: 0, stdout: 'appended at CONV_0@1\n' });
  t.equal((await jsm.streams.info('CONV_0')).state.messages, 1, 'one event in the log');
});
