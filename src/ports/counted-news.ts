/**
 * Tells the other gateways what counts against somebody: a password guessed wrong, a contact request. Only of what has failed or is rare,
 * so that the path of a message costs nothing more. Kept nowhere: what is lost, or came before a gateway started, it does not count.
 */
import type { UserId } from '../domain/ids.ts';

export type Counted =
  | { readonly type: 'guess'; readonly user: UserId; readonly address: string }
  /** What was guessed wrong before from that address is forgotten. */
  | { readonly type: 'loggedIn'; readonly user: UserId; readonly address: string }
  | { readonly type: 'contactRequest'; readonly user: UserId };

export interface CountedNews {
  /** Without a connection nothing: each gateway goes on with its own count. */
  announce(counted: Counted): void;
  /** What the others announce, and not what this one does. Listeners stay for as long as the connection. */
  onAnnounced(heard: (counted: Counted) => void): void;
}
