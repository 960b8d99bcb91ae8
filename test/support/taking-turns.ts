/** A process that takes a lock again and again, and says whether it was ever in there with another. Started by file-lock.test.ts. */
import { closeSync, openSync, rmSync } from 'node:fs';
import { tryLockPassingFile } from '../../src/adapters/sqlite/file-lock.ts';

const [, , file = '', turns = '0'] = process.argv;
let [taken, together] = [0, 0];
while (taken < Number(turns)) {
  const lock = tryLockPassingFile(file);
  if (!lock) continue;
  taken += 1;
  try {
    closeSync(openSync(`${file}.inside`, 'wx'));
    rmSync(`${file}.inside`);
  } catch {
    together += 1;
  }
  lock.release();
}
process.stdout.write(JSON.stringify({ taken, together }));
