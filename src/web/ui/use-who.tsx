/** Before somebody is written to or added: of whom nothing is known one is asked about first. */
import { useSignal } from '@preact/signals';
import type { UserId } from '../../sdk/index.ts';
import type { Who } from '../model/who.ts';
import { whoIn } from '../state/who.ts';
import { listOf, text } from '../text/text.ts';
import { useApp } from './context.ts';

interface Doubt extends Who {
  act(users: readonly UserId[]): void;
}

/**
 * @returns `look`, which calls `act` with those who are meant, at once or when the person stands by them; and the question,
 * to be shown
 */
export function useWho() {
  const app = useApp();
  const doubt = useSignal<Doubt | undefined>(undefined);
  const look = async (names: readonly string[], act: Doubt['act']): Promise<void> => {
    doubt.value = undefined;
    const who = await whoIn(app, names);
    if (who.strangers.length === 0 && who.nobody.length === 0) return act(who.users);
    doubt.value = { ...who, act };
  };
  const forget = (): void => {
    doubt.value = undefined;
  };
  const question = doubt.value && <Question doubt={doubt.value} forget={forget} />;
  return { look, forget, question };
}

function Question({ doubt, forget }: { doubt: Doubt; forget: () => void }) {
  const { users, strangers, nobody, act } = doubt;
  return (
    <div class="doubt" role="alert">
      {nobody.length > 0 && <p class="refusal">{text('who.nobody', { names: listOf(nobody) })}</p>}
      {strangers.length > 0 && <p>{text('who.strangers', { names: listOf(strangers) })}</p>}
      {nobody.length === 0 && (
        <button
          type="button"
          class="button"
          onClick={() => {
            forget();
            act(users);
          }}
        >
          {text('who.anyway')}
        </button>
      )}
    </div>
  );
}
