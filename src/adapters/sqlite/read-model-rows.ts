/** Rows of the read model as what a query answers with. */
import type { MessageContent } from '../../domain/conversation.ts';
import type { ClientMsgId, UserId } from '../../domain/ids.ts';
import type { HistoryEntry } from '../../protocol/frames.ts';
import { packr } from '../../protocol/messagepack.ts';

/** One row of `shownEntries`. */
export interface EntryRow {
  readonly pos: number;
  readonly n: number;
  readonly at: number;
  readonly sender: string;
  readonly id: string;
  readonly content_type: string | null;
  readonly body: Uint8Array | null;
  readonly details: Uint8Array | null;
  readonly edit_pos: number | null;
  readonly edit_at: number | null;
  readonly recall_pos: number | null;
  readonly recall_at: number | null;
  readonly recall_by: string | null;
}

/** Of an entry with what is shown in its place. */
export const SHOWN_COLUMNS = `
  entry.pos, entry.n, entry.at, entry.sender, entry.id,
  coalesce(edit.content_type, entry.content_type) AS content_type,
  coalesce(edit.body, entry.body) AS body,
  CASE WHEN edit.pos IS NULL THEN entry.details ELSE edit.details END AS details,
  edit.pos AS edit_pos, edit.at AS edit_at,
  recall.pos AS recall_pos, recall.at AS recall_at, recall.by AS recall_by`;

export const SHOWN_JOINS = `
  LEFT JOIN edit ON edit.pos = entry.edit
  LEFT JOIN recall ON recall.conversation = entry.conversation AND recall.n = entry.n`;

/** To be followed by a WHERE clause on `entry`. */
export const SHOWN_ENTRIES = `SELECT ${SHOWN_COLUMNS} FROM entry ${SHOWN_JOINS}`;

/**
 * The same as it stood at position `:until`: who has left is not told what was written into old messages afterwards. A recall
 * holds for them too: what is taken back is kept for nobody. Where the newest edit is not beyond it, no other is looked for.
 * To be followed by a WHERE clause on `place`.
 */
export const ENTRIES_AS_OF = `SELECT ${SHOWN_COLUMNS} FROM place CROSS JOIN entry ON entry.pos = place.pos
  LEFT JOIN edit ON edit.pos = CASE WHEN entry.edit > :until
    THEN (SELECT max(older.pos) FROM edit AS older WHERE older.target = entry.pos AND older.pos <= :until)
    ELSE entry.edit END
  LEFT JOIN recall ON recall.conversation = entry.conversation AND recall.n = entry.n`;

/** Of a stay that is over the position of its end, up to which edits were told; to be used on `past_stay`. */
export const END_OF_STAY =
  '(SELECT pos FROM place WHERE place.conversation = past_stay.conversation AND place.n = past_stay.sees_to)';

/** Of a stay that is not over. */
export const NO_END = Number.MAX_SAFE_INTEGER;

export function historyEntryOf(row: EntryRow): HistoryEntry {
  const { pos, n, at, content_type: contentType, body, edit_pos, edit_at, recall_pos, recall_at, recall_by } = row;
  const base = { n, pos, at, by: row.sender as UserId, id: row.id as ClientMsgId };
  const details = detailsOf(row);
  if (contentType === null) return { ...details, ...base } as HistoryEntry;
  return {
    type: 'message',
    ...base,
    contentType,
    body: body ?? new Uint8Array(),
    ...details,
    ...(edit_pos !== null && { edited: { pos: edit_pos, at: edit_at as number } }),
    ...(recall_pos !== null && {
      recalled: { pos: recall_pos, at: recall_at as number, by: recall_by as UserId },
    }),
  };
}

export const detailsOf = ({ details }: Pick<EntryRow, 'details'>): Partial<MessageContent> | undefined =>
  details ? (packr.unpack(details) as Partial<MessageContent>) : undefined;

/** What an entry weighs in an answer, roughly and never too little. */
export const weightOf = ({ body, details }: Pick<EntryRow, 'body' | 'details'>): number =>
  ENTRY_OVERHEAD_BYTES + (body?.length ?? 0) + (details?.length ?? 0);

/** Names of fields, numbers and ids, in MessagePack. */
const ENTRY_OVERHEAD_BYTES = 640;
