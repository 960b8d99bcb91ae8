/**
 * Sockets of strangers that we have closed, while their peers may still answer. They count as sessions no more, so they have
 * a bound of their own: who connects in order to be turned away gets no memory out of it.
 */
import type { WebSocket } from 'ws';

/** Each may hold a hello's bytes until its peer has answered or the close has timed out. Beyond, a socket gets no close frame. */
const MAX_CLOSING = 1_024;

export class ClosingSockets {
  readonly #max: number;
  #count = 0;

  constructor(max = MAX_CLOSING) {
    this.#max = max;
  }

  close(ws: WebSocket, code: number, reason: string): void {
    if (this.#count >= this.#max) return ws.terminate();
    if (ws.readyState !== ws.OPEN) return;
    this.#count += 1;
    ws.once('close', () => (this.#count -= 1));
    ws.close(code, reason);
  }
}
