/** The engine shown to those who build with it: frames as they pass, the cursor, how far behind what is shown was. */
import { signal } from '@preact/signals';
import type { ConversationId, Cursor } from '../../sdk/index.ts';
import type { News } from '../link/link.ts';
import type { Tabs } from '../link/tabs.ts';

/** The newest; older ones are forgotten. */
const MAX_FRAMES = 300;

export type SeenFrame = Extract<News, { type: 'frame' }> & { readonly number: number };

export class Inspector {
  readonly frames = signal<readonly SeenFrame[]>([]);
  readonly cursor = signal<Cursor | undefined>(undefined);
  /** From the log's time of the newest entry until it was here, by two clocks: milliseconds. */
  readonly lagMs = signal<number | undefined>(undefined);
  readonly isOn = signal(false);
  /** The event behind a message, asked for. */
  readonly event = signal<{ readonly conversation: ConversationId; readonly n: number } | undefined>(undefined);
  readonly #tabs: Tabs;
  #count = 0;

  constructor(tabs: Tabs) {
    this.#tabs = tabs;
  }

  watch(on: boolean): void {
    this.isOn.value = on;
    this.#tabs.watchFrames(on);
    if (!on) this.frames.value = [];
  }

  saw(news: Extract<News, { type: 'frame' }>): void {
    if (!this.isOn.peek()) return;
    const { frame, at } = news;
    this.#count += 1;
    this.frames.value = [...this.frames.peek().slice(1 - MAX_FRAMES), { ...news, number: this.#count }];
    if (frame.t === 'cursor') {
      const { epoch, seq } = frame as unknown as Cursor;
      this.cursor.value = { epoch, seq };
    }
    if (frame.t === 'deliver') {
      const { entries } = frame as unknown as { entries: { at: number }[] };
      const newest = entries.at(-1)?.at;
      if (newest !== undefined) this.lagMs.value = at - newest;
    }
  }
}
