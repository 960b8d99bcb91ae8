/**
 * The timeline, of which only what is seen is drawn. Each index has its place from the beginning, also what is not at hand: the
 * bar of the scrolling reaches over all of it.
 */
import { ArrowDown } from 'lucide';
import type { OpenConversation } from '../state/conversation.ts';
import { text } from '../text/text.ts';
import { useApp } from './context.ts';
import { EntrySlot, OutgoingSlot } from './entry-slot.tsx';
import { Icon } from './icon.tsx';
import { type DrawnTimeline, useTimeline } from './use-timeline.ts';

export function TimelineView({ open }: { open: OpenConversation }) {
  const drawn = useTimeline(open);
  const { viewport, scroller } = drawn;
  const isEmpty = viewport.heights.count === 0;
  return (
    <div class="timeline-place">
      <div
        class="timeline"
        ref={scroller}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
        tabIndex={0}
        role="log"
        aria-label={text('conversation.messages')}
        onScroll={(event) => drawn.scrolled(event.currentTarget.scrollTop)}
      >
        {isEmpty && <p class="timeline-empty">{text('conversation.empty')}</p>}
        <div class="timeline-all" style={{ height: `${viewport.total}px` }}>
          <div class="timeline-drawn" style={{ transform: `translateY(${viewport.heights.top(drawn.from)}px)` }}>
            <Rows open={open} drawn={drawn} />
          </div>
        </div>
      </div>
      {!viewport.isAtEnd && <ToEnd open={open} act={drawn.showEnd} />}
    </div>
  );
}

function Rows({ open, drawn: { from, to, last, outgoing, highlighted, measure } }: RowsProps) {
  const rows = [];
  for (let row = from; row < Math.min(to, last); row++) {
    const n = row + 1;
    const isHighlighted = highlighted === n;
    rows.push(<EntrySlot key={keyOf(open, n)} {...{ open, n, row, measure, isHighlighted }} />);
  }
  for (let row = Math.max(from, last); row < to; row++) {
    const message = outgoing[row - last];
    if (message) {
      rows.push(<OutgoingSlot key={`out ${message.clientMsgId}`} {...{ open, row, measure }} outgoing={message} />);
    }
  }
  return <>{rows}</>;
}

interface RowsProps {
  readonly open: OpenConversation;
  readonly drawn: DrawnTimeline;
}

/** What one has sent keeps its element when the timeline has it. */
function keyOf(open: OpenConversation, n: number): string {
  const entry = open.timeline.at(n);
  return entry?.type === 'message' ? `out ${entry.id}` : `n ${n}`;
}

function ToEnd({ open, act }: { open: OpenConversation; act: () => void }) {
  const { unread } = useApp().row(open.id);
  return (
    <button
      type="button"
      class="to-end"
      aria-label={text('conversation.toEnd')}
      title={text('conversation.toEnd')}
      onClick={act}
    >
      <Icon of={ArrowDown} />
      {unread > 0 && <span class="badge">{unread}</span>}
    </button>
  );
}
