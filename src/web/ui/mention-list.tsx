import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { OpenConversation } from '../state/conversation.ts';
import { text } from '../text/text.ts';
import { Avatar } from './avatar.tsx';
import { useApp } from './context.ts';

const MAX_SHOWN = 6;
const BEGUN = /(?:^|\s)@([^\s@]*)$/;

interface MentionListProps {
  readonly field: { readonly current: HTMLTextAreaElement | null };
  readonly value: string;
  readonly open: OpenConversation;
  readonly insert: (piece: string, from?: number) => void;
}

/** Who may be meant by the `@…` that is being typed: Tab or Enter takes the first, arrows go to the others. */
export function MentionList({ field, value, open, insert }: MentionListProps) {
  const app = useApp();
  const at = useSignal(0);
  const caret = field.current?.selectionStart ?? value.length;
  const begun = app.peerOf(open.id) === undefined ? BEGUN.exec(value.slice(0, caret))?.[1] : undefined;
  const users = begun === undefined ? [] : suggestions(begun);
  const isOpen = users.length > 0;

  function suggestions(begun: string): string[] {
    const wanted = begun.toLowerCase();
    const others = app.peopleIn(open.id).filter((user) => user !== app.me);
    const fits = (user: string): boolean =>
      user.toLowerCase().startsWith(wanted) ||
      app.names
        .of(user as never)
        .toLowerCase()
        .startsWith(wanted);
    const found: string[] = others.filter(fits).slice(0, MAX_SHOWN);
    if (text('all').startsWith(wanted)) found.push(text('all'));
    // Written out to the end there is nothing to suggest.
    return found.length === 1 && found[0] === begun ? [] : found;
  }
  const take = (user: string): void => insert(`@${user} `, caret - (begun ?? '').length - 1);

  useEffect(() => {
    const element = field.current;
    if (!isOpen || !element) return undefined;
    at.value = 0;
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: users.length - 1 }[event.key];
      if (step !== undefined) at.value = (at.value + step) % users.length;
      else if (event.key === 'Tab' || event.key === 'Enter') take(users[at.value] as string);
      else return;
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    element.addEventListener('keydown', onKeyDown, true);
    return () => element.removeEventListener('keydown', onKeyDown, true);
  }, [begun, isOpen]);

  if (!isOpen) return null;
  return (
    <ul class="mention-list" aria-label="@">
      {users.map((user, i) => (
        <li key={user}>
          <button type="button" class={i === at.value ? 'chosen' : ''} tabIndex={-1} onClick={() => take(user)}>
            <Avatar id={user} name={app.names.of(user as never)} size={26} />
            <span>{user === text('all') ? user : app.names.of(user as never)}</span>
            <span class="hint">@{user}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
