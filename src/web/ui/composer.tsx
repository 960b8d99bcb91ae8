import { useSignal } from '@preact/signals';
import { Check, SendHorizontal, Smile, X } from 'lucide';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { Row } from '../model/rows.ts';
import { Composing } from '../state/composing.ts';
import type { OpenConversation } from '../state/conversation.ts';
import { text } from '../text/text.ts';
import { useApp } from './context.ts';
import { EmojiPicker } from './emoji-picker.tsx';
import { bodyLine } from './entry-line.ts';
import { Icon } from './icon.tsx';
import { MentionList } from './mention-list.tsx';

/** Beyond, the field scrolls: px. */
const MAX_FIELD_PX = 220;

export function Composer({ open, row }: { open: OpenConversation; row: Row }) {
  if (row.left) return <p class="composer-closed">{text('compose.left')}</p>;
  if (row.dissolved) return <p class="composer-closed">{text('compose.dissolved')}</p>;
  return <Field open={open} />;
}

function Field({ open }: { open: OpenConversation }) {
  const app = useApp();
  const field = useRef<HTMLTextAreaElement>(null);
  const composing = useMemo(() => new Composing(app, open), [app, open]);
  const value = composing.text.value;
  const over = composing.over.value;
  const isEditing = composing.editing.value !== undefined;

  useEffect(() => () => composing.leave(), [composing]);
  useEffect(() => {
    const element = field.current;
    if (!element || !matchMedia('(pointer: fine)').matches) return;
    element.focus();
    element.setSelectionRange(element.value.length, element.value.length);
  }, [open.editing.value, open.replyTo.value]);
  useHeightOf(field, value);

  const insert = (piece: string, from?: number): void => {
    const element = field.current;
    const [start, end] = [from ?? element?.selectionStart ?? value.length, element?.selectionEnd ?? value.length];
    composing.type(value.slice(0, start) + piece + value.slice(end));
    queueMicrotask(() => {
      element?.focus();
      element?.setSelectionRange(start + piece.length, start + piece.length);
    });
  };
  return (
    <footer class="composer">
      <Above composing={composing} />
      {over > 0 && (
        <p class="refusal" role="alert">
          {text('compose.tooLong', { over })}
        </p>
      )}
      <MentionList field={field} value={value} open={open} insert={insert} />
      <div class="composer-line">
        <EmojiButton insert={insert} />
        <textarea
          ref={field}
          rows={1}
          value={value}
          placeholder={text('compose.placeholder')}
          aria-label={text('compose.placeholder')}
          enterkeyhint="send"
          onInput={(event) => composing.type(event.currentTarget.value)}
          onKeyDown={(event) => onKeyDown(event, composing)}
        />
        <button
          type="button"
          class="send-button"
          aria-label={text(isEditing ? 'compose.save' : 'compose.send')}
          title={text(isEditing ? 'compose.save' : 'compose.send')}
          disabled={!composing.maySend}
          onClick={() => composing.send()}
        >
          <Icon of={isEditing ? Check : SendHorizontal} />
        </button>
      </div>
    </footer>
  );
}

function onKeyDown(event: KeyboardEvent, composing: Composing): void {
  // A word of Chinese that is being put together is not sent by the key that ends it.
  if (event.isComposing) return;
  if (event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    composing.send();
  }
  if (event.key === 'Escape') composing.cancel();
  if (event.key === 'ArrowUp' && composing.text.peek() === '') {
    event.preventDefault();
    composing.editLast();
  }
}

/** As high as what is in it. */
function useHeightOf(field: { readonly current: HTMLTextAreaElement | null }, value: string): void {
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, MAX_FIELD_PX)}px`;
  }, [value]);
}

function EmojiButton({ insert }: { insert: (emoji: string) => void }) {
  const isPicking = useSignal(false);
  return (
    <span class="menu-place">
      <button
        type="button"
        class="icon-button"
        aria-label={text('compose.emoji')}
        title={text('compose.emoji')}
        aria-expanded={isPicking.value}
        onClick={() => (isPicking.value = !isPicking.value)}
      >
        <Icon of={Smile} size={22} />
      </button>
      {isPicking.value && <EmojiPicker pick={insert} close={() => (isPicking.value = false)} />}
    </span>
  );
}

/** What is answered, or changed. */
function Above({ composing }: { composing: Composing }) {
  const app = useApp();
  const editing = composing.editing.value;
  const shown = editing ?? composing.answering.value;
  if (!shown) return null;
  return (
    <div class="composer-above">
      <span class="quote">
        <span class="quote-name">
          {editing ? text('compose.editing') : text('compose.replying', { name: app.names.of(shown.by) })}
        </span>
        <span class="quote-text">{bodyLine(shown)}</span>
      </span>
      <button type="button" class="icon-button" aria-label={text('compose.cancel')} onClick={() => composing.cancel()}>
        <Icon of={X} size={18} />
      </button>
    </div>
  );
}
