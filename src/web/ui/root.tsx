import { signal, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { App } from '../state/app.ts';
import { route } from '../state/route.ts';
import { askWaysIn, waysIn } from '../state/sign-in.ts';
import { AppContext } from './context.ts';
import { MainView } from './main-view.tsx';
import { needsSignIn, SignIn } from './sign-in.tsx';

/** Why nothing can be kept here (a private window of some browsers, a full disk). */
const failure = signal<string | undefined>(undefined);

export function Root() {
  const { user } = route.value;
  const app = useSignal<App | undefined>(undefined);
  const isOutside = user === undefined || needsSignIn(user);
  useEffect(() => void askWaysIn(), []);
  useEffect(() => {
    if (user === undefined || isOutside) return undefined;
    let isOver = false;
    const starting = App.start(user);
    starting.then(
      (started) => {
        if (!isOver) app.value = started;
      },
      (error: unknown) => {
        failure.value = String(error);
      },
    );
    return () => {
      isOver = true;
      app.value = undefined;
      starting.then((started) => started.close()).catch(() => undefined);
    };
  }, [user, isOutside]);
  useSignalEffect(() => {
    const { conversation } = route.value;
    app.value?.show(conversation);
  });
  if (user === undefined) return <SignIn />;
  if (isOutside) return <SignIn user={user} />;
  if (failure.value !== undefined) return <p class="fatal">{failure.value}</p>;
  if (!app.value) return null;
  if (app.value.isSignedOut.value && waysIn.value?.devTokens !== true) return <SignIn user={user} />;
  return (
    <AppContext.Provider value={app.value}>
      <MainView />
    </AppContext.Provider>
  );
}
