import { statSync } from 'node:fs';

/** By which a file that is held open is known from any other at its path: no other gets its number so long. Undefined where there is none. */
export function fileNumber(path: string): string | undefined {
  const at = statSync(path, { bigint: true, throwIfNoEntry: false });
  return at && `${at.dev} ${at.ino}`;
}
