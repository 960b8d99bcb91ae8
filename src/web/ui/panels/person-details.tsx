import { Ban, UserPlus } from 'lucide';
import type { UserId } from '../../../sdk/index.ts';
import { withoutControls } from '../../model/markup.ts';
import type { OpenConversation } from '../../state/conversation.ts';
import { text } from '../../text/text.ts';
import { useApp } from '../context.ts';
import { Icon } from '../icon.tsx';
import { Person, PresenceLine } from '../person.tsx';

export function PersonDetails({ open, peer }: { open: OpenConversation; peer: UserId }) {
  const app = useApp();
  const profile = app.names.profile(peer);
  const name = app.names.of(peer);
  const remark = (event: Event): void => {
    event.preventDefault();
    const value = String(new FormData(event.currentTarget as HTMLFormElement).get('remark')).trim();
    void app.changePreferences(open.id, { remark: value });
  };
  return (
    <>
      <div class="who">
        <Person user={peer} size={88} />
        <h3>{name}</h3>
        <PresenceLine user={peer} otherwise="" />
        <p class="hint">{peer}</p>
      </div>
      <dl class="fields">
        {Object.entries(profile?.fields ?? {}).map(([field, value]) => (
          <div key={field}>
            <dt>{field}</dt>
            <dd>{withoutControls(value)}</dd>
          </div>
        ))}
      </dl>
      <form class="inline-form" onSubmit={remark}>
        <input
          name="remark"
          type="text"
          maxLength={128}
          aria-label={text('contacts.remark')}
          placeholder={text('contacts.remark')}
          value={app.row(open.id).preferences.remark ?? ''}
        />
        <button type="submit" class="button">
          {text('settings.save')}
        </button>
      </form>
      {peer !== app.me && (
        <div class="stack">
          <button
            type="button"
            class="button"
            onClick={() => void app.command({ type: 'requestContact', user: peer, greeting: '' })}
          >
            <Icon of={UserPlus} size={16} /> {text('message.ask')}
          </button>
          <button
            type="button"
            class="button danger"
            onClick={() => void app.command({ type: 'blockUser', user: peer })}
          >
            <Icon of={Ban} size={16} /> {text('contacts.block')}
          </button>
        </div>
      )}
    </>
  );
}
