import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import t from 'tap';
import { deviceIn, stateFolder } from '../../src/cli/chat-state.ts';
import { user } from '../support/given.ts';

const URL = 'ws://127.0.0.1:7700/v1/ws';

t.test('each user has a folder, also one with the longest id there can be', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'rookery-chat-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const names = ['alice', '..', 'a/b', '陈'.repeat(42), `${'陈'.repeat(41)}晨`, '%'.repeat(128)];
  const dirs = names.map((name) => stateFolder(root, URL, user(name)).dir);
  t.equal(new Set(dirs).size, names.length);
  t.equal(basename(dirs[0] as string), 'alice');
  const devices = dirs.map(deviceIn);
  t.same(dirs.map(deviceIn), devices);
  t.equal(new Set(devices).size, names.length);
  t.end();
});
