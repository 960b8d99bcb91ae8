/** What the closed loop needs of a server that is not ours. */

export interface Received {
  /** @param place of the message in its conversation, counted by the server */
  message(place: number, body: Uint8Array): void;
  acked(number: number): void;
  refused(number: number, reason: string): void;
}

export interface PeerDevice {
  readonly isClosed: boolean;
  send(number: number, body: Uint8Array): void;
}

export interface Seat {
  readonly url: string;
  readonly room: number;
  readonly member: number;
  /** Of the room; 2: a direct conversation. */
  readonly members: number;
}

export interface PeerProtocol {
  /** Whether a sender's device gets its own message as the others do; else its ack is that. */
  readonly echoes: boolean;
  /** Makes a room, where that must be done before anybody enters. */
  make(apiUrl: string, room: number, members: number): Promise<void>;
  /** Resolves when the device gets what is sent to the room. */
  enter(seat: Seat, received: Received): Promise<PeerDevice>;
}
