/**
 * What messages may hold: a kind is one component, chosen by the type of the content. A new kind is a file here and a line in
 * this list.
 */
import type { ComponentType } from 'preact';
import type { MessageContent } from '../../../sdk/index.ts';
import { isOnlyEmoji } from '../../model/markup.ts';
import { EmojiBody } from './emoji-body.tsx';
import { EncryptedBody } from './encrypted-body.tsx';
import { TextBody } from './text-body.tsx';
import { UnknownBody } from './unknown-body.tsx';

export interface Kind {
  readonly Body: ComponentType<{ content: MessageContent }>;
  /** Without a bubble around it. */
  readonly isBare: boolean;
}

interface KindOf extends Kind {
  readonly holds: (content: MessageContent) => boolean;
}

const MAX_EMOJI_BYTES = 128;

const KINDS: readonly KindOf[] = [
  { holds: ({ keyId }) => keyId !== undefined, Body: EncryptedBody, isBare: false },
  {
    holds: ({ contentType, body, replyTo }) =>
      contentType === 'text/plain' &&
      replyTo === undefined &&
      body.length <= MAX_EMOJI_BYTES &&
      isOnlyEmoji(new TextDecoder().decode(body)),
    Body: EmojiBody,
    isBare: true,
  },
  { holds: ({ contentType }) => contentType.startsWith('text/'), Body: TextBody, isBare: false },
  { holds: () => true, Body: UnknownBody, isBare: false },
];

/** The last one holds everything. */
export const contentKinds = (content: MessageContent): Kind => KINDS.find(({ holds }) => holds(content)) as KindOf;
