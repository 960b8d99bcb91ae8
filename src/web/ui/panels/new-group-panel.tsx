import type { UserId } from '../../../sdk/index.ts';
import { namesIn } from '../../model/who.ts';
import { go } from '../../state/route.ts';
import { text } from '../../text/text.ts';
import { useApp } from '../context.ts';
import { useWho } from '../use-who.tsx';

const GROUP_AND_INVITE = /^(.{1,128})\/([A-Za-z0-9]{16,64})$/;

export function NewGroupPanel() {
  const app = useApp();
  const { look, forget, question } = useWho();
  const create = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const name = String(data.get('name')).trim();
    if (name === '') return;
    void look(namesIn(String(data.get('members'))), (members) => void createOf(name, members));
  };
  const createOf = async (name: string, members: readonly UserId[]): Promise<void> => {
    const conversation = crypto.randomUUID() as never;
    if (await app.command({ type: 'createGroup', conversation, name, members })) {
      app.panel.value = undefined;
      go({ user: app.me, conversation });
    }
  };
  const join = async (event: Event): Promise<void> => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget as HTMLFormElement).get('given')).trim();
    const [, group, invite] = GROUP_AND_INVITE.exec(given) ?? [];
    const conversation = (group ?? given) as never;
    const command = { type: 'joinGroup', conversation, ...(invite !== undefined && { invite }) } as const;
    if (given === '' || !(await app.command(command))) return;
    app.panel.value = undefined;
    go({ user: app.me, conversation });
  };
  return (
    <>
      <form class="stack" onSubmit={(event) => create(event)}>
        <label>
          {text('group.name')}
          <input name="name" type="text" maxLength={256} required />
        </label>
        <label>
          {text('group.members')}
          <textarea name="members" rows={3} onInput={forget} />
          <span class="hint">{text('group.membersHint')}</span>
        </label>
        {question}
        <button type="submit" class="button primary">
          {text('group.create')}
        </button>
      </form>
      <hr />
      <form class="stack" onSubmit={(event) => void join(event)}>
        <label>
          {text('group.joinId')}
          <input name="given" type="text" maxLength={200} required />
          <span class="hint">{text('group.joinHint')}</span>
        </label>
        <button type="submit" class="button">
          {text('group.join')}
        </button>
      </form>
    </>
  );
}
