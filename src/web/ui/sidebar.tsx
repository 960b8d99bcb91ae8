import { useSignal } from '@preact/signals';
import { Activity, Archive, BookUser, Search, Settings, SquarePen, Users } from 'lucide';
import { useEffect, useRef } from 'preact/hooks';
import { directConversationId } from '../../sdk/index.ts';
import { namesIn } from '../model/who.ts';
import type { Panel } from '../state/app.ts';
import { go } from '../state/route.ts';
import { text } from '../text/text.ts';
import { Avatar } from './avatar.tsx';
import { useApp } from './context.ts';
import { ConversationList } from './conversation-list.tsx';
import { Icon } from './icon.tsx';
import { Menu } from './menu.tsx';
import { StatusBar } from './status-bar.tsx';
import { useWho } from './use-who.tsx';

export function Sidebar() {
  const app = useApp();
  const isWriting = useSignal(false);
  const show = (panel: Panel) => (): void => {
    app.panel.value = app.panel.peek() === panel ? undefined : panel;
  };
  const search = (): void => {
    app.searchesHere.value = false;
    show('search')();
  };
  const name = app.names.of(app.me);
  const isStopped = app.status.value.phase === 'stopped';
  return (
    <nav class="sidebar" aria-label={text('list.title')}>
      <header class="bar">
        <Avatar id={app.me} name={name} size={36} />
        <div class="bar-words">
          <h1 class="bar-title" title={app.me}>
            {name}
          </h1>
          {!isStopped && <StatusBar />}
        </div>
        <Menu
          label={text('list.new')}
          items={[
            { label: text('list.writeTo'), icon: SquarePen, act: () => (isWriting.value = true) },
            { label: text('list.newGroup'), icon: Users, act: show('new group') },
            { label: text('list.archived'), icon: Archive, act: () => app.showArchive(true) },
          ]}
        >
          <Icon of={SquarePen} />
        </Menu>
      </header>
      {isWriting.value && <WriteTo done={() => (isWriting.value = false)} />}
      <button type="button" class="search-button" onClick={search}>
        <Icon of={Search} size={16} />
        {text('list.search')}
      </button>
      {isStopped && <StatusBar />}
      <ConversationList />
      <footer class="tools">
        <Tool icon={BookUser} label={text('contacts.title')} show={show('contacts')} />
        <Tool icon={Activity} label={text('inspect.title')} show={show('inspect')} />
        <Tool icon={Settings} label={text('settings.title')} show={show('settings')} />
      </footer>
    </nav>
  );
}

function Tool({ icon, label, show }: { icon: Parameters<typeof Icon>[0]['of']; label: string; show: () => void }) {
  return (
    <button type="button" class="tool" onClick={show}>
      <Icon of={icon} size={18} />
      <span>{label}</span>
    </button>
  );
}

/** Opens the conversation with somebody: it is there without being made. */
function WriteTo({ done }: { done: () => void }) {
  const app = useApp();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const { look, forget, question } = useWho();
  const submit = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    void look(namesIn(String(data.get('user'))).slice(0, 1), ([user]) => {
      if (user === undefined) return;
      done();
      go({ user: app.me, conversation: directConversationId(app.me, user) });
    });
  };
  return (
    <form
      class="inline-form"
      onSubmit={submit}
      onInput={forget}
      onKeyDown={(event) => event.key === 'Escape' && done()}
    >
      <input
        name="user"
        type="text"
        aria-label={text('list.writeTo')}
        placeholder={text('signIn.user')}
        maxLength={128}
        ref={field}
      />
      <button type="submit" class="button primary">
        {text('signIn.enter')}
      </button>
      {question}
    </form>
  );
}
