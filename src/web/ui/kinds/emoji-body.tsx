import type { MessageContent } from '../../../sdk/index.ts';

export function EmojiBody({ content }: { content: MessageContent }) {
  return <div class="emoji-large">{new TextDecoder().decode(content.body)}</div>;
}
