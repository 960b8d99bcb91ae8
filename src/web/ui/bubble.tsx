import { useSignal } from '@preact/signals';
import {
  Check,
  CheckCheck,
  CircleAlert,
  Clock,
  Copy,
  Ellipsis,
  Eye,
  FileClock,
  Pencil,
  Reply,
  Search,
  Undo2,
} from 'lucide';
import type { Outgoing } from '../model/outgoing.ts';
import { cureOf } from '../model/outgoing.ts';
import type { Message } from '../model/timeline.ts';
import type { App } from '../state/app.ts';
import type { OpenConversation } from '../state/conversation.ts';
import { fullTimeOf, reasonOf, text, timeOf } from '../text/text.ts';
import { Avatar, hueOf } from './avatar.tsx';
import { useApp } from './context.ts';
import { bodyLine } from './entry-line.ts';
import { Icon } from './icon.tsx';
import { contentKinds } from './kinds/kinds.ts';
import { Menu, type MenuItem } from './menu.tsx';
import { Receipts, Versions } from './message-past.tsx';

/** Messages may be changed and taken back for a day. */
const MAY_CHANGE_MS = 24 * 3_600_000;

interface BubbleProps {
  readonly open: OpenConversation;
  /** One of the two: what the timeline has, or what is on its way. */
  readonly message?: Message | undefined;
  readonly outgoing?: Outgoing | undefined;
  /** The first of its sender's: with name and picture. */
  readonly isFirst: boolean;
}

/** A message with its sender, time and state. What is inside is its kind's matter. */
export function Bubble({ open, message, outgoing, isFirst }: BubbleProps) {
  const app = useApp();
  const shownBelow = useSignal<'receipts' | 'versions' | undefined>(undefined);
  const by = message?.by ?? app.me;
  const isMine = by === app.me;
  const row = app.row(open.id);
  const isGroup = row.kind === 'group';
  const { at } = (message ?? outgoing) as Message | Outgoing;
  const content = message ?? (outgoing as Outgoing).content;
  const { Body, isBare } = contentKinds(content);
  const name = app.names.of(by);
  const state = outgoing?.state === 'refused' ? ' bubble-refused' : '';
  const actions = message ? actionsOf(app, open, message, (below) => (shownBelow.value = below)) : [];
  return (
    <article
      class={`message${isMine ? ' message-mine' : ''}${isFirst ? ' message-first' : ''}`}
      aria-label={`${name}, ${timeOf(at)}`}
    >
      {isGroup && !isMine && <span class="message-side">{isFirst && <Avatar id={by} name={name} size={34} />}</span>}
      <div class="message-column">
        {isGroup && !isMine && isFirst && <span class={`message-name name-${hueOf(by)}`}>{name}</span>}
        <div class={`bubble${isBare ? ' bubble-bare' : ''}${state}`}>
          {content.replyTo !== undefined && <Quote open={open} n={content.replyTo} />}
          <Body content={content} />
          <span class="bubble-foot">
            {message?.edited && (
              <button type="button" class="foot-button" onClick={() => (shownBelow.value = 'versions')}>
                {text('message.edited')}
              </button>
            )}
            <time dateTime={new Date(at).toISOString()} title={fullTimeOf(at)}>
              {timeOf(at)}
            </time>
            {isMine && <State app={app} open={open} message={message} outgoing={outgoing} />}
          </span>
        </div>
        {outgoing?.state === 'refused' && <Refused outgoing={outgoing} />}
        {message && shownBelow.value === 'receipts' && <Receipts open={open} message={message} />}
        {message && shownBelow.value === 'versions' && <Versions open={open} message={message} />}
      </div>
      {actions.length > 0 && (
        <Menu label={text('message.actions')} items={actions} class="icon-button message-menu">
          <Icon of={Ellipsis} size={18} />
        </Menu>
      )}
    </article>
  );
}

function Quote({ open, n }: { open: OpenConversation; n: number }) {
  const app = useApp();
  open.version.value;
  const entry = open.timeline.at(n);
  const isThere = entry?.type === 'message' && !entry.recalled;
  return (
    <button type="button" class="quote" onClick={() => open.show(n)}>
      {isThere && <span class="quote-name">{app.names.of(entry.by)}</span>}
      <span class="quote-text">{isThere ? bodyLine(entry) : text('message.gone')}</span>
    </button>
  );
}

function State({ app, open, message, outgoing }: { app: App } & Omit<BubbleProps, 'isFirst'>) {
  if (outgoing?.state === 'refused') return <Sign icon={CircleAlert} label={text('message.refused')} />;
  if (outgoing?.state === 'pending') return <Sign icon={Clock} label={text('message.pending')} />;
  const isRead = message !== undefined && (app.row(open.id).peerReadUpTo ?? 0) >= message.n;
  if (isRead) return <Sign icon={CheckCheck} label={text('message.read')} isRead />;
  const isDelivered = message !== undefined && (app.row(open.id).peerDeliveredUpTo ?? 0) >= message.n;
  if (isDelivered) return <Sign icon={CheckCheck} label={text('message.delivered')} />;
  return <Sign icon={Check} label={text('message.sent')} />;
}

function Sign({
  icon,
  label,
  isRead = false,
}: {
  icon: Parameters<typeof Icon>[0]['of'];
  label: string;
  isRead?: boolean;
}) {
  return (
    <span class={`state${isRead ? ' state-read' : ''}`} title={label}>
      <Icon of={icon} size={15} />
      <span class="sr-only">{label}</span>
    </span>
  );
}

function Refused({ outgoing }: { outgoing: Outgoing }) {
  const app = useApp();
  const code = outgoing.code ?? 'INTERNAL';
  const cure = cureOf(code);
  const peer = app.peerOf(outgoing.conversation);
  return (
    <div class="refused" role="alert">
      <span>{reasonOf(code)}</span>
      {cure === 'ask to be contacts' && peer !== undefined && (
        <button
          type="button"
          class="link-button"
          onClick={() => void app.command({ type: 'requestContact', user: peer, greeting: '' })}
        >
          {text('message.ask')}
        </button>
      )}
      {(cure === 'send again' || cure === 'ask to be contacts') && (
        <button type="button" class="link-button" onClick={() => void app.sending.retry(outgoing.clientMsgId)}>
          {text('message.retry')}
        </button>
      )}
      <button type="button" class="link-button" onClick={() => void app.sending.discard(outgoing.clientMsgId)}>
        {text('message.discard')}
      </button>
    </div>
  );
}

function actionsOf(
  app: App,
  open: OpenConversation,
  message: Message,
  showBelow: (below: 'receipts' | 'versions') => void,
): MenuItem[] {
  const isMine = message.by === app.me;
  const isFresh = Date.now() - message.at < MAY_CHANGE_MS;
  const isText = message.contentType.startsWith('text/') && message.keyId === undefined;
  const recall = (): void => {
    const sender = isMine ? {} : { sender: message.by };
    void app.command({ type: 'recallMessage', conversation: open.id, target: message.id, ...sender });
  };
  const items: (MenuItem | false)[] = [
    { label: text('message.reply'), icon: Reply, act: () => (open.replyTo.value = message.n) },
    isText && {
      label: text('message.copy'),
      icon: Copy,
      act: () => void navigator.clipboard.writeText(new TextDecoder().decode(message.body)),
    },
    isMine &&
      isFresh &&
      isText && { label: text('message.edit'), icon: Pencil, act: () => (open.editing.value = message.n) },
    { label: text('message.receipts'), icon: Eye, act: () => showBelow('receipts') },
    message.edited !== undefined && {
      label: text('message.versions'),
      icon: FileClock,
      act: () => showBelow('versions'),
    },
    {
      label: text('message.event'),
      icon: Search,
      act: () => {
        app.inspector.event.value = { conversation: open.id, n: message.n };
        app.panel.value = 'inspect';
      },
    },
    (isMine || app.row(open.id).kind === 'group') &&
      isFresh && { label: text('message.recall'), icon: Undo2, isDangerous: true, act: recall },
  ];
  return items.filter((item) => item !== false);
}
