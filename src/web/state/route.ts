/**
 * Where one is, in the address: who (each window may be another person), and which conversation. A reload, a bookmark and the
 * browser's own back and forth find it again.
 */
import { signal } from '@preact/signals';
import { type ConversationId, parseConversationId, parseUserId, type UserId } from '../../sdk/index.ts';

export interface Route {
  readonly user?: UserId;
  readonly conversation?: ConversationId;
}

export const route = signal<Route>(read());

window.addEventListener('hashchange', () => {
  route.value = read();
});

export function go({ user, conversation }: Route): void {
  const parts = [user, conversation].filter((part) => part !== undefined).map((part) => encodeURIComponent(part));
  location.hash = parts.length > 0 ? `#/${parts.join('/')}` : '';
}

function read(): Route {
  const [user, conversation] = location.hash.replace(/^#\/?/, '').split('/').map(decoded);
  const [who, where] = [parseUserId(user), parseConversationId(conversation)];
  return { ...(who && { user: who }), ...(who && where && { conversation: where }) };
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
