import { ArrowLeft, CalendarDays, Info, Search } from 'lucide';
import { useEffect, useRef } from 'preact/hooks';
import type { OpenConversation } from '../state/conversation.ts';
import { go } from '../state/route.ts';
import { listOf, text } from '../text/text.ts';
import { Avatar } from './avatar.tsx';
import { Composer } from './composer.tsx';
import { useApp } from './context.ts';
import { Icon } from './icon.tsx';
import { Person, PresenceLine } from './person.tsx';
import { TimelineView } from './timeline-view.tsx';

/** Members of a group that is asked for who of them is online. */
const MAX_COUNTED_ONLINE = 50;

export function ConversationView({ open }: { open: OpenConversation }) {
  const app = useApp();
  const row = app.row(open.id);
  const title = app.titleOf(row);
  const peer = app.peerOf(open.id);
  const toggle = (panel: 'details' | 'search') => (): void => {
    app.panel.value = app.panel.peek() === panel ? undefined : panel;
  };
  const search = (): void => {
    app.searchesHere.value = true;
    toggle('search')();
  };
  return (
    <section class="conversation" aria-label={title}>
      <header class="bar">
        <button
          type="button"
          class="icon-button only-narrow"
          aria-label={text('conversation.back')}
          onClick={() => go({ user: app.me })}
        >
          <Icon of={ArrowLeft} />
        </button>
        <button type="button" class="bar-who" onClick={toggle('details')} title={text('conversation.details')}>
          {peer === undefined ? (
            <Avatar id={open.id} name={title} size={38} isGroup />
          ) : (
            <Person user={peer} size={38} />
          )}
          <span class="bar-words">
            <span class="bar-title">{title}</span>
            <Under open={open} />
          </span>
        </button>
        <JumpToDate open={open} />
        <button
          type="button"
          class="icon-button"
          aria-label={text('list.search')}
          title={text('list.search')}
          onClick={search}
        >
          <Icon of={Search} />
        </button>
        <button
          type="button"
          class="icon-button only-wide"
          aria-label={text('conversation.details')}
          title={text('conversation.details')}
          onClick={toggle('details')}
        >
          <Icon of={Info} />
        </button>
      </header>
      <TimelineView open={open} />
      <Composer open={open} row={row} />
    </section>
  );
}

/** Who is writing, or what there is to say of the conversation. */
function Under({ open }: { open: OpenConversation }) {
  const app = useApp();
  const writing = app.typing.in(open.id).map((user) => app.names.of(user));
  if (writing.length > 0) {
    return (
      <span class="bar-under bar-typing" aria-live="polite">
        {text('conversation.typing', { name: listOf(writing) })}
      </span>
    );
  }
  const peer = app.peerOf(open.id);
  const { memberCount } = app.row(open.id);
  if (peer !== undefined) return <PresenceLine user={peer} otherwise={peer} />;
  return <GroupLine open={open} count={memberCount} />;
}

/** Of a group that is not large also how many are there; oneself among them. */
function GroupLine({ open, count }: { open: OpenConversation; count: number }) {
  const app = useApp();
  const members = open.view.value?.members;
  useEffect(() => {
    if (!members || members.length > MAX_COUNTED_ONLINE) return undefined;
    const hides = members.flatMap(({ user }) => (user === app.me ? [] : [app.presence.shows(user)]));
    return () => {
      for (const hide of hides) hide();
    };
  }, [app, members]);
  const online = members?.filter(({ user }) => app.presence.of(user)?.online).length ?? 0;
  const words =
    online > 0
      ? text('conversation.membersOnline', { count, online: online + 1 })
      : text('conversation.members', { count });
  return <span class="bar-under">{words}</span>;
}

function JumpToDate({ open }: { open: OpenConversation }) {
  const input = useRef<HTMLInputElement>(null);
  const jump = async (value: string): Promise<void> => {
    const day = new Date(`${value}T00:00`).getTime();
    if (Number.isNaN(day)) return;
    const n = await open.indexAt(day).catch(() => undefined);
    open.show(n ?? open.timeline.last);
  };
  return (
    <span class="date-jump">
      <button
        type="button"
        class="icon-button"
        aria-label={text('conversation.jump')}
        title={text('conversation.jump')}
        onClick={() => input.current?.showPicker()}
      >
        <Icon of={CalendarDays} />
      </button>
      <input
        ref={input}
        type="date"
        tabIndex={-1}
        aria-label={text('conversation.jump')}
        onChange={(event) => void jump(event.currentTarget.value)}
      />
    </span>
  );
}
