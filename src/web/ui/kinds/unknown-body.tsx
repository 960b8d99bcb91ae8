import type { MessageContent } from '../../../sdk/index.ts';
import { text } from '../../text/text.ts';

export function UnknownBody({ content: { contentType, body } }: { content: MessageContent }) {
  return <div class="text text-odd">{text('message.unknown', { type: contentType, bytes: body.length })}</div>;
}
