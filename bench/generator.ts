/**
 * The load generator: a process of its own, so that what it costs is not charged to what it measures. It does one job and
 * ends with the bench, however that one ends.
 */
import type { FromGenerator, Job, Result, ToGenerator } from './job.ts';
import { broadcast } from './load/broadcast.ts';
import { catchUp } from './load/catch-up.ts';
import { idle } from './load/idle.ts';
import { live } from './load/live.ts';
import type { Enter } from './load/pace.ts';
import { peer } from './load/peer.ts';

let goOn: (() => void) | undefined;

const tell = (message: FromGenerator): void => {
  process.send?.(message);
};

const enter: Enter = (phase) => {
  const told = new Promise<void>((resolve) => (goOn = resolve));
  tell({ phase });
  return told;
};

function run(job: Job): Promise<Result> {
  switch (job.kind) {
    case 'live':
      return live(job, enter);
    case 'broadcast':
      return broadcast(job, enter);
    case 'peer':
      return peer(job, enter);
    case 'idle':
      return idle(job, enter);
    case 'catch-up':
      return catchUp(job, enter);
  }
}

process.on('message', (message: ToGenerator) => {
  if ('go' in message) return goOn?.();
  run(message.job).then(
    (result) => tell({ result }),
    (error: unknown) => tell({ error: String((error as Error).stack ?? error) }),
  );
});
process.on('disconnect', () => process.exit(0));
