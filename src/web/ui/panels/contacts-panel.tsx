import { useSignal } from '@preact/signals';
import { Ban, Check, MessageSquare, UserMinus, X } from 'lucide';
import { useEffect } from 'preact/hooks';
import type { ContactPage, ListedContact, UserId } from '../../../sdk/index.ts';
import { namesIn } from '../../model/who.ts';
import { go } from '../../state/route.ts';
import { text } from '../../text/text.ts';
import { useApp } from '../context.ts';
import { Icon } from '../icon.tsx';
import { Person } from '../person.tsx';
import { useWho } from '../use-who.tsx';

const PAGE = 100;

export function ContactsPanel() {
  const app = useApp();
  const contacts = useSignal<readonly ListedContact[] | undefined>(undefined);
  const refresh = async (): Promise<void> => {
    const all: ListedContact[] = [];
    let cursor: string | undefined;
    do {
      const query = { type: 'contacts' as const, limit: PAGE, ...(cursor !== undefined && { cursor }) };
      const page: ContactPage = await app.tabs.ask({ type: 'query', query });
      all.push(...page.contacts);
      cursor = page.cursor;
    } while (cursor !== undefined);
    contacts.value = all;
  };
  useEffect(() => {
    refresh().catch(() => undefined);
  }, [app.contactsVersion.value]);
  const order = { asked: 0, contacts: 1, requested: 2, none: 3 } as const;
  const shown = [...(contacts.value ?? [])].sort((a, b) => order[a.state] - order[b.state]);
  return (
    <>
      {contacts.value?.length === 0 && <p class="hint">{text('contacts.empty')}</p>}
      <ul class="cards">
        {shown.map((contact) => (
          <Contact key={contact.user} contact={contact} />
        ))}
      </ul>
      <AskSomebody />
    </>
  );
}

function AskSomebody() {
  const app = useApp();
  const { look, forget, question } = useWho();
  const ask = (event: Event): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const greeting = String(data.get('greeting'));
    const request = async ([user]: readonly UserId[]): Promise<void> => {
      if (user !== undefined && (await app.command({ type: 'requestContact', user, greeting }))) form.reset();
    };
    void look(namesIn(String(data.get('user'))).slice(0, 1), (users) => void request(users));
  };
  return (
    <form class="stack" onSubmit={ask} onInput={forget}>
      <h3>{text('contacts.ask')}</h3>
      <label>
        {text('signIn.user')}
        <input name="user" type="text" maxLength={128} required />
      </label>
      <label>
        {text('contacts.greeting')}
        <input name="greeting" type="text" maxLength={256} />
      </label>
      {question}
      <button type="submit" class="button primary">
        {text('contacts.send')}
      </button>
    </form>
  );
}

function Contact({ contact: { user, conversation, state, blocked } }: { contact: ListedContact }) {
  const app = useApp();
  const name = app.names.of(user);
  const act = (type: 'declineContact' | 'removeContact' | 'blockUser' | 'unblockUser') => (): void =>
    void app.command({ type, user });
  const under = blocked
    ? text('contacts.blocked')
    : { asked: text('contacts.asked'), requested: text('contacts.requested'), contacts: user, none: user }[state];
  return (
    <li class="card">
      <Person user={user} size={38} />
      <span class="card-words">
        <span class="row-name">{name}</span>
        <span class="hint">{under}</span>
      </span>
      {state === 'asked' && (
        <>
          <CardButton
            icon={Check}
            label={text('contacts.accept')}
            act={() => void app.command({ type: 'requestContact', user, greeting: '' })}
          />
          <CardButton icon={X} label={text('contacts.decline')} act={act('declineContact')} />
        </>
      )}
      {state !== 'asked' && !blocked && (
        <CardButton
          icon={MessageSquare}
          label={text('contacts.write')}
          act={() => go({ user: app.me, conversation })}
        />
      )}
      {(state === 'contacts' || state === 'requested') && (
        <CardButton
          icon={UserMinus}
          label={text(state === 'contacts' ? 'contacts.remove' : 'contacts.takeBack')}
          act={act('removeContact')}
        />
      )}
      <CardButton
        icon={Ban}
        label={text(blocked ? 'contacts.unblock' : 'contacts.block')}
        isOn={blocked === true}
        act={act(blocked ? 'unblockUser' : 'blockUser')}
      />
    </li>
  );
}

interface CardButtonProps {
  readonly icon: Parameters<typeof Icon>[0]['of'];
  readonly label: string;
  readonly act: () => void;
  readonly isOn?: boolean;
}

export function CardButton({ icon, label, act, isOn = false }: CardButtonProps) {
  return (
    <button type="button" class={`icon-button${isOn ? ' is-on' : ''}`} aria-label={label} title={label} onClick={act}>
      <Icon of={icon} size={18} />
    </button>
  );
}
