/** What is no proper request, byte for byte: the answer is JSON with a code of ours, and the gateway lives on. */
import { connect } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { errorCodes } from '../../src/protocol/error-codes.ts';
import { API_KEY, startTestGateway } from '../support/gateway.ts';

const { gateway, stop } = await startTestGateway({ worker: false });
t.teardown(stop);
const port = Number(new URL(gateway.address).port);

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** All that comes back until the socket is closed. Bytes as Latin-1. */
function raw(request: string): Promise<Answer> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(request, 'latin1')));
    socket.on('data', (data) => {
      got += data.toString('latin1');
      // An upgrade that has succeeded stays open.
      if (got.startsWith('HTTP/1.1 101')) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const end = got.indexOf('\r\n\r\n');
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(got)?.[1] ?? 0);
      resolve({ status, head: got.slice(0, end), body: got.slice(end + 4) });
    });
  });
}

/** Why this is no answer as it should be. */
function wrongWith({ status, head, body }: Answer, hasBody = true): string | undefined {
  if (status >= 100 && status < 400) return undefined;
  if (!/^content-type: application\/json/im.test(head)) return `${status} without JSON`;
  if (!hasBody) return status === 500 ? '500' : undefined;
  const { code } = JSON.parse(body) as { code: keyof typeof errorCodes };
  if (errorCodes[code]?.status !== status) return `${status} ${code}`;
  return status === 500 ? body : undefined;
}

const HOST = 'Host: x\r\nConnection: close\r\n';
const upgrade = (path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${more}\r\n`;
const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';
const KEY = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const post = (headers: string, body: string): string =>
  `POST /v1/messages HTTP/1.1\r\n${HOST}Authorization: Bearer ${API_KEY}\r\n${headers}\r\n\r\n${body}`;
const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${headers}\r\n`;
const json = 'Content-Type: application/json\r\n';

async function answersWith(t: Test, cases: readonly (readonly [string, string])[]): Promise<void> {
  for (const [code, request] of cases) {
    const answer = await raw(request);
    t.match(
      answer.body,
      `"code":"${code}"`,
      `${JSON.stringify(request.slice(0, 60))}: ${answer.status} ${answer.body}`,
    );
    t.equal(wrongWith(answer), undefined);
  }
}

t.test('paths that are damaged', async (t) => {
  await answersWith(t, [
    ['BAD_REQUEST', get('/%zz')],
    ['BAD_REQUEST', get('/docs/static/%zz')],
    ['NOT_FOUND', get('//etc')],
    ['NOT_FOUND', get('//')],
    ['NOT_FOUND', get('/%00')],
    ['NOT_FOUND', get('/docs/static/nope')],
    ['NOT_FOUND', get('/docs/static/..%2f..%2fpackage.json')],
    ['NOT_FOUND', get('/../../etc/passwd')],
    ['NOT_FOUND', get('/..%2f..%2fetc/passwd')],
    ['NOT_FOUND', get('/assets/')],
    ['NOT_FOUND', get(`/${'x'.repeat(10_000)}`)],
    ['HEADERS_TOO_LARGE', get(`/${'x'.repeat(20_000)}`)],
    ['BAD_REQUEST', get('/a\0b')],
  ]);
});

t.test('files on conditions that do not hold', async (t) => {
  await answersWith(t, [
    ['RANGE_NOT_SATISFIABLE', get('/docs/static/index.css', 'Range: bytes=999999999-\r\n')],
    ['RANGE_NOT_SATISFIABLE', get('/docs/static/index.css', 'Range: bytes=5-2\r\n')],
    ['PRECONDITION_FAILED', get('/docs/static/index.css', 'If-Match: "nope"\r\n')],
    ['PRECONDITION_FAILED', get('/docs/static/index.css', 'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n')],
  ]);
  t.equal((await raw(get('/docs/static/index.css', 'Range: bytes=0-9\r\n'))).body.length, 10);
  t.equal((await raw(get('/docs/static/index.css', 'If-None-Match: *\r\n'))).status, 304);
});

t.test('methods, headers and bodies that cannot be', async (t) => {
  await answersWith(t, [
    ['NOT_FOUND', `PROPFIND / HTTP/1.1\r\n${HOST}\r\n`],
    ['NOT_FOUND', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`],
    ['NOT_FOUND', `DELETE /v1/messages HTTP/1.1\r\n${HOST}\r\n`],
    ['BAD_REQUEST', `BREW / HTTP/1.1\r\n${HOST}\r\n`],
    ['BAD_REQUEST', `CONNECT x:80 HTTP/1.1\r\n${HOST}\r\n`],
    ['BAD_REQUEST', `GET / HTTP/9.9\r\n${HOST}\r\n`],
    ['BAD_REQUEST', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['BAD_REQUEST', 'nonsense\r\n\r\n'],
    ['BAD_REQUEST', get('/', 'X: a\0b\r\n')],
    ['BAD_REQUEST', get('/', ': x\r\n')],
    ['HEADERS_TOO_LARGE', get('/', `X: ${'x'.repeat(20_000)}\r\n`)],
    ['BAD_REQUEST', post(`${json}Content-Length: 5\r\nTransfer-Encoding: chunked`, '0\r\n\r\n')],
    ['BAD_REQUEST', post(`${json}Transfer-Encoding: chunked`, 'zz\r\n\r\n')],
    ['BAD_REQUEST', post(`${json}Content-Length: -5`, '')],
    ['BAD_REQUEST', post(`${json}Expect: a-miracle\r\nContent-Length: 2`, '{}')],
    ['BAD_REQUEST', post('Content-Type: text/plain\r\nContent-Length: 2', '{}')],
    ['BAD_REQUEST', post('Content-Type: nonsense\r\nContent-Length: 2', '{}')],
    ['BAD_REQUEST', post('Content-Length: 2', '{}')],
    ['BAD_FRAME', post(`${json}Content-Length: 0`, '')],
    ['BAD_FRAME', post(`${json}Content-Length: 20`, '{"__proto__":{"a":1}}'.slice(0, 20))],
  ]);
});

t.test('upgrades that cannot be', async (t) => {
  await answersWith(t, [
    ['UPGRADE_REQUIRED', get('/v1/ws')],
    ['NOT_FOUND', `POST /v1/ws HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`],
    ['UPGRADE_REQUIRED', get('/v1/ws', H2C)],
    ['BAD_REQUEST', upgrade('/v1/ws')],
    ['BAD_REQUEST', upgrade('/v1/ws', KEY.replace('13', '7'))],
    ['BAD_REQUEST', upgrade('/v1/ws', KEY.replace(/Key: .*/, 'Key: bad'))],
    ['BAD_REQUEST', upgrade('/v1/ws', `${KEY}Sec-WebSocket-Protocol: a,,b\r\n`)],
    ['BAD_REQUEST', upgrade('/%zz', KEY)],
    ['NOT_FOUND', upgrade('/nope', KEY)],
    ['NOT_FOUND', upgrade('/healthz', KEY)],
  ]);
  t.equal((await raw(upgrade('/v1/ws', KEY))).status, 101, 'one that can');
  t.equal((await raw(get('/healthz', H2C))).status, 200, 'another protocol is an offer that need not be taken');
});

t.test('what is damaged behind whole requests is answered behind them, in order', async (t) => {
  const hello = JSON.stringify({ from: 'a', to: 'b', clientMsgId: 'p', contentType: 'text/plain', text: 'x' });
  const first = post(`${json}Content-Length: ${hello.length}`, hello).replace('Connection: close\r\n', '');
  const next = 'GET /nope HTTP/1.1\r\nHost: x\r\n\r\n';
  // Not judged within its time where no worker is there; what counts is that it is answered, and first.
  const statuses = async (bytes: string): Promise<string[]> => {
    const { head, body } = await raw(bytes);
    return `${head}\r\n\r\n${body}`.match(/HTTP\/1\.1 \d+/g) ?? [];
  };
  const [alone] = await statuses(first.replace('Host: x\r\n', HOST));
  t.match(alone, /^HTTP\/1\.1 (2|5)/);
  const behind = [
    ['garbage', 'nonsense\r\n\r\n', '400'],
    ['a second piece of it', 'nonsense\r\n\r\nnonsense\r\n\r\n', '400'],
    ['headers too long', get('/', `X: ${'x'.repeat(20_000)}\r\n`), '431'],
    ['a tunnel', `CONNECT x:80 HTTP/1.1\r\n${HOST}\r\n`, '400'],
    ['a body that is none', post(`${json}Transfer-Encoding: chunked`, 'zz\r\n\r\n'), '400'],
    ['an upgrade', upgrade('/v1/ws', KEY).replace('Upgrade', 'Upgrade, close'), '426'],
  ] as const;
  const got = await Promise.all(behind.map(([, bytes]) => statuses(`${first}${next}${bytes}`)));
  for (const [i, [name, , status]] of behind.entries())
    t.same(got[i], [alone, 'HTTP/1.1 404', `HTTP/1.1 ${status}`], name);
});

/** Chosen from words, or anything. */
const oneOf = (words: string, maxLength: number) =>
  fc.oneof(fc.constantFrom(...words.split(' ')), fc.string({ maxLength, unit: 'binary-ascii' }));
const KNOWN = 'v1 ws users alice messages docs static index.css assets accounts conversations login dev token healthz';
const HEADERS =
  'Range If-Match If-Range If-Modified-Since If-None-Match Accept-Encoding Content-Type Expect Content-Encoding';

const requests = fc.record({
  method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'BREW'),
  path: fc
    .array(oneOf(`${KNOWN} .. %00 %2f %2e%2e %zz %ff * :x`, 6), { maxLength: 6 })
    .map((pieces) => `/${pieces.join('/')}`.replace(/[\r\n ]/g, '_')),
  headers: fc.array(
    fc.tuple(
      fc.constantFrom(...`${HEADERS} Authorization X-Forwarded-For`.split(' ')),
      oneOf(`bytes=9- bytes=-0 "x" * application/json ${API_KEY} gzip`, 12).map((text) => text.replace(/[\r\n]/g, '_')),
    ),
    { maxLength: 4 },
  ),
  body: fc.oneof(fc.constant(''), fc.json({ maxDepth: 1 }), fc.string({ maxLength: 20, unit: 'binary-ascii' })),
});

t.test('any request, whatever is put in it: a code of ours, and never a defect', async (t) => {
  const property = fc.asyncProperty(requests, async ({ method, path, headers, body }) => {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const length = Buffer.byteLength(body, 'latin1');
    const answer = await raw(`${method} ${path} HTTP/1.1\r\n${HOST}${lines}Content-Length: ${length}\r\n\r\n${body}`);
    const wrong = wrongWith(answer, method !== 'HEAD');
    if (answer.status === 0 || wrong) throw new Error(`${method} ${path}: ${wrong ?? 'no answer'}`);
  });
  await fc.assert(property, { numRuns: 400 });
  t.equal((await fetch(`${gateway.address}/healthz`)).status, 200);
});
