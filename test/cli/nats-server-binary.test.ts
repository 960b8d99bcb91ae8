import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { findNatsServer } from '../../src/cli/nats-server-binary.ts';

/** A stand-in that only knows its version. */
function binaryOfVersion(t: Test, version: string): string {
  const path = join(t.testdir(), 'nats-server');
  writeFileSync(path, `#!/bin/sh\necho 'nats-server: ${version}'\n`);
  chmodSync(path, 0o755);
  return path;
}

t.test('a binary that is named is used, and no other', async (t) => {
  const explicit = binaryOfVersion(t, 'v2.14.0');
  t.match(await findNatsServer({ explicit }), { path: explicit, version: '2.14.0' });
});

t.test('a named binary that is missing, too old or something else is an error, not replaced', async (t) => {
  await t.rejects(findNatsServer({ explicit: '/nowhere/nats-server' }), { code: 'NATS_SERVER_NOT_FOUND' });
  await t.rejects(findNatsServer({ explicit: binaryOfVersion(t, 'v2.13.9') }), { message: /2\.13\.9.*2\.14/ });
  await t.rejects(findNatsServer({ explicit: binaryOfVersion(t, 'hello') }), { message: /is no nats-server/ });
});
