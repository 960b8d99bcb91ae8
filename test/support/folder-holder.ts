/** A process that makes temporary folders, and says whether one was ever taken from it. Started by temporary-folder.test.ts. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder } from '../../src/adapters/sqlite/temporary-folder.ts';

const [, , within = '', times = '0'] = process.argv;
if (times === 'hold') {
  const { path } = makeTemporaryFolder('ids', within);
  writeFileSync(join(path, 'ids.sqlite'), 'much');
  process.stdout.write(path);
  setInterval(() => undefined, 60_000);
} else {
  let taken = 0;
  for (let k = 0; k < Number(times); k++) {
    const folders = [makeTemporaryFolder('verify', within), makeTemporaryFolder('past', within)];
    for (const { path } of folders) if (!existsSync(join(path, 'lock.sqlite'))) taken += 1;
    for (const folder of folders) folder.remove();
  }
  process.stdout.write(JSON.stringify({ taken }));
}
