/**
 * An INBOX stream against the log it comes from, record by record, for one lane.
 *
 * Each record names the window it came from. That window is taken from the log and folded again, and gives the very records that must
 * be there (projections/fan-out-plan.ts): who is entitled, each once, with its index, to the byte. Both are read once, in order, so
 * memory is that of a window. What is void counts for nothing; what the stream had to drop is not missed.
 */
import { isUnreadable, type LogEvent, type LogRecord } from '../../ports/conversation-log.ts';
import type { FanOutState } from '../../ports/fan-out-state.ts';
import type { InboxMessage } from '../../ports/inbox-reader.ts';
import type { PlannedRecord } from '../../ports/inbox-writer.ts';
import { foldReadable } from '../../projections/fan-out.ts';
import { planFor } from '../../projections/fan-out-plan.ts';
import { LaneTerms } from '../../projections/lane-terms.ts';
import { windowKey } from '../../projections/repair-lane.ts';
import { bodyOf, decodeOrigin, type Origin, RecordKind } from '../../protocol/inbox-record.ts';
import type { AuditParts, ComparedWindow, Held } from './audit-parts.ts';
import { WindowCheck } from './window-check.ts';

/** Events that no window of the stream holds are folded by so many. */
const PORTION_EVENTS = 1_000;

interface Window extends Pick<Origin, 'from' | 'to'> {
  readonly records: Map<number, Held[]>;
  isWhole: boolean;
}

export interface AuditCounts {
  readonly windows: number;
  readonly records: number;
  readonly void: number;
  readonly beyondRetention: number;
}

export class InboxAudit {
  readonly #parts: AuditParts;
  readonly #terms = new LaneTerms();
  readonly check: WindowCheck;
  #window: Window | undefined;
  /** End of the last window that was checked. */
  #checked = 0;
  #windows = 0;
  #records = 0;
  #void = 0;
  #beyondRetention = 0;

  constructor(parts: AuditParts) {
    this.#parts = parts;
    this.check = new WindowCheck(parts);
  }

  get checked(): number {
    return this.#checked;
  }

  get counts(): AuditCounts {
    return { windows: this.#windows, records: this.#records, void: this.#void, beyondRetention: this.#beyondRetention };
  }

  /** All messages of the stream, in order; those of other lanes are passed over. @throws RookeryError LOG_UNAVAILABLE */
  async add(message: InboxMessage): Promise<void> {
    const { lane, inboxStream, onFinding } = this.#parts;
    let origin: Origin;
    try {
      origin = decodeOrigin(message.data);
    } catch {
      // Told once, though every lane meets it.
      if (lane === 0) onFinding({ flaw: 'unreadable', lane, inboxStream, seq: message.seq, ...whose(message) });
      return;
    }
    if (origin.lane !== lane) return;
    if (message.kind === 'term') return this.#terms.observeMarker(origin, message.seq);
    const verdict = this.#terms.judge(origin, message.seq);
    if (verdict === 'void') this.#void += 1;
    if (verdict === 'beyond retention') this.#beyondRetention += 1;
    if (verdict !== 'valid') return;
    const { from, to } = origin;
    if (this.#window && (this.#window.from !== from || this.#window.to !== to)) await this.#close(this.#window);
    // A new term repeats its predecessor's checkpoint.
    if (message.kind === 'cp' && !this.#window && to <= this.#checked) return;
    this.#window ??= { from, to, records: new Map(), isWhole: false };
    if (message.kind === 'cp') this.#window.isWhole = true;
    else this.#keep(this.#window, origin, message);
  }

  /** After the last message: a window that its writer has finished is checked; one in the making is not. */
  async finish(): Promise<void> {
    const window = this.#window;
    if (window && (window.isWhole || window.to <= this.#checked)) await this.#close(window);
  }

  #keep({ records }: Window, { offset, kind }: Origin, { seq, key, data }: InboxMessage): void {
    this.#records += 1;
    const held: Held = { seq, key, kind: NAMES[kind] ?? 'unknown', body: bodyOf(data) };
    const others = records.get(offset);
    if (others) others.push(held);
    else records.set(offset, [held]);
  }

  async #close({ from, to, records }: Window): Promise<void> {
    const { lane, inboxStream, topology, state, log, mayHaveDropped } = this.#parts;
    this.#window = undefined;
    if (to <= this.#checked) return this.check.repeated(records);
    const isFirst = this.#windows === 0;
    await this.#pass(from - 1);
    const events = await log.take(to);
    const { runs, changes } = foldReadable(state, events.filter(isEvent));
    const plan: readonly PlannedRecord[] = planFor(runs, lane, inboxStream, topology);
    const cutOff = isFirst && mayHaveDropped(events[0]?.at ?? 0) ? Math.min(...records.keys()) : 0;
    this.#compare({ from, to }, plan, records, cutOff);
    this.#commit(changes, to);
    this.#windows += 1;
    this.#checked = to;
  }

  /** What no window of the stream tells of: the stream has dropped it, or it was never there. */
  async #pass(to: number): Promise<void> {
    const { lane, inboxStream, topology, state, log, mayHaveDropped } = this.#parts;
    for (;;) {
      const events = await log.take(to, PORTION_EVENTS);
      const last = events.at(-1);
      if (!last) return;
      const { runs, changes } = foldReadable(state, events.filter(isEvent));
      if (this.#windows > 0 || !mayHaveDropped(last.at ?? 0)) {
        const plan = planFor(runs, lane, inboxStream, topology);
        this.#compare({ from: events[0]?.pos ?? 0, to: last.pos }, plan, new Map(), 0);
      }
      this.#commit(changes, last.pos);
    }
  }

  #compare(
    window: Pick<Origin, 'from' | 'to'>,
    plan: readonly PlannedRecord[],
    records: ComparedWindow['records'],
    cutOff: number,
  ): void {
    const { lane, onWindow } = this.#parts;
    if (onWindow) onWindow({ lane, plan, records: this.#asRepaired(window, records), cutOff });
    else this.check.compare(window, plan, records, cutOff);
  }

  #asRepaired(
    { from, to }: Pick<Origin, 'from' | 'to'>,
    records: ComparedWindow['records'],
  ): ComparedWindow['records'] {
    const { lane, repaired } = this.#parts;
    const repairs = repaired.get(windowKey(lane, from, to));
    return repairs
      ? new Map([...records, ...[...repairs].map(([offset, held]) => [offset, held.slice(-1)] as const)])
      : records;
  }

  #commit(changes: Parameters<FanOutState['apply']>[0], to: number): void {
    this.#parts.state.apply(changes, to);
  }
}

const isEvent = (record: LogRecord): record is LogEvent => !isUnreadable(record);

const NAMES: Readonly<Record<number, Held['kind']>> = {
  [RecordKind.copy]: 'copy',
  [RecordKind.pack]: 'pack',
  [RecordKind.pointer]: 'pointer',
};

const whose = ({ kind, key }: InboxMessage): { user?: string } => (kind === 'inbox' ? { user: key } : {});
