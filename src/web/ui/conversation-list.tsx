import { useSignal } from '@preact/signals';
import { Archive, ArrowLeft, BellOff, Ellipsis, EyeOff, MailOpen, Pin, Users } from 'lucide';
import { useRef } from 'preact/hooks';
import { isMuted, type Row } from '../model/rows.ts';
import type { App } from '../state/app.ts';
import { go } from '../state/route.ts';
import { text, whenOf } from '../text/text.ts';
import { Avatar } from './avatar.tsx';
import { useApp } from './context.ts';
import { lineOf } from './entry-line.ts';
import { Icon } from './icon.tsx';
import { Menu, type MenuItem } from './menu.tsx';
import { Person } from './person.tsx';

const FOR_EVER = -1;

/** Drawn at first, and as many more each time the end is reached. */
const DRAWN = 100;
const NEAR_END_PX = 600;

export function ConversationList() {
  const app = useApp();
  const list = useRef<HTMLUListElement>(null);
  const drawn = useSignal(DRAWN);
  const rows = app.list.value;
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    const links = [...(list.current?.querySelectorAll<HTMLElement>('.row-link') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    if (at < 0) return;
    event.preventDefault();
    links[at + step]?.focus();
  };
  const onScroll = ({ currentTarget: { scrollTop, clientHeight, scrollHeight } }: { currentTarget: Element }): void => {
    if (scrollTop + clientHeight > scrollHeight - NEAR_END_PX && drawn.value < rows.length) drawn.value += DRAWN;
  };
  return (
    <>
      {app.isArchive.value && (
        <button type="button" class="list-back" onClick={() => app.showArchive(false)}>
          <Icon of={ArrowLeft} size={16} />
          {text('list.back')}
        </button>
      )}
      {rows.length === 0 ? (
        <EmptyList />
      ) : (
        <ul class="list" ref={list} onKeyDown={onKeyDown} onScroll={onScroll} aria-label={text('list.title')}>
          {rows.slice(0, drawn.value).map((row) => (
            <ListRow key={row.conversation} row={row} />
          ))}
        </ul>
      )}
    </>
  );
}

function EmptyList() {
  const app = useApp();
  if (app.isArchive.value) return <p class="list-empty hint">{text('list.archiveEmpty')}</p>;
  return (
    <div class="list-empty">
      {app.isListKnown.value && (
        <>
          <p>{text('list.empty')}</p>
          <p class="hint">{text('list.emptyHint')}</p>
        </>
      )}
    </div>
  );
}

function ListRow({ row }: { row: Row }) {
  const app = useApp();
  const title = app.titleOf(row);
  const peer = app.peerOf(row.conversation);
  const isOpen = app.open.value?.id === row.conversation;
  const muted = isMuted(row, Date.now());
  const { pinned, markedUnread } = row.preferences;
  return (
    <li class={`row${isOpen ? ' row-open' : ''}`}>
      <a
        class="row-link"
        href={`#/${encodeURIComponent(app.me)}/${encodeURIComponent(row.conversation)}`}
        aria-current={isOpen ? 'page' : undefined}
        onClick={(event) => {
          event.preventDefault();
          go({ user: app.me, conversation: row.conversation });
        }}
      >
        {peer === undefined ? <Avatar id={row.conversation} name={title} isGroup /> : <Person user={peer} />}
        <span class="row-body">
          <span class="row-top">
            <span class="row-title">
              {row.kind === 'group' && <Icon of={Users} size={14} />}
              <span class="row-name">{title}</span>
            </span>
            <span class="row-time">{whenOf(row.lastAt)}</span>
          </span>
          <span class="row-bottom">
            <Preview row={row} />
            <span class="row-signs">
              {muted && <Sign icon={BellOff} label={text('list.muted')} />}
              {pinned && <Sign icon={Pin} label={text('list.pinned')} />}
              {row.mentions > 0 && (
                <span class="badge badge-mention" title={text('list.mentioned')}>
                  @<span class="sr-only">{text('list.mentioned')}</span>
                </span>
              )}
              {(row.unread > 0 || markedUnread) && (
                <span class={`badge${muted ? ' badge-muted' : ''}`}>
                  {row.unread > 0 ? (row.unread > 999 ? '999+' : row.unread) : '•'}
                  <span class="sr-only"> {text('list.unread', { count: row.unread })}</span>
                </span>
              )}
            </span>
          </span>
        </span>
      </a>
      <Menu label={text('list.menu', { name: title })} items={actionsOf(app, row)} class="icon-button row-menu">
        <Icon of={Ellipsis} size={18} />
      </Menu>
    </li>
  );
}

function Sign({ icon, label }: { icon: Parameters<typeof Icon>[0]['of']; label: string }) {
  return (
    <span class="row-sign" title={label}>
      <Icon of={icon} size={14} />
      <span class="sr-only">{label}</span>
    </span>
  );
}

function Preview({ row }: { row: Row }) {
  const app = useApp();
  const [writing] = app.typing.in(row.conversation);
  if (writing !== undefined) {
    return <span class="row-preview row-typing">{text('conversation.typing', { name: app.names.of(writing) })}</span>;
  }
  const draft = app.open.value?.id === row.conversation ? '' : app.drafts.of(row.conversation).trim();
  if (draft !== '') {
    return (
      <span class="row-preview">
        <span class="row-draft">{text('list.draft')}</span> {draft}
      </span>
    );
  }
  return <span class="row-preview">{row.last ? lineOf(app, row.last, row.kind === 'group') : ''}</span>;
}

function actionsOf(app: App, row: Row): MenuItem[] {
  const { pinned, archived } = row.preferences;
  const change = (preferences: Row['preferences']) => (): void =>
    void app.changePreferences(row.conversation, preferences);
  return [
    pinned
      ? { label: text('list.unpin'), icon: Pin, act: change({ pinned: false }) }
      : { label: text('list.pin'), icon: Pin, act: change({ pinned: true }) },
    isMuted(row, Date.now())
      ? { label: text('list.unmute'), icon: BellOff, act: change({ mutedUntil: 0 }) }
      : { label: text('list.mute'), icon: BellOff, act: change({ mutedUntil: FOR_EVER }) },
    { label: text('list.markUnread'), icon: MailOpen, act: change({ markedUnread: true }) },
    {
      label: text(archived ? 'list.unarchive' : 'list.archive'),
      icon: Archive,
      act: change({ archived: !archived }),
    },
    { label: text('list.hide'), icon: EyeOff, act: change({ hidden: true }) },
  ];
}
