/** `rookery key`: API keys as an operator makes, lists and revokes them. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { KeyRing } from '../../src/adapters/http/key-ring.ts';
import { ensureDevKey, hashOfApiKey, readApiKeyFiles } from '../../src/adapters/system/api-key-files.ts';

const CLI = join(import.meta.dirname, '..', '..', 'src', 'cli', 'rookery.ts');
const cwd = mkdtempSync(join(tmpdir(), 'rookery-key-'));
t.teardown(() => rmSync(cwd, { recursive: true }));
const dir = join(cwd, 'data', 'api-keys');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function key(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, 'key', ...args], { cwd }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}

t.test('a key is printed once, kept as a hash, listed by its name, and gone when it is revoked', async (t) => {
  const made = await key('create', 'shop', '--scope', 'messages:write', 'conversations:read', '--rate', '0.5');
  t.match(made, { code: 0, stdout: /^rkk\.[A-Za-z0-9_-]{43}\n$/, stderr: '' });
  t.match(await key('create', 'crm', '--scope', 'all', '--rate', '5', '--burst', '9', '--days', '30'), { code: 0 });
  const file = join(dir, 'shop.json');
  t.equal(statSync(file).mode & 0o077, 0, 'its owner’s alone');
  t.notMatch(readFileSync(file, 'utf8'), made.stdout.trim().slice(4));
  const ring = new KeyRing({ clock: { nowMs: () => Date.now() }, monotonicMs: () => 0 });
  ring.replace(readApiKeyFiles(dir));
  t.match(ring.admit(made.stdout.trim()), { name: 'shop', rate: { requestsPerSecond: 0.5, burst: 1 } });
  const { stdout } = await key('list');
  t.match(stdout, /^crm {2}all {2}5 a second, 9 at once {2}since \S+Z {2}until \S+Z$/m);
  t.match(stdout, /^shop {2}messages:write,conversations:read {2}0\.5 a second, 1 at once {2}since \S+Z {2}no end$/m);
  t.match(await key('create', 'shop', '--scope', 'all'), { code: 1, stdout: '', stderr: /^CONFLICT: .*shop/ });
  t.match(await key('revoke', 'shop'), { code: 0, stdout: 'revoked shop\n' });
  t.match(await key('revoke', 'shop'), { code: 1, stderr: /^NOT_FOUND: / });
  t.same(
    readApiKeyFiles(dir).map(({ name }) => name),
    ['crm'],
  );
});

t.test('the folder is that of the configuration, unless one is named', async (t) => {
  const config = join(cwd, 'gateway.json');
  const apiKeyDir = join(cwd, 'of-another');
  writeFileSync(config, JSON.stringify({ port: 7800, auth: { apiKeyDir } }));
  t.match(await key('create', 'theirs', '--scope', 'all', '--config', config), { code: 0 });
  t.match(await key('list', '--config', config), { code: 0, stdout: /^theirs {2}all/ });
  t.match(await key('list', '--config', config, '--dir', dir), { stdout: /^crm/ });
  t.match(await key('revoke', 'theirs', '--config', config), { code: 0 });
  t.same(readApiKeyFiles(apiKeyDir), []);
  writeFileSync(config, '{}');
  t.match(await key('list', '--config', config), {
    code: 1,
    stderr: /^CONFIGURATION_INVALID: .* has no auth.apiKeyDir/,
  });
});

t.test('what cannot be a key is refused, and leaves nothing', async (t) => {
  const wrong: readonly [string[], RegExp][] = [
    [['create', 'a/b', '--scope', 'all'], /^CONFIGURATION_INVALID: a\/b: a key's name/],
    [
      ['create', 'a', '--scope', 'messages:write', 'everything'],
      /^CONFIGURATION_INVALID: --scope everything: there is none; there are all, messages:write, conversations:read, /,
    ],
    [['create', 'a', '--scope', 'all', '--rate', '0'], /^CONFIGURATION_INVALID: --rate 0/],
    [['create', 'a', '--scope', 'all', '--burst', '5'], /^CONFIGURATION_INVALID: --burst: needs --rate/],
    [['create', 'a', '--scope', 'all', '--rate', '1', '--burst', '1.5'], /^CONFIGURATION_INVALID: API key a: rate/],
    [['create', 'a', '--scope', 'all', '--days', 'many'], /^CONFIGURATION_INVALID: --days many/],
    [['list', '--dir', 'nowhere'], /^CONFIGURATION_INVALID: API keys in nowhere/],
  ];
  for (const [args, stderr] of wrong) t.match(await key(...args), { code: 1, stdout: '', stderr }, args.join(' '));
  t.same(
    readApiKeyFiles(dir).map(({ name }) => name),
    ['crm'],
  );
});

t.test('the key for development is kept, and mended where one of its two files is lost or another’s', async (t) => {
  const keyFile = join(cwd, 'dev', 'api-key');
  const devDir = join(cwd, 'dev', 'api-keys');
  const hashes = () => readApiKeyFiles(devDir).map(({ name, hash }) => [name, hash]);
  const expected = () => [['dev', hashOfApiKey(readFileSync(keyFile, 'utf8'))]];
  ensureDevKey(keyFile, devDir);
  const first = readFileSync(keyFile, 'utf8');
  t.same(hashes(), expected());
  ensureDevKey(keyFile, devDir);
  t.equal(readFileSync(keyFile, 'utf8'), first);
  rmSync(join(devDir, 'dev.json'));
  ensureDevKey(keyFile, devDir);
  t.same(hashes(), expected());
  rmSync(keyFile);
  ensureDevKey(keyFile, devDir);
  t.not(readFileSync(keyFile, 'utf8'), first);
  t.same(hashes(), expected());
  writeFileSync(keyFile, 'a key of before, of another form entirely');
  ensureDevKey(keyFile, devDir);
  t.same(hashes(), expected());
});
