import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { parseUserId, type UserId } from '../../sdk/index.ts';
import { makeDemo } from '../state/demo.ts';
import { go } from '../state/route.ts';
import { askWaysIn, DEMO_PEOPLE, hasToken, logIn, waysIn, waysInFailed } from '../state/sign-in.ts';
import { reasonOf, text } from '../text/text.ts';
import { Avatar } from './avatar.tsx';

const ASK_AGAIN_MS = 2_000;
const NAMES: Readonly<Record<string, string>> = { alice: 'Alice', bob: 'Bob', dora: 'Dora' };

/** @param user who was signed in and has to show again who they are */
export function SignIn({ user }: { user?: UserId }) {
  useEffect(() => {
    void askWaysIn();
    const timer = setInterval(() => waysInFailed.peek() && void askWaysIn(), ASK_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  const ways = waysIn.value;
  return (
    <main class="sign-in">
      <section class="sign-in-card">
        <img src="/icon.svg" alt="" width="64" height="64" />
        <h1>{text('app.name')}</h1>
        <p class="sign-in-lead">{user === undefined ? text('signIn.title') : text('signIn.again')}</p>
        {waysInFailed.value && <p role="status">{text('signIn.unreachable')}</p>}
        {ways?.devTokens && user === undefined && <DemoPeople />}
        {ways?.login && <LoginForm user={user} />}
        {ways && !ways.devTokens && !ways.login && <p>{text('signIn.none')}</p>}
        {ways?.devTokens && user === undefined && <SeedDemo />}
      </section>
    </main>
  );
}

function DemoPeople() {
  const other = useSignal('');
  const enter = (event: Event): void => {
    event.preventDefault();
    const user = parseUserId(other.value.trim());
    if (user) go({ user });
  };
  return (
    <>
      <p class="hint">{text('signIn.demo')}</p>
      <ul class="people">
        {DEMO_PEOPLE.map((user) => (
          <li key={user}>
            <button type="button" class="person" onClick={() => go({ user })}>
              <Avatar id={user} name={NAMES[user] ?? user} size={56} />
              <span>{NAMES[user] ?? user}</span>
            </button>
          </li>
        ))}
      </ul>
      <form class="inline-form" onSubmit={enter}>
        <input
          type="text"
          aria-label={text('signIn.other')}
          placeholder={text('signIn.other')}
          value={other.value}
          onInput={(event) => (other.value = event.currentTarget.value)}
          maxLength={128}
        />
        <button type="submit" class="button">
          {text('signIn.enter')}
        </button>
      </form>
    </>
  );
}

function LoginForm({ user }: { user: UserId | undefined }) {
  const refused = useSignal<string | undefined>(undefined);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const who = parseUserId(String(data.get('user')).trim());
    if (!who) return;
    try {
      await logIn(who, String(data.get('password')));
      if (user === undefined) go({ user: who });
      else location.reload();
    } catch (error) {
      refused.value = (error as { code?: string }).code ?? 'INTERNAL';
    }
  };
  return (
    <details class="login" open={waysIn.value?.devTokens !== true}>
      <summary>{text('signIn.go')}</summary>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          {text('signIn.user')}
          <input name="user" type="text" autocomplete="username" value={user ?? ''} required maxLength={128} />
        </label>
        <label>
          {text('signIn.password')}
          <input name="password" type="password" autocomplete="current-password" required maxLength={256} />
        </label>
        {refused.value !== undefined && (
          <p class="refusal" role="alert">
            {reasonOf(refused.value)}
          </p>
        )}
        <button type="submit" class="button primary">
          {text('signIn.go')}
        </button>
      </form>
    </details>
  );
}

function SeedDemo() {
  const state = useSignal('');
  const seed = (): void => {
    state.value = 'making';
    makeDemo().then(
      () => (state.value = 'made'),
      (error: { code?: string }) => (state.value = error.code ?? 'INTERNAL'),
    );
  };
  if (state.value === 'made') return <p role="status">{text('signIn.seeded')}</p>;
  const isMaking = state.value === 'making';
  return (
    <>
      {state.value !== '' && !isMaking && <p role="alert">{reasonOf(state.value)}</p>}
      <button type="button" class="button quiet" disabled={isMaking} onClick={seed}>
        {isMaking ? text('signIn.seeding') : text('signIn.seed')}
      </button>
    </>
  );
}

/** Where there is a login and no demo, one needs a token to come in. */
export const needsSignIn = (user: UserId): boolean =>
  waysIn.value !== undefined && !waysIn.value.devTokens && waysIn.value.login && !hasToken(user);
