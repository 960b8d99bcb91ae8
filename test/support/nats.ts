/** A real nats-server for a test, with the streams and the users of production, in a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer } from '../../scripts/nats-server.ts';
import { connectNats, type Nats, type Role } from '../../src/adapters/jetstream/connect.ts';
import { loadDefinitions } from '../../src/adapters/jetstream/streams/stream-definitions.ts';
import { applyStreams } from '../../src/adapters/jetstream/streams/streams.ts';
import type { DurabilityProfile } from '../../src/adapters/system/nats-configuration.ts';
import { NatsServer } from '../../src/adapters/system/nats-server.ts';
import type { Log } from '../../src/ports/log.ts';
import type { Topology } from '../../src/protocol/subjects.ts';

export const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
export const loud: Log = { info: console.error, warn: console.error, error: console.error };

export interface TestNats {
  readonly server: NatsServer;
  readonly topology: Topology;
  readonly dataDir: string;
  /** A new connection, closed with the server. */
  connect(role: Role): Promise<Nats>;
  stop(): Promise<void>;
}

export async function startNats({
  topology = { convStreams: 1, inboxStreams: 1 },
  profile = 'default',
}: {
  topology?: Topology;
  profile?: DurabilityProfile;
} = {}): Promise<TestNats> {
  const { path: binary } = await findNatsServer();
  const dataDir = mkdtempSync(join(tmpdir(), 'rookery-test-'));
  const server = await NatsServer.start({ binary, dataDir, port: await freePort(), profile, topology, log: quiet });
  const connections: Nats[] = [];
  const connect = async (role: Role): Promise<Nats> => {
    const access = { servers: [server.url], credentialsFile: server.credentialsFile };
    const nats = await connectNats(access, role, `test ${role}`, quiet);
    connections.push(nats);
    return nats;
  };
  const operator = await connect('operator');
  await applyStreams(operator.jsm, loadDefinitions({ topology, replicas: 1 }));
  return {
    server,
    topology,
    dataDir,
    connect,
    async stop() {
      for (const { nc } of connections) await nc.close();
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
