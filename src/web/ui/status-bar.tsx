import type { App } from '../state/app.ts';
import { text } from '../text/text.ts';
import { useApp } from './context.ts';

/** Whether it is connected, and what still waits. */
export function StatusBar() {
  const app = useApp();
  const { phase } = app.status.value;
  const waiting = [...app.sending.all.value.values()].filter(({ state }) => state === 'pending').length;
  const isStopped = phase === 'stopped';
  return (
    <div class={`status status-${phase.replace(' ', '-')}`} role="status">
      <span class="status-dot" aria-hidden="true" />
      <span>{statusWords(app)}</span>
      {waiting > 0 && phase !== 'live' && (
        <span class="status-count">{text('status.waiting', { count: waiting })}</span>
      )}
      {isStopped && (
        <button type="button" class="link-button" onClick={() => location.reload()}>
          {text('status.reload')}
        </button>
      )}
    </div>
  );
}

export function statusWords(app: App): string {
  const status = app.status.value;
  switch (status.phase) {
    case 'live':
      return text('status.connected');
    case 'connecting':
      return text('status.connecting');
    case 'catching up':
      return text('status.catchingUp');
    case 'offline':
      return text('status.offline');
    case 'stopped':
      if (status.reason.startsWith('4200')) return text('status.replaced');
      if (status.reason.startsWith('4212')) return text('status.revoked');
      return text('status.stopped', { reason: status.reason });
  }
}
