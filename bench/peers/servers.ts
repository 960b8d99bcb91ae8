/** Starts one of the servers that a row can stand beside, in a folder that goes with it, set up as its own documents say for speed. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SupervisedProcess } from '../../src/adapters/system/supervised-process.ts';
import { freePort, loud } from '../../test/support/nats.ts';
import type { PeerName } from '../job.ts';
import type { Row } from '../rows.ts';
import { stoppable } from '../started.ts';
import { findPeer } from './binaries.ts';

const READY_WITHIN_MS = 30_000;
const POLL_MS = 100;

export interface PeerServer {
  /** Of its WebSocket. */
  readonly url: string;
  /** Of its HTTP API. */
  readonly apiUrl: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Ports {
  readonly api: number;
  readonly webSocket: number;
  readonly others: readonly number[];
}

interface Kind {
  configuration(ports: Ports, dir: string): object;
  url(ports: Ports): string;
}

/** What is left of a message when the machine loses its power, and when the process is killed. */
export const DURABILITY: Readonly<Record<PeerName, Row['durability']>> = { centrifugo: 'none', wukongim: 'sync' };

const KINDS: Readonly<Record<PeerName, Kind>> = {
  centrifugo: {
    // Its history is in memory: with it devices can recover, and each publication has its place.
    configuration: ({ webSocket }) => ({
      http_server: { address: '127.0.0.1', port: webSocket },
      log: { level: 'error' },
      client: { insecure: true },
      channel: {
        without_namespace: {
          ...{ allow_subscribe_for_client: true, allow_publish_for_client: true },
          ...{ history_size: 10_000, history_ttl: '60s', force_recovery: true },
        },
      },
      health: { enabled: true },
    }),
    url: ({ webSocket }) => `ws://127.0.0.1:${webSocket}/connection/websocket`,
  },
  wukongim: {
    configuration: ({ api, webSocket, others: [tcp, cluster] }, dir) => ({
      ...{ mode: 'release', rootDir: dir, addr: `tcp://127.0.0.1:${tcp}`, httpAddr: `127.0.0.1:${api}` },
      wsAddr: `ws://127.0.0.1:${webSocket}`,
      cluster: { nodeId: 1, addr: `tcp://127.0.0.1:${cluster}`, serverAddr: `127.0.0.1:${cluster}` },
      ...{ logger: { level: 4, dir: join(dir, 'logs') }, demo: { on: false }, manager: { on: false } },
      ...{ external: { ip: '127.0.0.1' }, plugin: { socketPath: join(dir, 'plugin.sock') }, disableEncryption: true },
    }),
    url: ({ webSocket }) => `ws://127.0.0.1:${webSocket}/`,
  },
};

/** Resolves when it says that it is healthy. */
export async function startPeer(name: PeerName): Promise<PeerServer> {
  const binary = await findPeer(name);
  // In small letters, to which WuKongIM changes the path of its socket.
  const dir = join(tmpdir(), `rookery-bench-${crypto.randomUUID()}`);
  mkdirSync(dir);
  const webSocket = await freePort();
  // One port has it all, or each part its own.
  const api = name === 'centrifugo' ? webSocket : await freePort();
  const ports = { api, webSocket, others: [await freePort(), await freePort()] };
  const { configuration, url } = KINDS[name];
  // JSON, which YAML takes as well.
  const file = join(dir, name === 'wukongim' ? 'peer.yaml' : 'peer.json');
  writeFileSync(file, JSON.stringify(configuration(ports, dir)));
  // What it writes beside its data is in that folder as well.
  const script = 'cd "$0" && HOME=$0 exec "$1" --config "$2"';
  const server = new SupervisedProcess({
    ...{ name, command: '/bin/sh', args: ['-c', script, dir, binary, file], logFile: join(dir, 'output.log') },
    ...{ log: loud, restart: false, endsWithInput: false },
  });
  const stop = stoppable(async () => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  server.start();
  const apiUrl = `http://127.0.0.1:${api}`;
  try {
    await healthy(`${apiUrl}/health`, () => server.isRunning);
  } catch (error) {
    const said = server.tail();
    await stop();
    throw new Error(`${name} did not start: ${said}`, { cause: error });
  }
  return { url: url(ports), apiUrl, pid: server.pid as number, stop };
}

async function healthy(url: string, isRunning: () => boolean): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while ((await fetch(url).catch(() => undefined))?.ok !== true) {
    if (!isRunning() || performance.now() > deadline) throw new Error(`${url} does not answer`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
