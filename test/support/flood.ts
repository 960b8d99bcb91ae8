/** Messages by the ten thousand, from one writer, as fast as the gateway takes them. */

import type { Gateway } from '../../src/processes/gateway.ts';
import { msgpackCodec } from '../../src/protocol/codec.ts';
import { RawClient } from './gateway.ts';
import { eventually } from './waiting.ts';

const IN_FLIGHT = 400;
const WITHIN_MS = 120_000;

export class Flood {
  readonly #client: RawClient;
  #sent = 0;
  #answered = 0;
  #refused: string | undefined;

  private constructor(client: RawClient) {
    this.#client = client;
    client.ws.removeAllListeners('message');
    client.ws.on('message', (data) => {
      const frame = msgpackCodec.decode(data as Buffer) as { t: string; code?: string };
      if (frame.t === 'error') this.#refused ??= frame.code ?? 'no code';
      if (frame.t === 'sent') this.#answered += 1;
    });
  }

  static async of(gateway: Gateway, user: string): Promise<Flood> {
    return new Flood(await RawClient.greeted(gateway, user, 'd', msgpackCodec));
  }

  /** One message. Its number, from 1 on, is its id. */
  send(to: string, text: string): void {
    const id = ++this.#sent;
    const body = new TextEncoder().encode(text);
    this.#client.send({ t: 'send', id, to, clientMsgId: `n-${id}`, contentType: 'text/plain', body });
  }

  /** So many more. Resolves when all are in the log. @throws where one is refused */
  async write(count: number, to: string, textOf: (n: number) => string): Promise<void> {
    const last = this.#sent + count;
    while (this.#sent < last) {
      if (this.#sent - this.#answered >= IN_FLIGHT) await this.#answers(this.#sent - IN_FLIGHT / 2);
      this.send(to, textOf(this.#sent + 1));
    }
    await this.#answers(last);
  }

  end(): void {
    this.#client.end();
  }

  async #answers(count: number): Promise<void> {
    const isThere = (): boolean => this.#refused !== undefined || this.#answered >= count;
    await eventually(isThere, `${count} answers`, WITHIN_MS);
    if (this.#refused !== undefined) throw new Error(`refused: ${this.#refused}`);
  }
}
