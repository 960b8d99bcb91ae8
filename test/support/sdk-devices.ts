/** Devices with the SDK at two gateways by turns, in front of a real log and a read model. */
import { join } from 'node:path';
import type { Test } from 'tap';
import type { GatewayLimits } from '../../src/processes/configuration/gateway.ts';
import { startReadModelWorker } from '../../src/processes/read-model-worker.ts';
import { type Client, type ClientOptions, createClient, type Entry, type HistoryEntry } from '../../src/sdk/index.ts';
import { startTestGateway, tokenFor } from './gateway.ts';
import { quiet } from './nats.ts';
import { eventually } from './waiting.ts';

type Told = Entry & { readonly conversation: string };

export class SdkDevice {
  readonly client: Client;
  readonly entries: Told[] = [];

  constructor(client: Client) {
    this.client = client;
    client.on('entry', (conversation, entry) => void this.entries.push({ ...entry, conversation } as Told));
  }

  of<Type extends Entry['type']>(type: Type): (Extract<Entry, { type: Type }> & { conversation: string })[] {
    return this.entries.filter((entry) => entry.type === type) as never;
  }

  /** What stands in the timeline, as far as it has come. */
  timeline(conversation: string): string[] {
    return this.entries
      .filter((entry) => entry.conversation === conversation && 'n' in entry)
      .map((entry) => (entry.type === 'message' ? new TextDecoder().decode(entry.body) : entry.type));
  }

  got(type: Entry['type'], count = 1): Promise<boolean> {
    return eventually(() => this.of(type).length >= count, `${type} has come`);
  }
}

export interface Scene {
  device(t: Test, user: string, options?: Partial<ClientOptions>): Promise<SdkDevice>;
  stop(): Promise<void>;
}

export async function startScene(limits: Partial<GatewayLimits> = {}): Promise<Scene> {
  const { gateway, more, nats, stop } = await startTestGateway({ limits });
  const addresses = [gateway, await more(limits)].map(({ address }) => address.replace('http', 'ws'));
  const access = { servers: [nats.server.url], credentialsFile: nats.server.credentialsFile };
  const stateDir = join(nats.dataDir, 'read-model');
  const worker = await startReadModelWorker(
    { nats: access, topology: nats.topology, logLevel: 'silent', stateDir },
    quiet,
  );
  let connections = 0;
  return {
    async device(t, user, options = {}) {
      const url = `${addresses[connections++ % addresses.length]}/v1/ws`;
      const device = new SdkDevice(await createClient({ url, token: () => tokenFor(user), device: 'd', ...options }));
      device.client.start();
      t.teardown(() => device.client.close());
      await eventually(() => device.client.status.phase === 'live', 'live');
      return device;
    },
    async stop() {
      await worker.drain();
      await stop();
    },
  };
}

export const textOf = (entry: HistoryEntry | undefined): string =>
  entry?.type === 'message' ? new TextDecoder().decode(entry.body) : (entry?.type ?? '');

export const plainText = (text: string) => ({ contentType: 'text/plain', body: new TextEncoder().encode(text) });

/** What a read model answers once it has caught up with what `check` waits for. */
export function answer<T>(ask: () => Promise<T>, check: (answer: T) => boolean, what: string): Promise<T> {
  return eventually(async () => {
    const answer = await ask().catch(() => undefined);
    return answer !== undefined && check(answer) ? answer : undefined;
  }, what);
}
