/** What the server tells of a message when somebody asks: who has read it, and what it was before it was edited. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Receipts as ReceiptsResult, VersionPage } from '../../sdk/index.ts';
import { withoutControls } from '../model/markup.ts';
import type { Message } from '../model/timeline.ts';
import type { OpenConversation } from '../state/conversation.ts';
import { fullTimeOf, reasonOf, text } from '../text/text.ts';
import { useApp } from './context.ts';

interface PastProps {
  readonly open: OpenConversation;
  readonly message: Message;
}

export function Receipts({ open, message }: PastProps) {
  const app = useApp();
  const { result, code } = useAnswer<ReceiptsResult>(() =>
    app.tabs.ask({ type: 'query', query: { type: 'receipts', conversation: open.id, n: message.n } }),
  );
  if (code !== undefined) return <p class="past">{reasonOf(code)}</p>;
  if (!result) return <p class="past">…</p>;
  const readers = result.readers.filter(({ user }) => user !== app.me).map(({ user }) => app.names.of(user));
  return (
    <p class="past">
      {text('message.readBy', { count: result.count, total: result.memberCount })}
      {': '}
      {readers.join(', ') || text('message.nobody')}
    </p>
  );
}

export function Versions({ open, message }: PastProps) {
  const app = useApp();
  const { result, code } = useAnswer<VersionPage>(() =>
    app.tabs.ask({ type: 'query', query: { type: 'edits', conversation: open.id, n: message.n } }),
  );
  if (code !== undefined) return <p class="past">{reasonOf(code)}</p>;
  return (
    <ol class="past">
      {result?.versions.map(({ pos, at, body }) => (
        <li key={pos}>
          <span class="hint">{fullTimeOf(at)}</span> {withoutControls(new TextDecoder().decode(body))}
        </li>
      ))}
    </ol>
  );
}

function useAnswer<T>(ask: () => Promise<T>): { readonly result?: T; readonly code?: string } {
  const answer = useSignal<{ result?: T; code?: string }>({});
  useEffect(() => {
    ask().then(
      (result) => (answer.value = { result }),
      (error: { code?: string }) => (answer.value = { code: error.code ?? 'INTERNAL' }),
    );
  }, []);
  return answer.value;
}
