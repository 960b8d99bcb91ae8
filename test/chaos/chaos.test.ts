/** A short run of the fault suite, always the same one: each role is killed, and what is derived is lost. `make chaos` runs long ones. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';

const SEED = 7;
const MINUTES = 0.5;
const FAULTS = [
  'kill-gateway',
  'kill-fan-out-worker',
  'kill-nats-server',
  'pause-fan-out-worker',
  'half-open-link',
  'delete-inbox',
  'delete-durable',
  'restore-old-state-files',
  'die-at-halfEmitted',
  'unreadable-event',
  'clock-jump',
];

t.test('every promise holds while things break', { timeout: 200_000 }, async (t) => {
  const main = join(import.meta.dirname, 'main.ts');
  const options = [`--seed=${SEED}`, `--minutes=${MINUTES}`, '--streams=2', `--faults=${FAULTS.join()}`];
  const child = spawn(process.execPath, [main, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGTERM'));
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  t.equal(code, 0, 'no violation', { said: said.join(''), source: '' });
  t.match(
    said.join(''),
    /\b[1-9]\d* faults, [1-9][\d,]* operations.*\b0 violations/,
    'and there were faults and operations',
  );
});
