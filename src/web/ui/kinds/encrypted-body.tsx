import { Lock } from 'lucide';
import { text } from '../../text/text.ts';
import { Icon } from '../icon.tsx';

export function EncryptedBody() {
  return (
    <div class="text text-odd">
      <Icon of={Lock} size={14} /> {text('message.encrypted')}
    </div>
  );
}
