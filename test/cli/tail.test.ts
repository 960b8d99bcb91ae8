/** `rookery tail` on a real log: what it shows, what it follows, and what it refuses. */
import t from 'tap';
import { directConversationId } from '../../src/domain/ids.ts';
import { conversationSubject } from '../../src/protocol/subjects.ts';
import { conversation, users } from '../support/given.ts';
import { says, startOperated } from '../support/operated.ts';
import { eventually } from '../support/waiting.ts';

const [alice, bob] = users('alice', 'bob') as [never, never];
const direct = directConversationId(alice, bob);
const group = conversation('rooks');
const scene = await startOperated({ convStreams: 2, inboxStreams: 1 });
t.teardown(() => scene.stop());
const { append, run, json } = scene;

await append(group, { type: 'groupCreated', by: alice, name: 'Rooks', members: [bob] });
await append(direct, says(alice, 'the first\u001b[2J 乌鸦'));
await append(direct, says(bob, 'the invoice'));
for (let i = 0; i < 20; i++) await append(group, says(bob, `caw ${i}`));
await scene.operator.js.publish(conversationSubject(direct, 'm'), new Uint8Array([0xc1]));

t.test('in a pipe it is one JSON a line, the newest ten first', async (t) => {
  const { code, stdout, stderr } = await run('tail', '--no-follow');
  const lines = stdout.trimEnd().split('\n');
  t.equal(code, 0);
  t.equal(stderr, '… 14 earlier events: --lines <count>, or --since <place>\n', 'and that these are not all');
  t.equal(lines.length, 10);
  t.match(lines.map((line) => JSON.parse(line)).slice(-2), [
    { conversation: group, type: 'messageSent', by: bob, text: 'caw 19', body: String, pos: Number, at: String },
    { type: 'unreadable', reason: /schema version/, data: 'wQ==' },
  ]);
});

t.test('what is asked for and nothing else', async (t) => {
  const texts = async (...args: string[]) =>
    (await json('tail', '--since', '1d', '--no-follow', ...args)).map(({ text, type }) => text ?? type);
  t.same(await texts('--conversation', direct), ['the first\u001b[2J 乌鸦', 'the invoice']);
  t.same(await texts('--grep', 'INVOICE|鸦'), ['the first\u001b[2J 乌鸦', 'the invoice']);
  t.same(await texts('--kind', 'groupCreated,unreadable'), ['groupCreated', 'unreadable']);
  t.equal((await texts('--user', alice)).length, 3, 'hers, and what bob wrote to her');
  const [{ stream, pos } = {}] = await json('tail', '--since', '1d', '--no-follow', '--grep', 'invoice');
  t.same(await texts('--since', `${stream}@${pos}`, '--until', `${stream}@${pos}`, '--conversation', direct), [
    'the invoice',
  ]);
  t.same(await texts('--until', '2001-01-01', '--conversation', direct).catch(() => 'nothing'), 'nothing');
});

t.test('of a part the newest that match, as many as are asked for', async (t) => {
  const newest = async (...args: string[]) =>
    (await json('tail', '--no-follow', ...args)).map(({ text, type }) => text ?? type);
  const caws = ['--kind', 'messageSent', '--conversation', group];
  t.same(await newest('--since', '1d', '-n', '2', ...caws), ['caw 18', 'caw 19']);
  t.same(await newest('--since', '1d', '-n', '1', '--grep', 'invoice'), ['the invoice']);
  t.same(await newest('--until', 'now', '-n', '1', ...caws), ['caw 19']);
  t.match(await run('tail', '--no-follow', '--since', '1d', '-n', '0'), { code: 0, stdout: /^$/ });
  t.match(await run('tail', '--no-follow', '--since', '1d', '-n', '10001'), {
    code: 1,
    stderr: /^BAD_REQUEST: --lines 10001: at most 10000 of a part/,
  });
});

t.test('of the newest ten with a filter ten match, however far back they stand; and none is said', async (t) => {
  const texts = async (...args: string[]) =>
    (await json('tail', '--no-follow', ...args)).map(({ text, type }) => text ?? type);
  t.same(await texts('-n', '1', '--grep', 'invoice'), ['the invoice'], 'behind twenty others');
  t.same(await texts('--kind', 'groupCreated'), ['groupCreated']);
  t.same(await texts('-n', '2', '--conversation', direct), ['the first\u001b[2J 乌鸦', 'the invoice']);
  t.same(await texts('-n', '3', '--user', alice, '--grep', '.'), [
    'groupCreated',
    'the first\u001b[2J 乌鸦',
    'the invoice',
  ]);
  const ten = await run('tail', '--no-follow', '--grep', 'caw');
  t.match(
    ten.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).text),
    ['caw 10', ...Array(8).fill(/caw/), 'caw 19'],
  );
  t.equal(ten.stderr, '… earlier events may match as well: --lines <count>, or --since <place>\n');
  t.equal((await run('tail', '--no-follow', '--grep', 'invoice')).stderr, '', 'there are no others');
  const none = { code: 0, stdout: '', stderr: 'nothing in the log matches\n' };
  t.match(await run('tail', '--no-follow', '--grep', 'magpie'), none);
  t.match(await run('tail', '--no-follow', '--since', '1d', '--grep', 'magpie'), none);
  t.match(await run('tail', '--no-follow', '--until', '2001-01-01'), none, 'of a part in which nothing lies');
  t.match(await run('tail', '--no-follow', '--conversation', 'nowhere'), {
    ...{ code: 1, stdout: '' },
    stderr: /^NOT_FOUND: there is no conversation nowhere in the log/,
  });
});

t.test('who says how many, or from where, is told of no others', async (t) => {
  for (const args of [
    ['-n', '3'],
    ['--since', '1d'],
  ]) {
    t.match(await run('tail', '--no-follow', ...args), { code: 0, stderr: '' });
  }
});

t.test('lines for people line up, and nothing in a message steers the terminal', async (t) => {
  const { stdout } = await run('tail', '--since', '1d', '--no-follow', '--no-json', '--conversation', direct);
  t.notMatch(stdout, '\u001b');
  const [, first = '', second = ''] = stdout.split('\n');
  t.match(first, /alice +messageSent +the first\\u001b\[2J 乌鸦$/);
  t.equal(first.indexOf('messageSent'), second.indexOf('messageSent'));
});

async function follows(said: { readonly stdout: string }): Promise<void> {
  let sent = 0;
  await eventually(async () => {
    await append(direct, says(bob, `live ${sent++}`));
    return said.stdout.includes('live ');
  }, 'an event comes');
}

t.test('it follows, and Ctrl-C ends it', async (t) => {
  const { child, said, ended } = scene.start('tail', '--conversation', direct, '-n', '0');
  await follows(said);
  const consumers = async (): Promise<string[]> => {
    const names: string[] = [];
    for (const k of [0, 1])
      for await (const { name } of scene.operator.jsm.consumers.list(`CONV_${k}`))
        if (name !== 'fan-out') names.push(name);
    return names;
  };
  t.equal((await consumers()).length, 1, 'of the one stream that is followed');
  child.kill('SIGINT');
  t.match(await ended, { code: 130, stderr: '' });
  t.same(await consumers(), [], 'nothing of it stays on the server');
});

t.test('a reader that goes away ends it', async (t) => {
  const { child, ended } = scene.start('tail', '--since', '1d');
  child.stdout?.once('data', () => child.stdout?.destroy());
  // It may have written all there was before the reader went: then it notices with what it writes next.
  await eventually(async () => {
    await append(direct, says(bob, 'is somebody there?'));
    return child.exitCode !== null;
  }, 'it ends');
  t.match(await ended, { code: 0, stderr: '' });
});

t.test('bad input is refused with a code', async (t) => {
  const cases: [string[], RegExp][] = [
    [['--kind', 'messageSend'], /^BAD_REQUEST: --kind messageSend: .*messageSent/],
    [['--since', 'now', '--until', '1d'], /^BAD_REQUEST: now is behind 1d: name the earlier one first/],
    [['--since', '2001-02-01', '--until', '2001-01-01'], /^BAD_REQUEST: 2001-02-01 is behind 2001-01-01: name/],
    [['--since', 'yesterday'], /^BAD_REQUEST: yesterday: this is neither a position \(17, .*\) nor a time \(/],
    [['--since', '2026-13-01'], /^BAD_REQUEST: 2026-13-01/],
    [['--since', '7'], /^BAD_REQUEST: 7: there are 2 CONV streams/],
    [['--since', 'CONV_7@1'], /^BAD_REQUEST: CONV_7@1: the topology has no such stream/],
    [['--since', 'CONV_0@0'], /^BAD_REQUEST: CONV_0@0/],
    [['--until', 'CONV_0@99999'], /^NOT_FOUND: CONV_0@99999 is beyond the end of the log, which is at \d+/],
    [['--grep', '('], /^BAD_REQUEST: --grep: /],
    [['--conversation', 'direct:b:a'], /^BAD_ID: the conversation/],
    [['-n', 'many'], /^BAD_REQUEST: --lines many/],
    [['--json', '--no-json'], /^BAD_REQUEST: either --json or --no-json/],
    [['--no-json', '--json'], /^BAD_REQUEST: either --json or --no-json/],
    [['--lines', '-5'], /^BAD_REQUEST: --lines -5: a whole number, 0 or more/],
    [['-n', '10001', '--grep', 'caw'], /^BAD_REQUEST: --lines 10001: at most 10000 of a part/],
  ];
  for (const [args, stderr] of cases) {
    t.match(await run('tail', ...args), { code: 1, stdout: '', stderr }, args.join(' '));
  }
});

t.test('the examples of its help are taken as they are written, in a log that was begun today', async (t) => {
  await append(conversation('team-7'), says(bob, 'the invoice 502'));
  const { stdout } = await run('tail', '--help');
  const examples = stdout.split('\n').flatMap((line) => /^ {2}rookery (tail.*?) {2,}/.exec(line)?.[1] ?? []);
  t.equal(examples.length, 7);
  for (const example of examples) {
    const args = example.split(' ').map((arg) => arg.replaceAll("'", ''));
    t.match(await run(...args, '--no-follow'), { code: 0, stdout: /^\{/ }, example);
  }
});

t.test('Ctrl-C ends it also where there is no server any more to tell it to', async (t) => {
  const { child, said, ended } = scene.start('tail', '--conversation', direct, '-n', '0');
  await follows(said);
  await scene.nats.server.stop();
  const startedMs = performance.now();
  child.kill('SIGINT');
  t.match(await ended, { code: 130, stderr: '' });
  t.ok(performance.now() - startedMs < 5_000, 'soon');
});
