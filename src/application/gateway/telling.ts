/**
 * What is told to the devices connected here and kept nowhere. One piece of bytes for all of one encoding; a socket that has not
 * taken what it was given before gets none of it.
 */
import type { UserId } from '../../domain/ids.ts';
import type { FrameOnWire } from '../../ports/client-connection.ts';
import type { Codec } from '../../protocol/codec.ts';
import type { ServerFrame } from '../../protocol/frames.ts';
import type { Sessions } from './sessions.ts';

export interface TellingParts {
  readonly sessions: Sessions;
  readonly frameOnWire: FrameOnWire;
  /** Unsent bytes of a socket, beyond which it is told nothing. */
  readonly maxBufferedBytes: number;
  /** A device was passed over. */
  readonly onSlow: () => void;
}

export class Telling {
  readonly #parts: TellingParts;

  constructor(parts: TellingParts) {
    this.#parts = parts;
  }

  tell(users: readonly UserId[], frame: ServerFrame): void {
    const { sessions, frameOnWire, maxBufferedBytes, onSlow } = this.#parts;
    const wires = new Map<Codec, Uint8Array>();
    for (const user of users) {
      for (const { connection } of sessions.of(user)) {
        if (connection.bufferedBytes > maxBufferedBytes) {
          onSlow();
          continue;
        }
        const { codec } = connection;
        let wire = wires.get(codec);
        if (!wire) wires.set(codec, (wire = frameOnWire(codec, codec.encode(frame))));
        connection.write(wire);
      }
    }
  }
}
