import { useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { reasonOf, text } from '../text/text.ts';
import { useApp } from './context.ts';
import { ConversationView } from './conversation-view.tsx';
import { Nothing } from './nothing.tsx';
import { useNotifications } from './notifier.ts';
import { SidePanel } from './side-panel.tsx';
import { Sidebar } from './sidebar.tsx';

const FAILURE_SHOWN_MS = 6_000;

/** The list, the conversation, and what is beside it; on a narrow screen one of them. */
export function MainView() {
  const app = useApp();
  const open = app.open.value;
  useSignalEffect(() => {
    const unread = app.unread.value;
    document.title = unread > 0 ? `(${unread}) ${text('app.name')}` : text('app.name');
    // Of an installed page, where there is a place for it. 0 takes it away.
    navigator.setAppBadge?.(unread).catch(() => undefined);
  });
  useNotifications(app);
  useEffect(() => {
    const turned = (): void => app.turn(document.visibilityState === 'visible');
    turned();
    document.addEventListener('visibilitychange', turned);
    return () => document.removeEventListener('visibilitychange', turned);
  }, [app]);
  const panel = app.panel.value;
  return (
    <div class={`main${open ? ' has-open' : ''}${panel ? ' has-panel' : ''}`}>
      <button type="button" class="skip" onClick={skip}>
        {text('app.skip')}
      </button>
      <Sidebar />
      <main id="conversation" class="pane" tabIndex={-1}>
        {open ? <ConversationView key={open.id} open={open} /> : <Nothing />}
      </main>
      {panel && <SidePanel panel={panel} />}
      <Failure />
    </div>
  );
}

function skip(): void {
  const place =
    document.querySelector<HTMLElement>('#conversation textarea') ?? document.getElementById('conversation');
  place?.focus();
}

function Failure() {
  const app = useApp();
  const failure = app.failure.value;
  useEffect(() => {
    if (!failure) return undefined;
    const timer = setTimeout(() => (app.failure.value = undefined), FAILURE_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [failure]);
  return (
    <div class="toast-place" role="alert">
      {failure && <p class="toast">{reasonOf(failure.code)}</p>}
    </div>
  );
}
