/** Slack's markup as plain text: who is meant, which channel, which address. */
import type { UserId } from '../../domain/ids.ts';

const MARKUP = /<([^<>\n]{1,4096})>/g;
const ENTITIES: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>' };

export interface PlainText {
  readonly text: string;
  readonly mentions: readonly UserId[];
  readonly mentionsAll: boolean;
}

export class SlackText {
  readonly #names: ReadonlyMap<string, string>;
  readonly #userOf: (id: string) => UserId;

  constructor(names: ReadonlyMap<string, string>, userOf: (id: string) => UserId) {
    this.#names = names;
    this.#userOf = userOf;
  }

  plain(markup: string): PlainText {
    const mentions: UserId[] = [];
    let mentionsAll = false;
    const text = markup.replace(MARKUP, (_whole, inner: string) => {
      const bar = inner.indexOf('|');
      const [target, label] = bar === -1 ? [inner, ''] : [inner.slice(0, bar), inner.slice(bar + 1)];
      const rest = target.slice(1);
      switch (target[0]) {
        case '@':
          mentions.push(this.#userOf(rest));
          return `@${this.#names.get(rest) ?? (label || rest)}`;
        case '#':
          return `#${label || rest}`;
        case '!':
          if (/^(channel|here|everyone)/.test(rest)) mentionsAll = true;
          return label || `@${rest.split('^')[0]}`;
        default:
          return label === '' || label === target ? target : `${label} (${target})`;
      }
    });
    return { text: text.replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity] ?? entity), mentions, mentionsAll };
  }
}
