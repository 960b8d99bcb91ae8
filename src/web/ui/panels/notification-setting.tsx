import { useSignal } from '@preact/signals';
import { notifies } from '../../state/preferences.ts';
import { text } from '../../text/text.ts';

/** The browser is asked for its leave when somebody wants to be notified, and never before. */
export function NotificationSetting() {
  const permission = useSignal(typeof Notification === 'undefined' ? undefined : Notification.permission);
  if (permission.value === undefined) return null;
  const isRefused = permission.value === 'denied';
  const change = async (isWanted: boolean): Promise<void> => {
    notifies.value = isWanted;
    if (!isWanted) return;
    permission.value = await Notification.requestPermission();
    notifies.value = permission.value === 'granted';
  };
  return (
    <section class="stack">
      <h3>{text('settings.notifications')}</h3>
      <label class="check">
        <input
          type="checkbox"
          disabled={isRefused}
          checked={notifies.value && permission.value === 'granted'}
          onChange={(event) => void change(event.currentTarget.checked)}
        />
        {text('settings.notify')}
      </label>
      {isRefused && <p class="hint">{text('settings.notifyRefused')}</p>}
    </section>
  );
}
