/** Connections that are open and silent, until this process is told to go. */
import type { IdleJob, Result } from '../job.ts';
import { connectDevice } from './device.ts';
import type { Enter } from './pace.ts';
import { LightSocket } from './socket.ts';

/** Connections that are opened at a time. */
const AT_ONCE = 50;

export async function idle(job: IdleJob, enter: Enter): Promise<Result> {
  const sockets: LightSocket[] = [];
  await open(job, job.first, sockets);
  await enter('measuring');
  await open(job, job.more, sockets);
  await enter('measured');
  const closed = sockets.filter((socket) => socket.closed).length;
  return { value: sockets.length - closed, lost: closed, doubled: 0, outOfOrder: 0 };
}

async function open({ url, secretFile }: IdleJob, count: number, sockets: LightSocket[]): Promise<void> {
  const end = sockets.length + count;
  while (sockets.length < end) {
    const some = Array.from({ length: Math.min(AT_ONCE, end - sockets.length) }, (_, i) =>
      secretFile
        ? connectDevice({
            server: { url, secretFile },
            user: `idle${sockets.length + i}`,
            resume: 'latest',
            onFrame: () => undefined,
          }).then(({ socket }) => socket)
        : LightSocket.open(new URL(url), undefined, () => undefined),
    );
    sockets.push(...(await Promise.all(some)));
  }
}
