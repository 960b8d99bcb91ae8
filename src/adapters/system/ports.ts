import { createServer } from 'node:net';
import { RookeryError } from '../../protocol/error-codes.ts';

/**
 * @param what `port 7700, for the gateway`
 * @param cure how to have another port
 * @throws RookeryError PORT_IN_USE; CONFIGURATION_INVALID where this machine has no such address, or the port is not ours to take
 */
export function checkPort(port: number, host: string, what: string, cure: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE';
      reject(
        isTaken
          ? new RookeryError('PORT_IN_USE', `${what}, is taken; ${cure}`, { cause })
          : new RookeryError('CONFIGURATION_INVALID', `${what}: cannot listen on ${host} (${cause.code})`, { cause }),
      );
    });
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve()));
  });
}
