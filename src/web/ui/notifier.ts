/**
 * Notifications of the browser, by the tab that holds the connection, while no tab of this user is looked at: one a conversation,
 * which the next message replaces, and which goes when somebody has looked. Nobody else is asked or told for it.
 *
 * Known gap: browsers on Android let no page show one itself; there nothing is shown.
 */
import { useEffect } from 'preact/hooks';
import type { ConversationId, Entry } from '../../sdk/index.ts';
import type { News } from '../link/link.ts';
import { isToBeTold } from '../model/notice.ts';
import type { Row } from '../model/rows.ts';
import type { App } from '../state/app.ts';
import { serverNowMs } from '../state/new-id.ts';
import { notifies } from '../state/preferences.ts';
import { go } from '../state/route.ts';
import { lineOf } from './entry-line.ts';

/** Conversations of which one stands there; one more takes the place of the oldest. */
const MAX_SHOWN = 20;

class Notifier {
  readonly #app: App;
  readonly #shown = new Map<ConversationId, Notification>();

  constructor(app: App) {
    this.#app = app;
  }

  heard(news: News): void {
    if (news.type !== 'entry') return;
    const { conversation, entry } = news;
    const { me, tabs, account, rows } = this.#app;
    const row = rows.peek().get(conversation);
    if (entry.type === 'conversationRead' && entry.by === me) return this.#close(conversation);
    if (!row || !tabs.isLeader || !notifies.peek() || Notification.permission !== 'granted') return;
    const quietHours = account.peek()?.settings.quietHours ?? null;
    if (!isToBeTold(entry, row, { me, quietHours, nowMs: serverNowMs() })) return;
    void this.#tell(row, entry);
  }

  closeAll(): void {
    for (const conversation of this.#shown.keys()) this.#close(conversation);
  }

  async #tell(row: Row, entry: Entry): Promise<void> {
    const app = this.#app;
    const { conversation } = row;
    if (entry.type !== 'message' || (await app.seenTabs.isAnySeen())) return;
    this.#close(conversation);
    for (const oldest of this.#shown.keys()) if (this.#shown.size >= MAX_SHOWN) this.#close(oldest);
    const tag = `${app.me} ${conversation}`;
    const body = lineOf(app, entry, row.kind === 'group');
    const notification = newNotification(app.titleOf(row), { body, tag, icon: '/icon.svg' });
    if (!notification) return;
    this.#shown.set(conversation, notification);
    notification.onclick = () => {
      window.focus();
      go({ user: app.me, conversation });
      this.#close(conversation);
    };
    notification.onclose = () => {
      if (this.#shown.get(conversation) === notification) this.#shown.delete(conversation);
    };
  }

  #close(conversation: ConversationId): void {
    const notification = this.#shown.get(conversation);
    this.#shown.delete(conversation);
    notification?.close();
  }
}

function newNotification(title: string, options: NotificationOptions): Notification | undefined {
  try {
    return new Notification(title, options);
  } catch {
    return undefined;
  }
}

export function useNotifications(app: App): void {
  useEffect(() => {
    if (typeof Notification === 'undefined') return undefined;
    const notifier = new Notifier(app);
    const stop = app.tabs.on((news) => notifier.heard(news));
    const turned = (): void => {
      if (document.visibilityState === 'visible') notifier.closeAll();
    };
    document.addEventListener('visibilitychange', turned);
    return () => {
      stop();
      document.removeEventListener('visibilitychange', turned);
      notifier.closeAll();
    };
  }, [app]);
}
