/** Somebody's picture with a dot while they are online, and the words for it. */
import { useComputed } from '@preact/signals';
import type { UserId } from '../../sdk/index.ts';
import { lastSeenOf, text } from '../text/text.ts';
import { Avatar } from './avatar.tsx';
import { useApp } from './context.ts';
import { useShown } from './use-shown.ts';

export function Person({ user, size }: { readonly user: UserId; readonly size?: number }) {
  const app = useApp();
  const place = useShown(user);
  return (
    <span class="person-place" ref={place}>
      <Avatar id={user} name={app.names.of(user)} {...(size !== undefined && { size })} />
      <OnlineDot key={user} user={user} />
    </span>
  );
}

function OnlineDot({ user }: { readonly user: UserId }) {
  const app = useApp();
  const isOnline = useComputed(() => app.presence.of(user)?.online === true).value;
  if (!isOnline) return null;
  return (
    <span class="online-dot" title={text('presence.online')}>
      <span class="sr-only">{text('presence.online')}</span>
    </span>
  );
}

/** Of who does not want to be seen, or never was, `otherwise` is said. */
export function PresenceLine({ user, otherwise }: { readonly user: UserId; readonly otherwise: string }) {
  const seen = useApp().presence.of(user);
  if (seen?.online) return <span class="bar-under bar-online">{text('presence.online')}</span>;
  return <span class="bar-under">{seen?.lastSeen === undefined ? otherwise : lastSeenOf(seen.lastSeen)}</span>;
}
