import type { NatsConnection, Status } from '@nats-io/nats-core';

/**
 * Calls `lost` whenever the connection is lost.
 * @returns what ends that: a connection keeps everybody who listens, and all they hold, until they are stopped
 */
export function onDisconnect(nc: NatsConnection, lost: () => void): () => void {
  const statuses = nc.status() as AsyncIterable<Status> & { stop(): void };
  void follow(statuses, lost);
  return () => statuses.stop();
}

async function follow(statuses: AsyncIterable<Status>, lost: () => void): Promise<void> {
  for await (const { type } of statuses) if (type === 'disconnect') lost();
}
