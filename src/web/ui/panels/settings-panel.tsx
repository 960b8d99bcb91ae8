import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { ContactPage, ListedContact, OwnAccount, UserSettings } from '../../../sdk/index.ts';
import { type Language, language, type Theme, theme } from '../../state/preferences.ts';
import { go } from '../../state/route.ts';
import { forgetToken } from '../../state/sign-in.ts';
import { text } from '../../text/text.ts';
import { Avatar } from '../avatar.tsx';
import { useApp } from '../context.ts';
import { Devices } from './devices.tsx';
import { NotificationSetting } from './notification-setting.tsx';

const MINUTES_PER_HOUR = 60;
const AT_NIGHT = { from: 22 * MINUTES_PER_HOUR, to: 7 * MINUTES_PER_HOUR };

export function SettingsPanel() {
  const app = useApp();
  const { account } = app;
  const change = (settings: Partial<UserSettings>): void => void app.command({ type: 'changeSettings', settings });
  const leave = (): void => {
    forgetToken(app.me);
    go({});
  };
  return (
    <>
      <Profile account={account.value} />
      <Appearance />
      <NotificationSetting />
      {account.value && <Quiet settings={account.value.settings} change={change} />}
      {account.value && <Privacy settings={account.value.settings} change={change} />}
      <Blocked />
      <Devices />
      <section class="stack">
        <button type="button" class="button danger" onClick={() => void app.command({ type: 'signOut' })}>
          {text('settings.signOutAll')}
        </button>
        <button type="button" class="button" onClick={leave}>
          {text('settings.leave')}
        </button>
      </section>
    </>
  );
}

function Profile({ account }: { account: OwnAccount | undefined }) {
  const app = useApp();
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget as HTMLFormElement).get('name')).trim();
    if (await app.command({ type: 'changeProfile', profile: { name } })) app.names.refresh();
  };
  return (
    <section>
      <div class="who">
        <Avatar id={app.me} name={app.names.of(app.me)} size={72} />
        <p class="hint">{app.me}</p>
      </div>
      <form class="inline-form" onSubmit={(event) => void save(event)}>
        <input
          name="name"
          type="text"
          maxLength={128}
          aria-label={text('settings.displayName')}
          placeholder={text('settings.displayName')}
          value={account?.name ?? ''}
        />
        <button type="submit" class="button">
          {text('settings.save')}
        </button>
      </form>
    </section>
  );
}

function Appearance() {
  return (
    <section class="stack">
      <h3>{text('settings.appearance')}</h3>
      <label>
        {text('settings.theme')}
        <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
          <option value="system">{text('settings.theme.system')}</option>
          <option value="light">{text('settings.theme.light')}</option>
          <option value="dark">{text('settings.theme.dark')}</option>
        </select>
      </label>
      <label>
        {text('settings.language')}
        <select value={language.value} onChange={(event) => (language.value = event.currentTarget.value as Language)}>
          <option value="en" lang="en">
            English
          </option>
          <option value="zh" lang="zh-Hans">
            中文
          </option>
        </select>
      </label>
    </section>
  );
}

interface PartProps {
  readonly settings: UserSettings;
  readonly change: (settings: Partial<UserSettings>) => void;
}

function Quiet({ settings: { quietHours }, change }: PartProps) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const set = (part: Partial<typeof AT_NIGHT>): void =>
    change({ quietHours: { ...AT_NIGHT, ...quietHours, ...part, timeZone } });
  return (
    <section class="stack">
      <h3>{text('settings.quiet')}</h3>
      <label class="check">
        <input
          type="checkbox"
          checked={quietHours !== null}
          onChange={(event) => (event.currentTarget.checked ? set({}) : change({ quietHours: null }))}
        />
        {text('settings.quietOn')}
      </label>
      {quietHours && (
        <div class="two">
          <label>
            {text('settings.from')}
            <input
              type="time"
              value={clockOf(quietHours.from)}
              onChange={(event) => set({ from: minutesOf(event.currentTarget.value) })}
            />
          </label>
          <label>
            {text('settings.to')}
            <input
              type="time"
              value={clockOf(quietHours.to)}
              onChange={(event) => set({ to: minutesOf(event.currentTarget.value) })}
            />
          </label>
        </div>
      )}
    </section>
  );
}

function Privacy({ settings: { messagesFrom, lastSeenFor }, change }: PartProps) {
  return (
    <section class="stack">
      <h3>{text('settings.privacy')}</h3>
      <label>
        {text('settings.messagesFrom')}
        <select
          value={messagesFrom}
          onChange={(event) => change({ messagesFrom: event.currentTarget.value as UserSettings['messagesFrom'] })}
        >
          <option value="everybody">{text('settings.everybody')}</option>
          <option value="contacts">{text('settings.contacts')}</option>
        </select>
      </label>
      <label>
        {text('settings.lastSeen')}
        <select
          value={lastSeenFor}
          onChange={(event) => change({ lastSeenFor: event.currentTarget.value as UserSettings['lastSeenFor'] })}
        >
          <option value="everybody">{text('settings.everybody')}</option>
          <option value="contacts">{text('settings.contacts')}</option>
          <option value="nobody">{text('settings.nobody')}</option>
        </select>
      </label>
    </section>
  );
}

function Blocked() {
  const app = useApp();
  const blocked = useSignal<readonly ListedContact[]>([]);
  useEffect(() => {
    app.tabs.ask<ContactPage>({ type: 'query', query: { type: 'contacts', limit: 100 } }).then(
      ({ contacts }) => (blocked.value = contacts.filter((contact) => contact.blocked)),
      () => undefined,
    );
  }, [app.contactsVersion.value]);
  return (
    <section class="stack">
      <h3>{text('settings.blocked')}</h3>
      {blocked.value.length === 0 && <p class="hint">{text('settings.blockedNone')}</p>}
      <ul class="cards">
        {blocked.value.map(({ user }) => (
          <li key={user} class="card">
            <Avatar id={user} name={app.names.of(user)} size={34} />
            <span class="card-words row-name">{app.names.of(user)}</span>
            <button type="button" class="button" onClick={() => void app.command({ type: 'unblockUser', user })}>
              {text('contacts.unblock')}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const clockOf = (minutes: number): string =>
  `${String(Math.floor(minutes / MINUTES_PER_HOUR)).padStart(2, '0')}:${String(minutes % MINUTES_PER_HOUR).padStart(2, '0')}`;

function minutesOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return hours * MINUTES_PER_HOUR + minutes;
}
