/** What a hostile or careless backend sends: each answered with a code, and the next one served as before. */
import t from 'tap';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { API_KEY, startTestGateway } from '../support/gateway.ts';
import { quiet } from '../support/nats.ts';
import { eventually } from '../support/waiting.ts';

const { gateway, nats, stop } = await startTestGateway();
t.teardown(stop);
const { credentialsFile, url } = nats.server;
const readModel = await startReadModelWorker(
  {
    ...{ nats: { servers: [url], credentialsFile }, topology: nats.topology, logLevel: 'silent' },
    stateDir: `${nats.dataDir}/read-model`,
  },
  quiet,
);
t.teardown(() => readModel.drain());

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON as it came
  readonly body: any;
}

async function ask(method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(gateway.address + path, {
    method,
    headers: { authorization: `Bearer ${API_KEY}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

const get = (path: string): Promise<Answer> => ask('GET', path);
const command = (clientMsgId: string, order: object): Promise<Answer> =>
  ask('POST', '/v1/users/alice/commands', { clientMsgId, command: order });
const search = (words: string, more = ''): Promise<Answer> =>
  get(`/v1/users/alice/search?words=${encodeURIComponent(words)}${more}`);

t.before(async () => {
  await command('make', { type: 'createGroup', conversation: 'nest', name: 'Nest', members: ['bob'] });
  const text = 'rooks "nest" in (tall) elms* NOT far NEAR water';
  await ask('POST', '/v1/messages', { from: 'bob', conversation: 'nest', clientMsgId: 'm', text });
  await eventually(async () => (await search('elms')).body.hits?.length === 1, 'the message can be found');
});

t.test('a search is words, whatever its language means elsewhere', async (t) => {
  const hostile = [
    ...['"', '""', '"nest', "'", "' OR 1=1 --", '(', ')', '((((', 'nest)', '*', '*elms', 'elms*', '^rooks', '-nest'],
    ...['NOT', 'AND', 'OR', 'NOT nest', 'nest AND', 'nest NEAR water', 'NEAR(nest water, 5)', 'text:nest', 'room : c1'],
    ...['{text room} : nest', 'nest + in', '\\', '%', '_', '\u0000', 'nest\u0000elms', '\u0000"', 'a\nb', '\u202enest'],
    ...['.', '🐦', '乌"鸦', '"'.repeat(256), '('.repeat(256), `${'a '.repeat(127)}a`],
  ];
  for (const words of hostile) {
    const { status, body } = await search(words);
    const isAnswered = status === 200 && Array.isArray(body.hits);
    t.ok(isAnswered, `${JSON.stringify(words.slice(0, 30))}: ${status} ${JSON.stringify(body).slice(0, 100)}`);
    for (const { conversation } of body.hits ?? []) t.equal(conversation, 'nest', 'of one’s own alone');
  }
  t.equal((await search('"nest" (tall')).body.hits.length, 1, 'the words in it are found');
  t.equal((await search('elms NOT far')).body.hits.length, 1, 'as words');
  t.equal((await search('elms NOT there')).body.hits.length, 0);
});

t.test('filters, cursors and pages out of range are refused by name', async (t) => {
  const long = 'x'.repeat(129);
  const cases: readonly [string, Promise<Answer>][] = [
    ['BAD_REQUEST', search('')],
    ['BAD_REQUEST', search('x'.repeat(257))],
    ['BAD_REQUEST', get('/v1/users/alice/search?words=%ED%A0%80&limit=0')],
    ['BAD_REQUEST', get('/v1/users/alice/search?words=a&words=b')],
    ['BAD_ID', search('a', `&conversation=${long}`)],
    ['BAD_ID', search('a', '&conversation=direct:bob:alice')],
    ['BAD_ID', search('a', '&by=')],
    ['BAD_REQUEST', search('a', '&since=yesterday')],
    ['BAD_REQUEST', search('a', '&since=-1')],
    ['BAD_REQUEST', search('a', '&until=1e9')],
    ['BAD_REQUEST', search('a', '&until=99999999999999999999')],
    ['BAD_REQUEST', search('a', '&cursor=;DROP TABLE entry')],
    ['BAD_REQUEST', search('a', `&cursor=${'A'.repeat(5_000)}`)],
    ['BAD_REQUEST', search('a', '&order=oldest')],
    ['BAD_REQUEST', search('a', '&__proto__=x')],
    ...['0', '101', '-1', '1.5', '', '0x10', '٣', 'NaN', '9007199254740993'].map((limit): [string, Promise<Answer>] => [
      'BAD_REQUEST',
      get(`/v1/users/alice/conversations?limit=${encodeURIComponent(limit)}`),
    ]),
    ['BAD_REQUEST', get('/v1/users/alice/conversations?limit=1&limit=2')],
    ['BAD_REQUEST', get('/v1/users/alice/conversations?archived=perhaps')],
    ['BAD_REQUEST', get('/v1/users/alice/contacts?cursor=%00')],
    ['BAD_REQUEST', get('/v1/users/alice/changes')],
    ['BAD_ID', get(`/v1/users/alice/preferences?about=${long}`)],
    ['BAD_REQUEST', get('/v1/users/alice/profiles')],
    ['BAD_REQUEST', get(`/v1/users/alice/profiles?${'users=bob&'.repeat(101)}`)],
    ['BAD_ID', get(`/v1/users/alice/profiles?users=bob&users=${long}`)],
    ['BAD_ID', get(`/v1/users/${long}/account`)],
    ['BAD_ID', get(`/v1/users/alice/conversations/${long}`)],
    ['BAD_REQUEST', get('/v1/users/alice/conversations/nest/messages?around=1&since=2')],
    ['BAD_REQUEST', get('/v1/users/alice/conversations/nest/messages/-1/edits')],
    ['BAD_REQUEST', get('/v1/users/alice/conversations/nest/messages/1%00/receipts')],
  ];
  for (const [i, [code, answer]] of cases.entries()) {
    t.match(await answer, { status: 400, body: { code } }, `${i} ${code} ${JSON.stringify((await answer).body)}`);
  }
  t.match(await get(`/v1/users/${'x'.repeat(500)}/account`), { status: 400, body: { code: 'BAD_ID' } });
  t.match(await get('/v1/users/%ff/account'), { status: 400, body: { code: 'BAD_REQUEST' } });
  t.match(await get('/v1/users/alice/conversations?archived=false'), { status: 200, body: { conversations: [{}] } });
  t.match(await get('/v1/users/a%00b/conversations'), { status: 200, body: { conversations: [] } }, 'NUL is UTF-8');
});

t.test('commands and messages that cannot be are refused, with nothing of them in the log', async (t) => {
  const { jsm } = await nats.connect('operator');
  const messages = async (): Promise<number> => (await jsm.streams.info('CONV_0')).state.messages;
  const before = await messages();
  const long = 'x'.repeat(129);
  const send = (more: object) => ask('POST', '/v1/messages', { from: 'alice', clientMsgId: 'x', text: 'hi', ...more });
  const cases: readonly [number, string, Promise<Answer>][] = [
    [400, 'BAD_ID', command(long, { type: 'leaveGroup', conversation: 'nest' })],
    [400, 'BAD_ID', command('x', { type: 'leaveGroup', conversation: long })],
    [400, 'BAD_ID', command('x', { type: 'addMembers', conversation: 'nest', members: ['carol', long] })],
    [400, 'BAD_REQUEST', command('x', { type: 'addMembers', conversation: 'nest', members: 'carol' })],
    [400, 'BAD_REQUEST', command('x', { type: 'changeRole', conversation: 'nest', member: 'bob', role: 'god' })],
    [400, 'BAD_REQUEST', command('x', { type: 'markRead', conversation: 'nest', upTo: -1 })],
    [400, 'BAD_REQUEST', command('x', { type: '__proto__' })],
    [400, 'BAD_REQUEST', command('x', { type: 'toString' })],
    [400, 'BAD_REQUEST', command('x', { type: 5 })],
    [400, 'BAD_REQUEST', ask('POST', '/v1/users/alice/commands', { clientMsgId: 'x' })],
    [400, 'BAD_REQUEST', ask('POST', '/v1/users/alice/commands', { clientMsgId: 'x', command: {}, more: 1 })],
    [400, 'BAD_REQUEST', send({ to: 'bob', mentions: new Array(257).fill('bob') })],
    [400, 'BAD_REQUEST', send({ to: 'bob', mentionsAll: false })],
    [400, 'BAD_REQUEST', send({ to: 'bob', contentType: 'x'.repeat(128) })],
    [400, 'BAD_REQUEST', send({ to: 'bob', expiresAt: 1.5 })],
    [400, 'BAD_ID', send({ to: 'bob', from: '' })],
    [400, 'BAD_ID', send({ conversation: long })],
  ];
  for (const [i, [status, code, answer]] of cases.entries()) {
    t.match(await answer, { status, body: { code } }, `${i} ${code} ${JSON.stringify((await answer).body)}`);
  }
  t.equal(await messages(), before);
});

t.test('a command again with its id is the same command, however it is answered the first time', async (t) => {
  const adding = { type: 'addMembers', conversation: 'nest', members: ['dave'] };
  const all = await Promise.all(Array.from({ length: 8 }, () => command('add-dave', adding)));
  const positions = new Set(all.map(({ body }) => body.pos));
  t.equal(positions.size, 1, 'eight at once are one');
  t.equal(all.filter(({ body }) => body.duplicate).length, 7);
  t.match(await command('add-dave', adding), { status: 200, body: { pos: [...positions][0], duplicate: true } });
  t.match(await command('add-dave-2', adding), { status: 409, body: { code: 'ALREADY_A_MEMBER' } });
  const profile = { type: 'changeProfile', profile: { name: 'Alice' } };
  const first = await command('rename', profile);
  t.match(first, { status: 200 });
  t.match(await command('rename', profile), { body: { pos: first.body.pos, duplicate: true } });
});
