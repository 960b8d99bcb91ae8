/**
 * A TCP connection point that can go wrong: it stands between clients and a gateway, or between a process and its
 * nats-server, and carries bytes to the other side until a fault tells it to swallow or to hold them.
 *
 * A connection that has swallowed once is half-open for good: neither side ever hears of the other again, not even of its
 * end, as when a machine's power goes or a firewall forgets. Each side must find out by itself.
 */
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';

/** `pass`: as if it were not there. `hold`: nothing moves, nothing is lost. The others swallow what comes from one side, or both. */
export type LinkMode = 'pass' | 'hold' | 'swallowFromClient' | 'swallowFromServer' | 'swallowBoth';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Half-open from here on: neither an end nor a byte of that side is passed on. */
  deaf: { fromClient: boolean; fromServer: boolean };
}

export class Link {
  /** `clients>gateway-0`, `worker-1>nats-server` */
  readonly name: string;
  readonly port: number;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #mode: LinkMode = 'pass';

  static async open(name: string, target: { host: string; port: number }): Promise<Link> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new Link(name, server, target);
  }

  private constructor(name: string, server: Server, target: { host: string; port: number }) {
    this.name = name;
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as { port: number }).port;
    server.on('connection', (client) => this.#accept(client));
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Holds for the connections there are and for those to come, until the next call. */
  set mode(mode: LinkMode) {
    this.#mode = mode;
    for (const pair of this.#pairs) this.#apply(pair);
  }

  async close(): Promise<void> {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    const server = connectTcp({ ...this.#target, noDelay: true });
    const pair: Pair = { client, server, deaf: { fromClient: false, fromServer: false } };
    this.#pairs.add(pair);
    this.#carry(pair, 'fromClient', client, server);
    this.#carry(pair, 'fromServer', server, client);
    this.#apply(pair);
  }

  #carry(pair: Pair, direction: 'fromClient' | 'fromServer', from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (pair.deaf[direction] || to.destroyed) return;
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      if (this.#mode !== 'hold') from.resume();
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      // The other side of a half-open connection is never told.
      if (!pair.deaf[direction]) to.destroy();
      if (pair.client.destroyed && pair.server.destroyed) this.#pairs.delete(pair);
    });
  }

  #apply({ client, server, deaf }: Pair): void {
    if (this.#mode === 'swallowBoth' || this.#mode === 'swallowFromClient') deaf.fromClient = true;
    if (this.#mode === 'swallowBoth' || this.#mode === 'swallowFromServer') deaf.fromServer = true;
    for (const socket of [client, server]) {
      if (this.#mode === 'hold') socket.pause();
      else socket.resume();
    }
  }
}
