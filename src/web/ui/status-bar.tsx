import { type Behind, closeCodes } from '../../sdk/index.ts';
import type { App } from '../state/app.ts';
import { type TextKey, text } from '../text/text.ts';
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
      return behindWords(status.behind);
    case 'offline':
      return text('status.offline');
    case 'stopped': {
      const why = WHY_STOPPED.get(status.closeCode ?? 0);
      return why ? text(why) : text('status.stopped', { reason: status.reason });
    }
  }
}

const WHY_STOPPED: ReadonlyMap<number, TextKey> = new Map([
  [closeCodes.SESSION_REPLACED, 'status.replaced'],
  [closeCodes.DEVICE_DISPLACED, 'status.displaced'],
  [closeCodes.DEVICE_REVOKED, 'status.revoked'],
  [closeCodes.ACCOUNT_DEACTIVATED, 'status.deactivated'],
  [closeCodes.ACCOUNT_UNKNOWN, 'error.ACCOUNT_UNKNOWN'],
]);

function behindWords({ conversations = 0, entries }: Behind = { entries: 0 }): string {
  if (conversations > 0) return text('status.behindConversations', { count: conversations });
  return entries > 0 ? text('status.behindEntries', { count: entries }) : text('status.catchingUp');
}
