import { useSignal } from '@preact/signals';
import { LogOut, Monitor, Pencil, Smartphone } from 'lucide';
import { useEffect } from 'preact/hooks';
import type { DeviceList, ListedDevice } from '../../../protocol/frames.ts';
import { withoutControls } from '../../model/markup.ts';
import { deviceOf } from '../../state/sign-in.ts';
import { lastSeenOf, text, whenOf } from '../../text/text.ts';
import { useApp } from '../context.ts';
import { Icon } from '../icon.tsx';
import { CardButton } from './contacts-panel.tsx';

/** The server takes no more. */
const MAX_NAME_CHARS = 64;

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

function Device({ device }: { device: ListedDevice }) {
  const app = useApp();
  const isRenaming = useSignal(false);
  const isThis = device.device === deviceOf(app.me);
  const { kind } = device;
  const icon = kind === 'phone' || kind === 'tablet' ? Smartphone : Monitor;
  const name = withoutControls(device.name || device.device);
  if (isRenaming.value) return <Rename device={device} done={() => (isRenaming.value = false)} />;
  return (
    <li class="card">
      <Icon of={icon} />
      <span class="card-words">
        <span class="row-name">{name}</span>
        <span class={`hint${device.online ? ' is-online' : ''}`}>{stateOf(device, isThis)}</span>
        <span class="hint">{text('settings.since', { time: whenOf(device.addedAt) })}</span>
      </span>
      <CardButton icon={Pencil} label={text('settings.renameDevice', { name })} act={() => (isRenaming.value = true)} />
      {!isThis && <Revoke device={device} name={name} />}
    </li>
  );
}

function stateOf({ online, lastSeen }: ListedDevice, isThis: boolean): string {
  if (isThis) return text('settings.thisDevice');
  if (online) return text('presence.online');
  return lastSeen === undefined ? '' : lastSeenOf(lastSeen);
}

function Rename({ device, done }: { device: ListedDevice; done: () => void }) {
  const app = useApp();
  const rename = (event: Event): void => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget as HTMLFormElement).get('name')).trim();
    done();
    if (name !== device.name) void app.command({ type: 'renameDevice', device: device.device, name });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape') return;
    // The panel stays.
    event.stopPropagation();
    done();
  };
  return (
    <li class="card">
      <form class="inline-form" onSubmit={rename} onKeyDown={onKeyDown}>
        <input
          name="name"
          type="text"
          maxLength={MAX_NAME_CHARS}
          aria-label={text('settings.deviceName')}
          value={device.name}
          ref={(field) => field?.focus()}
        />
        <button type="submit" class="button">
          {text('settings.save')}
        </button>
      </form>
    </li>
  );
}

/** Asked twice: who is there has to come in again. */
function Revoke({ device: { device }, name }: { device: ListedDevice; name: string }) {
  const app = useApp();
  const isAsked = useSignal(false);
  const label = text('settings.revokeDevice', { name });
  if (!isAsked.value) return <CardButton icon={LogOut} label={label} act={() => (isAsked.value = true)} />;
  const revoke = async (): Promise<void> => {
    isAsked.value = false;
    await app.command({ type: 'revokeDevice', device });
  };
  return (
    <button type="button" class="button danger" aria-label={label} onClick={() => void revoke()}>
      {text('group.sure')}
    </button>
  );
}
