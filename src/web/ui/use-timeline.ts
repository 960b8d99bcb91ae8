/** Between the timeline and the screen: viewport.ts decides what is drawn and where it stands; here it is measured and scrolled. */
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { Outgoing } from '../model/outgoing.ts';
import { Viewport } from '../model/viewport.ts';
import type { OpenConversation } from '../state/conversation.ts';
import { useApp } from './context.ts';

/** Of a row that was never drawn: px. */
const ESTIMATE_PX = 56;
const HIGHLIGHT_MS = 2_000;

export interface DrawnTimeline {
  readonly scroller: { readonly current: HTMLDivElement | null };
  readonly viewport: Viewport;
  /** Rows to draw, `to` not included: those below `last` are indexes, the others what is on its way. */
  readonly from: number;
  readonly to: number;
  readonly last: number;
  readonly outgoing: readonly Outgoing[];
  /** An index that somebody has jumped to. */
  readonly highlighted: number | undefined;
  /** @returns how to let go of the element */
  readonly measure: (element: HTMLElement, row: number) => () => void;
  scrolled(scrollTop: number): void;
  showEnd(): void;
}

export function useTimeline(open: OpenConversation): DrawnTimeline {
  const app = useApp();
  const scroller = useRef<HTMLDivElement>(null);
  const viewport = useMemo(() => startingAt(open), [open]);
  /** Grows when something has to be drawn or placed anew. */
  const layout = useSignal(0);
  // Without reading it: an effect that draws anew is not run again by what is drawn anew later.
  const again = (): void => {
    layout.value = layout.peek() + 1;
  };
  const highlighted = useSignal<number | undefined>(undefined);
  const outgoing = useComputed(() => app.sending.of(open.id)).value;

  open.version.value;
  layout.value;
  const { last } = open.timeline;
  viewport.heights.resize(last + outgoing.length);
  const { from, to } = viewport.drawn;

  const measure = useMeasured(scroller, viewport, again);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || viewport.height === 0) return;
    const { scrollTop } = viewport;
    if (Math.abs(element.scrollTop - scrollTop) >= 1) element.scrollTop = scrollTop;
  });
  useEffect(() => {
    open.look(from + 1, Math.min(to, last));
  }, [from, to, last]);
  useSignalEffect(() => {
    const target = open.target.value;
    if (!target) return undefined;
    viewport.show(target.n - 1);
    highlighted.value = target.n;
    again();
    const timer = setTimeout(() => (highlighted.value = undefined), HIGHLIGHT_MS);
    return () => clearTimeout(timer);
  });
  const showEnd = (): void => {
    viewport.showEnd();
    again();
  };
  useSignalEffect(() => {
    if (open.atEnd.value > 0) showEnd();
  });
  useReadMarks(open, viewport, last);
  const scrolled = (scrollTop: number): void => {
    // Where it was scrolled to by us.
    if (Math.abs(scrollTop - viewport.scrollTop) < 1) return;
    viewport.scrolled(scrollTop);
    again();
  };
  return { scroller, viewport, from, to, last, outgoing, highlighted: highlighted.value, measure, scrolled, showEnd };
}

/** Where somebody left off, or at the end. */
function startingAt(open: OpenConversation): Viewport {
  const viewport = new Viewport(ESTIMATE_PX);
  viewport.heights.resize(open.timeline.last);
  if (open.unreadFrom !== undefined) viewport.show(open.unreadFrom - 1);
  return viewport;
}

/** Gives each row's element to an observer: heights are known before anything is painted. */
function useMeasured(scroller: { current: HTMLDivElement | null }, viewport: Viewport, again: () => void) {
  const observer = useMemo(() => {
    const rows = new WeakMap<Element, number>();
    const resizes = new ResizeObserver((entries) => {
      let isOther = false;
      for (const { target } of entries) {
        if (target === scroller.current) {
          viewport.resized(target.clientHeight);
          isOther = true;
          continue;
        }
        const row = rows.get(target);
        const height = (target as HTMLElement).offsetHeight;
        if (row !== undefined && target.isConnected) isOther = viewport.heights.set(row, height) || isOther;
      }
      if (isOther) again();
    });
    const measure = (element: HTMLElement, row: number): (() => void) => {
      rows.set(element, row);
      // Drawn already, for another row (what was on its way has arrived): no change would be told.
      if (element.offsetHeight > 0) viewport.heights.set(row, element.offsetHeight);
      resizes.observe(element);
      return () => resizes.unobserve(element);
    };
    return { resizes, measure };
  }, [viewport]);
  useLayoutEffect(() => {
    const element = scroller.current as HTMLDivElement;
    viewport.resized(element.clientHeight);
    observer.resizes.observe(element);
    again();
    return () => observer.resizes.disconnect();
  }, [observer]);
  return observer.measure;
}

/** What is on the screen while somebody looks is read. */
function useReadMarks(open: OpenConversation, viewport: Viewport, last: number): void {
  const app = useApp();
  const mark = (): void => {
    if (document.visibilityState !== 'visible' || !document.hasFocus() || viewport.height === 0) return;
    const n = Math.min(viewport.seen.to, last);
    if (n > 0 && open.timeline.at(n)) app.markRead(open.id, n);
  };
  useEffect(mark);
  useEffect(() => {
    addEventListener('focus', mark);
    document.addEventListener('visibilitychange', mark);
    return () => {
      removeEventListener('focus', mark);
      document.removeEventListener('visibilitychange', mark);
    };
  });
}
