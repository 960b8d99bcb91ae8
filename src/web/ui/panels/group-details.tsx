import { useSignal } from '@preact/signals';
import { Crown, Ellipsis, MicOff, Shield, UserMinus, Volume2, X } from 'lucide';
import { useEffect } from 'preact/hooks';
import type { Command } from '../../../protocol/frames.ts';
import type { GroupSettings, Role, UserId } from '../../../sdk/index.ts';
import { withoutControls } from '../../model/markup.ts';
import { namesIn } from '../../model/who.ts';
import type { OpenConversation } from '../../state/conversation.ts';
import { text } from '../../text/text.ts';
import { Avatar } from '../avatar.tsx';
import { useApp } from '../context.ts';
import { Icon } from '../icon.tsx';
import { Menu, type MenuItem } from '../menu.tsx';
import { Person } from '../person.tsx';
import { useWho } from '../use-who.tsx';
import { CardButton } from './contacts-panel.tsx';
import { GroupSettingsForm } from './group-settings-form.tsx';

const MUTED_FOR_MS = 3_600_000;

export function GroupDetails({ open }: { open: OpenConversation }) {
  const app = useApp();
  useEffect(() => void open.refreshView(), [open]);
  const row = app.row(open.id);
  const view = open.view.value;
  const myRole = view?.members.find(({ user }) => user === app.me)?.role;
  const mayLead = myRole === 'owner' || myRole === 'admin';
  return (
    <>
      <div class="who">
        <Avatar id={open.id} name={app.titleOf(row)} size={88} isGroup />
        <h3>{app.titleOf(row)}</h3>
        <p class="hint">{text('conversation.members', { count: view?.memberCount ?? row.memberCount })}</p>
      </div>
      {view?.settings.announcement && <p class="announcement">{withoutControls(view.settings.announcement)}</p>}
      {view?.settings.description && <p>{withoutControls(view.settings.description)}</p>}
      {mayLead && <JoinRequests open={open} />}
      <h3>{text('group.members')}</h3>
      <ul class="cards">
        {view?.members.map(({ user, role, mutedUntil = 0 }) => (
          <Member key={user} {...{ open, user, role, myRole }} isMuted={mutedUntil > Date.now()} />
        ))}
      </ul>
      {mayLead && <AddMembers open={open} />}
      {mayLead && view && <GroupSettingsForm open={open} name={view.name} settings={view.settings as GroupSettings} />}
      {mayLead && <Invites open={open} />}
      {view && !view.dissolved && <Leaving open={open} isOwner={myRole === 'owner'} />}
    </>
  );
}

interface MemberProps {
  readonly open: OpenConversation;
  readonly user: UserId;
  readonly role: Role;
  readonly myRole: Role | undefined;
  readonly isMuted: boolean;
}

function Member({ open, user, role, myRole, isMuted }: MemberProps) {
  const app = useApp();
  const name = app.names.of(user);
  const conversation = open.id;
  const may = user !== app.me && (myRole === 'owner' || (myRole === 'admin' && role === 'member'));
  const act = (command: Command) => (): void => void app.command(command);
  const mute = (until: number): Command => ({ type: 'muteMember', conversation, member: user, until });
  const items: (MenuItem | false)[] = [
    myRole === 'owner' && {
      label: text(role === 'admin' ? 'group.makeMember' : 'group.makeAdmin'),
      icon: Shield,
      act: act({ type: 'changeRole', conversation, member: user, role: role === 'admin' ? 'member' : 'admin' }),
    },
    myRole === 'owner' && {
      label: text('group.makeOwner'),
      icon: Crown,
      act: act({ type: 'changeRole', conversation, member: user, role: 'owner' }),
    },
    isMuted
      ? { label: text('group.unmute'), icon: Volume2, act: act(mute(0)) }
      : { label: text('group.muteHour'), icon: MicOff, act: () => void app.command(mute(Date.now() + MUTED_FOR_MS)) },
    {
      label: text('group.remove'),
      icon: UserMinus,
      isDangerous: true,
      act: act({ type: 'removeMembers', conversation, members: [user] }),
    },
  ];
  return (
    <li class="card">
      <Person user={user} size={34} />
      <span class="card-words">
        <span class="row-name">{name}</span>
        <span class="hint">{isMuted ? text('list.muted') : user}</span>
      </span>
      {role !== 'member' && <span class={`role role-${role}`}>{text(`role.${role}`)}</span>}
      {may && (
        <Menu label={text('group.memberActions', { name })} items={items.filter((item) => item !== false)}>
          <Icon of={Ellipsis} size={18} />
        </Menu>
      )}
    </li>
  );
}

function AddMembers({ open }: { open: OpenConversation }) {
  const app = useApp();
  const { look, forget, question } = useWho();
  const add = (event: Event): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const addAll = async (members: readonly UserId[]): Promise<void> => {
      if (members.length === 0) return;
      if (await app.command({ type: 'addMembers', conversation: open.id, members })) form.reset();
    };
    void look(namesIn(String(new FormData(form).get('members'))), (members) => void addAll(members));
  };
  return (
    <form class="inline-form" onSubmit={add} onInput={forget}>
      <input
        name="members"
        type="text"
        aria-label={text('group.addMembers')}
        placeholder={text('group.addMembers')}
        required
      />
      <button type="submit" class="button">
        {text('group.add')}
      </button>
      {question}
    </form>
  );
}

function JoinRequests({ open }: { open: OpenConversation }) {
  const app = useApp();
  const conversation = open.id;
  return (
    <ul class="cards">
      {open.view.value?.requests?.map((user) => (
        <li key={user} class="card">
          <Avatar id={user} name={app.names.of(user)} size={34} />
          <span class="card-words">
            <span class="row-name">{app.names.of(user)}</span>
            <span class="hint">{withoutControls(open.greetings.value.get(user) ?? user)}</span>
          </span>
          <button
            type="button"
            class="button"
            onClick={() => void app.command({ type: 'addMembers', conversation, members: [user] })}
          >
            {text('contacts.accept')}
          </button>
          <button
            type="button"
            class="button"
            onClick={() => void app.command({ type: 'declineJoin', conversation, member: user })}
          >
            {text('contacts.decline')}
          </button>
        </li>
      ))}
    </ul>
  );
}

function Invites({ open }: { open: OpenConversation }) {
  const app = useApp();
  const conversation = open.id;
  const make = (): void => {
    const invite = crypto.randomUUID().replaceAll('-', '');
    void app.command({ type: 'createInvite', conversation, invite, expiresAt: 0, maxUses: 0 });
  };
  const invites = open.view.value?.invites ?? [];
  return (
    <div class="stack">
      {invites.length > 0 && <p class="hint">{text('group.inviteText')}</p>}
      {invites.map(({ invite }) => (
        <div key={invite} class="card">
          <code class="invite">{`${conversation}/${invite}`}</code>
          <CardButton
            icon={X}
            label={text('group.revokeInvite')}
            act={() => void app.command({ type: 'revokeInvite', conversation, invite })}
          />
        </div>
      ))}
      <button type="button" class="button" onClick={make}>
        {text('group.invite')}
      </button>
    </div>
  );
}

/** Asked twice: nobody leaves by a slip of the hand. */
function Leaving({ open, isOwner }: { open: OpenConversation; isOwner: boolean }) {
  const app = useApp();
  const isAsked = useSignal(false);
  const type = isOwner ? 'dissolveGroup' : 'leaveGroup';
  const leave = async (): Promise<void> => {
    if (!isAsked.value) {
      isAsked.value = true;
      return;
    }
    isAsked.value = false;
    await app.command({ type, conversation: open.id });
  };
  return (
    <button type="button" class="button danger" onClick={() => void leave()}>
      {text(isOwner ? 'group.dissolve' : 'group.leave')}
      {isAsked.value && ` · ${text('group.sure')}`}
    </button>
  );
}
