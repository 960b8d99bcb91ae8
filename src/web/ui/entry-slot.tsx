import { useLayoutEffect, useRef } from 'preact/hooks';
import type { HistoryEntry } from '../../sdk/index.ts';
import type { Outgoing } from '../model/outgoing.ts';
import type { OpenConversation } from '../state/conversation.ts';
import { dayOf, startOfDay, text } from '../text/text.ts';
import { Bubble } from './bubble.tsx';
import { useApp } from './context.ts';
import { noticeOf, recalledLine } from './entry-line.ts';
import type { DrawnTimeline } from './use-timeline.ts';

/** Messages of one sender within so long stand together. */
const TOGETHER_MS = 5 * 60_000;

interface Slot {
  readonly open: OpenConversation;
  readonly row: number;
  readonly measure: DrawnTimeline['measure'];
}

/** The place of one index: what stands there, or that it is being fetched. */
export function EntrySlot({ open, n, row, measure, isHighlighted }: Slot & { n: number; isHighlighted: boolean }) {
  const place = useMeasure(measure, row);
  // With the same props it would not be drawn again: what stands at an index changes.
  open.version.value;
  const entry = open.timeline.at(n);
  if (entry === null || n < open.timeline.first) return <div ref={place} />;
  if (entry === undefined) {
    return (
      <div ref={place} class="slot slot-waiting" aria-hidden="true">
        <span class="skeleton" />
      </div>
    );
  }
  const before = shownBefore(open, n);
  const isNewDay = !before || startOfDay(before.at) !== startOfDay(entry.at);
  const isUnread = open.unreadFrom === n;
  return (
    <div ref={place} class={`slot${isHighlighted ? ' slot-highlighted' : ''}`} data-n={n}>
      {isNewDay && <p class="day">{dayOf(entry.at)}</p>}
      {isUnread && <p class="unread-line">{text('conversation.new')}</p>}
      <EntryView open={open} entry={entry} isFirst={isNewDay || isUnread || !isTogether(before, entry)} />
    </div>
  );
}

function EntryView({ open, entry, isFirst }: { open: OpenConversation; entry: HistoryEntry; isFirst: boolean }) {
  const app = useApp();
  if (entry.type !== 'message') return <p class="notice">{noticeOf(app, entry)}</p>;
  if (entry.recalled) return <p class="notice">{recalledLine(app, entry)}</p>;
  return <Bubble open={open} message={entry} isFirst={isFirst} />;
}

export function OutgoingSlot({ open, outgoing, row, measure }: Slot & { outgoing: Outgoing }) {
  const place = useMeasure(measure, row);
  open.version.value;
  const before = shownBefore(open, open.timeline.last + 1);
  const isFirst = row > open.timeline.last ? false : !isTogether(before, { by: useApp().me, at: outgoing.at });
  return (
    <div ref={place} class="slot">
      <Bubble open={open} outgoing={outgoing} isFirst={isFirst} />
    </div>
  );
}

function useMeasure(measure: Slot['measure'], row: number) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => (place.current ? measure(place.current, row) : undefined), [row]);
  return place;
}

/** The one above that is shown at all. */
function shownBefore({ timeline }: OpenConversation, n: number): HistoryEntry | undefined {
  for (let before = n - 1; before >= timeline.first; before--) {
    const entry = timeline.at(before);
    if (entry !== null) return entry;
  }
  return undefined;
}

function isTogether(before: HistoryEntry | undefined, entry: { by: string; at: number }): boolean {
  if (before?.type !== 'message' || before.recalled) return false;
  return before.by === entry.by && entry.at - before.at < TOGETHER_MS;
}
