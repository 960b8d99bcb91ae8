/** `rookery chat` as a process, its input a pipe. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ScriptedGateway } from '../support/scripted-gateway.ts';
import { eventually } from '../support/waiting.ts';

/** Unsigned: whether to trust it is the gateway's business. */
const tokenOf = (sub: string): string => `e30.${Buffer.from(JSON.stringify({ sub })).toString('base64url')}.`;
const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');

async function scene(t: Test) {
  const gateway = await ScriptedGateway.start();
  const state = mkdtempSync(join(tmpdir(), 'rookery-chat-'));
  t.teardown(async () => {
    await gateway.stop();
    rmSync(state, { recursive: true, force: true });
  });
  const chat = (...args: string[]) => {
    const flags = ['chat', '--as', 'me', '--url', gateway.url, '--state', state, ...args];
    const child = spawn(process.execPath, [CLI, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
    t.teardown(() => child.kill('SIGKILL'));
    const said = { out: '', err: '' };
    child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    return { input: child.stdin, said, ended };
  };
  return { gateway, state, chat };
}

t.test(
  'each line of a pipe is a message; it ends when all are in the log, and a restart is the same device',
  async (t) => {
    const { gateway, state, chat } = await scene(t);
    const first = chat('--to', 'bob');
    first.input.end('hello\n\n你好 🪺\n//slash\n/create team "The Team" bob carol\n/bogus\n');
    t.equal(await first.ended, 1, 'something was refused');
    t.same(first.said.out.trim().split('\n').sort(), ['group team created', '✓ /slash', '✓ hello', '✓ 你好 🪺'].sort());
    t.match(first.said.err, /✗ no command \/bogus/);
    t.match(
      gateway.frames.filter(({ t: type }) => type === 'command'),
      [{ command: { type: 'createGroup', conversation: 'team', name: 'The Team', members: ['bob', 'carol'] } }],
    );
    const second = chat('--group', 'team');
    second.input.end('again\n');
    t.equal(await second.ended, 0);
    const [one, two] = gateway.connections.map(({ hello }) => hello);
    t.equal(one?.token, 'a dev token', 'asked of the gateway');
    t.equal(one?.device, two?.device);
    t.equal(
      one?.device,
      readFileSync(join(state, encodeURIComponent(new URL(gateway.url).host), 'me', 'device'), 'utf8'),
    );
  },
);

t.test('what others wrote is shown without what it would do to the terminal', async (t) => {
  const { gateway, chat } = await scene(t);
  const { input, said, ended } = chat('--token', tokenOf('me'));
  await gateway.welcomed(1);
  t.equal(gateway.connection.hello.token, tokenOf('me'));
  const base = { type: 'message', at: 0, by: 'bob\u001b]0;x\u0007', contentType: 'text/plain' };
  const bodies = ['\u001b[2Jboo\u0007', 'two\nlines', '\u202eevil'].map((text) => new TextEncoder().encode(text));
  const entries = bodies.map((body, i) => ({ ...base, pos: i + 1, n: i + 1, id: `e${i}`, body }));
  gateway.connection.send({ t: 'deliver', conversation: 'direct:bob:me', entries });
  await eventually(() => said.out.includes('evil'), 'all of it');
  t.notMatch(said.out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  t.match(said.out, /bob�\]0;x�: �\[2Jboo�\n/);
  t.match(said.out, /two ⏎ lines/);
  input.end();
  t.equal(await ended, 0);
});

t.test('what is shown is read: of whom one writes to at once, of others when one turns to them', async (t) => {
  const { gateway, chat } = await scene(t);
  const { input, said, ended } = chat('--to', 'bob', '--token', tokenOf('me'));
  await gateway.welcomed(1);
  const base = { type: 'message', at: 0, contentType: 'text/plain', body: new TextEncoder().encode('from carol') };
  const entries = [{ ...base, by: 'carol', pos: 9, n: 4, id: 'c' }];
  gateway.connection.send({ t: 'deliver', conversation: 'direct:carol:me', entries });
  gateway.deliver(3);
  await eventually(() => said.out.includes('m3') && said.out.includes('from carol'), 'both are shown');
  const marks = () =>
    gateway.frames.flatMap((frame) =>
      frame.t === 'command' && frame.command.type === 'markRead' ? frame.command : [],
    );
  await eventually(() => marks().length > 0, 'a mark');
  t.match(marks(), [{ conversation: 'direct:bob:me', upTo: 3 }], 'one for all three, and none for carol');
  input.write('/to carol\n');
  await eventually(() => marks().length > 1, 'another mark');
  gateway.deliver(1, 4);
  await eventually(() => said.out.includes('m4'), 'it is shown');
  input.end();
  t.equal(await ended, 0);
  t.match(marks().slice(1), [{ conversation: 'direct:carol:me', upTo: 4 }]);
  t.equal(marks().length, 2, 'bob is not who is written to');
});

t.test('what is not acked when it ends goes out at the next start', async (t) => {
  const { gateway, chat } = await scene(t);
  gateway.answer = () => undefined;
  const first = chat('--to', 'bob');
  first.input.write('one\ntwo\n');
  await gateway.frame('send', 2);
  first.input.end('/quit\n');
  gateway.connection.ws.close(4200);
  t.equal(await first.ended, 1);
  t.match(first.said.err, /2 not sent yet/);
  gateway.answer = (frame) => gateway.ack(frame);
  const second = chat('--to', 'bob');
  second.input.end('three\n');
  t.equal(await second.ended, 0);
  const sent = gateway.frames.flatMap((frame) => (frame.t === 'send' ? [new TextDecoder().decode(frame.body)] : []));
  t.same(sent, ['one', 'two', 'one', 'two', 'three']);
});

t.test("with another's token nothing is said at all", async (t) => {
  const { gateway, chat } = await scene(t);
  for (const [token, told] of [
    [tokenOf('bob'), /the token is for bob, not for me/],
    ['mine', /--token is no JWT/],
  ] as const) {
    const { said, ended } = chat('--token', token);
    t.not(await ended, 0);
    t.match(said.err, told);
  }
  t.same(gateway.connections, []);
});

t.test('why it is offline is told once, however often it tries again', async (t) => {
  let tries = 0;
  const deaf = createServer((socket) => {
    tries += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  t.teardown(() => deaf.close());
  const { chat } = await scene(t);
  const url = `ws://127.0.0.1:${(deaf.address() as AddressInfo).port}/v1/ws`;
  const { said, input, ended } = chat('--token', tokenOf('me'), '--url', url);
  await eventually(() => tries >= 3, 'three tries');
  input.end();
  await ended;
  t.equal(said.err.match(/offline/g)?.length, 1, said.err);
  t.match(
    said.err,
    '— offline: the connection was lost without a close frame, or none could be made (1006); trying again until it works\n',
  );
});

t.test('what waits for one gateway does not go to another, under whatever user', async (t) => {
  const { gateway, chat } = await scene(t);
  const other = await ScriptedGateway.start();
  t.teardown(() => other.stop());
  gateway.answer = () => undefined;
  const first = chat('--to', 'bob');
  first.input.write('for the first\n');
  await gateway.frame('send');
  first.input.end('/quit\n');
  gateway.connection.ws.close(4200);
  await first.ended;
  t.match(first.said.err, /1 not sent yet/);
  const second = chat('--to', 'bob', '--url', other.url);
  second.input.end('for the second\n');
  t.equal(await second.ended, 0);
  const sent = other.frames.flatMap((frame) => (frame.t === 'send' ? [new TextDecoder().decode(frame.body)] : []));
  t.same(sent, ['for the second']);
  t.not(other.connection.hello.device, gateway.connection.hello.device);
});

t.test('a folder that does not say which gateway it is of is left alone, and told of once', async (t) => {
  const { state, chat } = await scene(t);
  mkdirSync(join(state, 'me'));
  writeFileSync(join(state, 'me', 'device'), 'terminal-old');
  for (const isTold of [true, false]) {
    const { input, said, ended } = chat('--to', 'bob');
    input.end('hello\n');
    t.equal(await ended, 0);
    t.equal(/does not say which gateway it is of and is left alone/.test(said.err), isTold, said.err);
  }
  t.equal(readFileSync(join(state, 'me', 'device'), 'utf8'), 'terminal-old');
});
