import { useSignal } from '@preact/signals';
import { ArrowDownLeft, ArrowUpRight } from 'lucide';
import { useEffect } from 'preact/hooks';
import type { HistoryPage } from '../../../sdk/index.ts';
import { shownAsJson } from '../../model/json.ts';
import type { SeenFrame } from '../../state/inspector.ts';
import { text } from '../../text/text.ts';
import { useApp } from '../context.ts';
import { Icon } from '../icon.tsx';
import { statusWords } from '../status-bar.tsx';

const MAX_ROWS = 20;

/** The engine at work, for those who build with it. */
export function InspectPanel() {
  const app = useApp();
  const { inspector } = app;
  useEffect(() => {
    inspector.watch(true);
    return () => inspector.watch(false);
  }, [inspector]);
  const cursor = inspector.cursor.value;
  const lag = inspector.lagMs.value;
  return (
    <div class="inspect">
      <EventBehind />
      <dl class="fields">
        <div>
          <dt>{text('inspect.cursor')}</dt>
          <dd>{cursor ? `${cursor.epoch} · ${cursor.seq}` : text('inspect.none')}</dd>
        </div>
        <div>
          <dt>{text('inspect.lag')}</dt>
          <dd>{lag === undefined ? text('inspect.none') : `${lag} ms`}</dd>
        </div>
        <div>
          <dt>{text('inspect.outbox')}</dt>
          <dd>{[...app.sending.all.value.values()].filter(({ state }) => state === 'pending').length}</dd>
        </div>
        <div>
          <dt>{statusWords(app)}</dt>
          <dd>{text(app.tabs.isLeader ? 'inspect.leader' : 'inspect.follower')}</dd>
        </div>
      </dl>
      <h3>{text('inspect.indexes')}</h3>
      <table>
        <tbody>
          {app.list.value.slice(0, MAX_ROWS).map(({ conversation, lastIndex, readUpTo, pos }) => (
            <tr key={conversation}>
              <th scope="row">{conversation}</th>
              <td>{lastIndex}</td>
              <td>{readUpTo}</td>
              <td>{pos}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3>{text('inspect.frames')}</h3>
      {inspector.frames.value.length === 0 && <p class="hint">{text('inspect.none')}</p>}
      <ol class="frames">
        {[...inspector.frames.value].reverse().map((seen) => (
          <Frame key={seen.number} seen={seen} />
        ))}
      </ol>
    </div>
  );
}

function Frame({ seen: { direction, at, frame } }: { seen: SeenFrame }) {
  const isOpen = useSignal(false);
  const time = new Date(at).toISOString().slice(11, 23);
  return (
    <li class={`frame frame-${direction}`}>
      <button type="button" aria-expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}>
        <Icon of={direction === 'in' ? ArrowDownLeft : ArrowUpRight} size={14} />
        <span class="sr-only">{direction}</span>
        <b>{frame.t}</b>
        <span class="frame-time">{time}</span>
      </button>
      {isOpen.value && <pre>{shownAsJson(frame)}</pre>}
    </li>
  );
}

function EventBehind() {
  const app = useApp();
  const asked = app.inspector.event.value;
  const found = useSignal<string | undefined>(undefined);
  useEffect(() => {
    found.value = undefined;
    if (!asked) return;
    const query = { type: 'history' as const, conversation: asked.conversation, around: asked.n, limit: 1 };
    app.tabs.ask<HistoryPage>({ type: 'query', query }).then(
      ({ entries }) => (found.value = shownAsJson(entries.find(({ n }) => n === asked.n) ?? null)),
      (error: unknown) => (found.value = String(error)),
    );
  }, [asked]);
  if (!asked) return null;
  return (
    <section>
      <h3>{text('inspect.event', { n: asked.n })}</h3>
      <pre>{found.value ?? '…'}</pre>
    </section>
  );
}
