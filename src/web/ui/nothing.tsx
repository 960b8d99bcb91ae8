import { MessagesSquare } from 'lucide';
import { text } from '../text/text.ts';
import { Icon } from './icon.tsx';

export function Nothing() {
  return (
    <div class="nothing">
      <Icon of={MessagesSquare} size={56} />
      <h2>{text('conversation.none')}</h2>
      <p>{text('conversation.noneHint')}</p>
    </div>
  );
}
