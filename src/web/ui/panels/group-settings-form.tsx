import type { GroupSettings } from '../../../sdk/index.ts';
import type { OpenConversation } from '../../state/conversation.ts';
import { text } from '../../text/text.ts';
import { useApp } from '../context.ts';

export function GroupSettingsForm({
  open,
  name,
  settings,
}: {
  open: OpenConversation;
  name: string;
  settings: GroupSettings;
}) {
  const app = useApp();
  const conversation = open.id;
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const wanted: GroupSettings = {
      ...settings,
      description: String(data.get('description')),
      announcement: String(data.get('announcement')),
      joinPolicy: String(data.get('joinPolicy')) as GroupSettings['joinPolicy'],
      newcomersSee: data.has('newcomersSee') ? 'everything' : 'nothing',
      mutedAll: data.has('mutedAll'),
    };
    const names = Object.keys(wanted) as (keyof GroupSettings)[];
    const changed = Object.fromEntries(
      names.flatMap((name) => (wanted[name] === settings[name] ? [] : [[name, wanted[name]]])),
    );
    const newName = String(data.get('name')).trim();
    if (newName !== '' && newName !== name) await app.command({ type: 'renameGroup', conversation, name: newName });
    if (Object.keys(changed).length > 0) await app.command({ type: 'changeGroup', conversation, settings: changed });
  };
  return (
    <form class="stack" onSubmit={(event) => void save(event)}>
      <label>
        {text('group.name')}
        <input name="name" type="text" maxLength={256} value={name} />
      </label>
      <label>
        {text('group.announcement')}
        <textarea name="announcement" rows={2} maxLength={4_096} value={settings.announcement} />
      </label>
      <label>
        {text('group.description')}
        <textarea name="description" rows={2} maxLength={4_096} value={settings.description} />
      </label>
      <label>
        {text('group.joinPolicy')}
        <select name="joinPolicy" value={settings.joinPolicy}>
          <option value="closed">{text('group.closed')}</option>
          <option value="approval">{text('group.approval')}</option>
          <option value="open">{text('group.open')}</option>
        </select>
      </label>
      <label class="check">
        <input name="newcomersSee" type="checkbox" checked={settings.newcomersSee === 'everything'} />
        {text('group.history')}
      </label>
      <label class="check">
        <input name="mutedAll" type="checkbox" checked={settings.mutedAll} />
        {text('group.muteAll')}
      </label>
      <button type="submit" class="button primary">
        {text('group.save')}
      </button>
    </form>
  );
}
