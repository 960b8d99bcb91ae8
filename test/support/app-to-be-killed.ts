/** An app that syncs, says what it is told, and dies of kill -9 in the middle: `node app-to-be-killed.ts '{"dir":…}'`. */
import { writeSync } from 'node:fs';
import { createClient } from '../../src/sdk/index.ts';
import { FileStorage } from '../../src/sdk/node/file-storage.ts';

const { dir, address, token, dieAfter } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly dir: string;
  readonly address: string;
  readonly token: string;
  /** Conversations told. */
  readonly dieAfter: number;
};
const url = `${address.replace('http', 'ws')}/v1/ws`;
const storage = await FileStorage.open(dir);
const client = await createClient({ url, token, device: 'phone', sync: 'recent', storage });
let told = 0;
client.on('changed', ({ conversation }) => {
  // At once: what is told and not yet written when it dies would not be known to who counts.
  writeSync(1, `${conversation}\n`);
  told += 1;
  if (told === dieAfter) process.kill(process.pid, 'SIGKILL');
});
client.start();
