/** The files of the web client as the gateway serves them. */
import t from 'tap';
import { startTestGateway } from '../support/gateway.ts';

const { gateway, stop } = await startTestGateway({ worker: false, auth: { devTokens: true } });
t.teardown(stop);

const get = (path: string, encoding = 'identity'): Promise<Response> =>
  fetch(gateway.address + path, { headers: { 'accept-encoding': encoding } });

/** What the page names. */
async function files(): Promise<string[]> {
  const page = await (await get('/')).text();
  return [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path as string);
}

t.test('the page and its files: nothing but files of ours may run, and nobody may guess what they are', async (t) => {
  const paths = ['/', '/worker.js', ...(await files())];
  t.ok(paths.length >= 6, paths.join(' '));
  for (const path of paths) {
    const answer = await get(path);
    t.equal(answer.status, 200, path);
    const policy = answer.headers.get('content-security-policy') ?? '';
    t.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
    t.notMatch(policy, /unsafe/);
    t.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  }
});

t.test('what has a hash in its name is kept for ever, the page is asked for again', async (t) => {
  const script = (await files()).find((path) => path.endsWith('.js')) as string;
  t.match((await get(script)).headers.get('cache-control'), /immutable/);
  for (const path of ['/', '/worker.js']) t.equal((await get(path)).headers.get('cache-control'), 'no-cache');
});

t.test('files go out compressed where they may', async (t) => {
  const script = (await files()).find((path) => path.endsWith('.js')) as string;
  t.equal((await get(script, 'br')).headers.get('content-encoding'), 'br');
  t.equal((await get(script, 'gzip')).headers.get('content-encoding'), 'gzip');
  t.equal((await get(script)).headers.get('content-encoding'), null);
});

t.test('a client is told how one gets a token here, and what is not there is still not found', async (t) => {
  t.same(await (await get('/v1/sign-in')).json(), { devTokens: true, login: false });
  for (const path of ['/nothing', '/v1/nothing', '/../package.json', '/assets/']) {
    const answer = await get(path);
    t.equal(answer.status, 404, path);
    t.match(await answer.json(), { code: 'NOT_FOUND' });
  }
});
