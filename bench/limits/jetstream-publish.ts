/** The limit for appends: 200 bytes into a file stream, 512 in flight, acks counted on an own inbox. */
import { connectNats } from '../../src/adapters/jetstream/connect.ts';
import { quiet } from '../../test/support/nats.ts';

const IN_FLIGHT = 512;

/** Appends a second. */
export async function measurePublish(url: string, credentialsFile: string, measureMs: number): Promise<number> {
  const { nc, inboxPrefix } = await connectNats({ servers: [url], credentialsFile }, 'operator', 'bench', quiet);
  const body = new Uint8Array(200);
  let acked = 0;
  let running = true;
  const publish = (): void => nc.publish('user.0.bench.limit', body, { reply: `${inboxPrefix}.limit` });
  nc.subscribe(`${inboxPrefix}.limit`, {
    callback: () => {
      acked += 1;
      if (running) publish();
    },
  });
  for (let i = 0; i < IN_FLIGHT; i++) publish();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = acked;
  const startedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, measureMs));
  const rate = ((acked - before) * 1_000) / (performance.now() - startedAt);
  running = false;
  await nc.close();
  return rate;
}
