import { useSignal } from '@preact/signals';
import { LogOut, Monitor, Smartphone } from 'lucide';
import { useEffect } from 'preact/hooks';
import type { DeviceList, ListedDevice } from '../../../protocol/frames.ts';
import { withoutControls } from '../../model/markup.ts';
import { deviceOf } from '../../state/sign-in.ts';
import { text, whenOf } from '../../text/text.ts';
import { useApp } from '../context.ts';
import { Icon } from '../icon.tsx';
import { CardButton } from './contacts-panel.tsx';

/** Where this user has come in, and which of these is this one. */
export function Devices() {
  const app = useApp();
  const devices = useSignal<readonly ListedDevice[]>([]);
  useEffect(() => {
    app.tabs.ask<DeviceList>({ type: 'query', query: { type: 'devices' } }).then(
      (list) => (devices.value = list.devices),
      () => undefined,
    );
  }, [app.account.value]);
  return (
    <section class="stack">
      <h3>{text('settings.devices')}</h3>
      <ul class="cards">
        {devices.value.map((device) => (
          <Device key={device.device} device={device} />
        ))}
      </ul>
    </section>
  );
}

function Device({ device: { device, kind, name, addedAt } }: { device: ListedDevice }) {
  const app = useApp();
  const isThis = device === deviceOf(app.me);
  const under = isThis ? text('settings.thisDevice') : kind;
  return (
    <li class="card">
      <Icon of={kind === 'phone' || kind === 'tablet' ? Smartphone : Monitor} />
      <span class="card-words">
        <span class="row-name">{withoutControls(name || device)}</span>
        <span class="hint">
          {under}, {text('settings.since', { time: whenOf(addedAt) })}
        </span>
      </span>
      {!isThis && (
        <CardButton
          icon={LogOut}
          label={text('settings.revokeDevice')}
          act={() => void app.command({ type: 'revokeDevice', device })}
        />
      )}
    </li>
  );
}
