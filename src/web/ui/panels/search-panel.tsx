import { useEffect, useMemo } from 'preact/hooks';
import type { SearchHit } from '../../../sdk/index.ts';
import { go } from '../../state/route.ts';
import { Search } from '../../state/search.ts';
import { reasonOf, text, whenOf } from '../../text/text.ts';
import { Avatar } from '../avatar.tsx';
import { useApp } from '../context.ts';

const TYPED_FOR_MS = 250;
/** Of a long message what stands around the first match. */
const BEFORE_MATCH = 40;
const AFTER_MATCH = 120;

export function SearchPanel() {
  const app = useApp();
  const search = useMemo(() => new Search(app.tabs), [app]);
  const isHere = app.searchesHere;
  const open = app.open.value?.id;
  const here = isHere.value ? open : undefined;
  useEffect(() => {
    const timer = setTimeout(() => void search.find(here), TYPED_FOR_MS);
    return () => clearTimeout(timer);
  }, [search.words.value, here]);
  const found = search.found.value;
  return (
    <>
      <input
        type="search"
        class="search-field"
        aria-label={text('search.placeholder')}
        placeholder={text('search.placeholder')}
        maxLength={256}
        value={search.words.value}
        data-first
        onInput={(event) => (search.words.value = event.currentTarget.value)}
      />
      {open !== undefined && (
        <label class="check">
          <input type="checkbox" checked={isHere.value} onChange={() => (isHere.value = !isHere.value)} />
          {text('search.here')}
        </label>
      )}
      {search.refusal.value !== undefined && <p class="refusal">{reasonOf(search.refusal.value)}</p>}
      {!found && <p class="hint">{text('search.hint')}</p>}
      <div role="status">{found?.hits.length === 0 && text('search.none')}</div>
      <ul class="hits">
        {found?.hits.map((hit) => (
          <Hit key={`${hit.conversation} ${hit.entry.n}`} hit={hit} />
        ))}
      </ul>
      {found?.cursor !== undefined && (
        <button type="button" class="button" onClick={() => void search.more(here)}>
          {text('search.more')}
        </button>
      )}
    </>
  );
}

function Hit({ hit: { conversation, entry, matches } }: { hit: SearchHit }) {
  const app = useApp();
  if (entry.type !== 'message') return null;
  const open = (): void => {
    go({ user: app.me, conversation });
    app.show(conversation, entry.n);
  };
  return (
    <li>
      <button type="button" class="hit" onClick={open}>
        <Avatar id={entry.by} name={app.names.of(entry.by)} size={32} />
        <span class="hit-body">
          <span class="row-top">
            <span class="row-name">{app.names.of(entry.by)}</span>
            <span class="row-time">{whenOf(entry.at)}</span>
          </span>
          <span class="hint">{app.titleOf(app.row(conversation))}</span>
          <Excerpt text={new TextDecoder().decode(entry.body)} matches={matches} />
        </span>
      </button>
    </li>
  );
}

function Excerpt({ text: whole, matches }: { text: string; matches: SearchHit['matches'] }) {
  const start = Math.max(0, (matches[0]?.[0] ?? 0) - BEFORE_MATCH);
  const end = Math.min(whole.length, start + BEFORE_MATCH + AFTER_MATCH);
  const parts = [];
  let at = start;
  for (const [from, to] of matches) {
    if (from < at || to > end) continue;
    parts.push(whole.slice(at, from), <mark key={from}>{whole.slice(from, to)}</mark>);
    at = to;
  }
  parts.push(whole.slice(at, end));
  return (
    <span class="hit-text">
      {start > 0 && '…'}
      {parts}
      {end < whole.length && '…'}
    </span>
  );
}
