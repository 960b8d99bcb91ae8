/** Full-text search in what one user may see, from the newest message back, as far as one page may look. */
import type Database from 'better-sqlite3';
import type { ConversationId, UserId } from '../../domain/ids.ts';
import {
  CLOCK_SLACK_MS,
  MAX_PAGE_BYTES,
  MAX_SEARCHED_CHARS,
  MAX_SEARCHED_ENTRIES,
  type ReadQueries,
  type Search,
  type SearchPart,
} from '../../ports/read-queries.ts';
import type { SearchHit } from '../../protocol/frames.ts';
import { END_OF_STAY, type EntryRow, historyEntryOf, NO_END, SHOWN_ENTRIES, weightOf } from './read-model-rows.ts';
import { MAX_INDEXED_CHARS, roomToken, SearchTerms, senderToken, textOf } from './search-text.ts';

/**
 * Of a user with more conversations than this the index is read for the words alone, and what is not theirs is left out one by
 * one; of fewer, their conversations are part of the search, so that a large log with little of theirs costs little.
 */
const MAX_ROOM_TERMS = 64;
/**
 * So many words that begin alike are looked for each by itself: their lists are read from the end as far as the page needs. Of more, and
 * of all, the index makes one list first, some 130 ns a message.
 */
const MAX_BEGUN_WORDS = 64;
/** Getting a message costs as much as reading so many characters: a short one counts for no fewer. */
const MIN_CHARS_READ = 64;
/** Behind all that goes on from a word, and before: between the word and its first letter or digit more. */
const [LAST, BEFORE_MORE] = ['\u{10ffff}', '!'];

interface Stay {
  readonly conversation: number;
  readonly from: number;
  readonly to: number;
  /** The position up to which edits were told. */
  readonly until: number;
}

interface Candidate {
  readonly pos: number;
  readonly conversation: number;
  readonly n: number;
  readonly at: number;
  readonly sender: string;
  /** Position of its newest edit, whose words these are. */
  readonly edit: number | null;
}

/** What has come of looking at a candidate, and how many characters of it were read. */
interface Look {
  readonly isWanted: boolean;
  readonly charsRead: number;
}
const WANTED: Look = { isWanted: true, charsRead: 0 };
const UNWANTED: Look = { isWanted: false, charsRead: 0 };

export class ReadModelSearch {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database.Database) {
    db.exec(WORDS_TABLE);
    this.#sql = prepare(db);
    this.search = db.transaction((...question: Parameters<ReadQueries['search']>) => this.#search(...question));
  }

  /** A page is one transaction: each statement for itself would take and give back the file's lock. */
  readonly search: ReadQueries['search'];

  #search(user: UserId, search: Search, before: number, limit: number): SearchPart {
    const terms = new SearchTerms(search.words);
    const stays = this.#staysOf(user, search.conversation);
    if (terms.isEmpty || stays.size === 0) return { hits: [], searchedTo: 0 };
    const match = matchOf(
      terms.expression((beginning) => this.#begunWith(beginning)),
      search,
      stays,
    );
    const start = search.until === undefined ? before : Math.min(before, this.#behind(search.until + CLOCK_SLACK_MS));
    const oldest = (search.since ?? 0) - CLOCK_SLACK_MS;
    const look = (row: Candidate): Look => {
      if (!isWanted(row, search, stays)) return UNWANTED;
      return terms.mustBeChecked ? this.#looked(row.pos, terms) : WANTED;
    };
    const { found, searchedTo } = this.#candidates(match, start, limit, oldest, look);
    return this.#hits(found, terms, searchedTo);
  }

  /** What the index gives, from the newest on, as far as it is wanted. */
  #candidates(match: string, before: number, limit: number, oldest: number, look: (row: Candidate) => Look) {
    const found: Candidate[] = [];
    let [looked, chars] = [0, 0];
    for (const row of this.#sql.matches.iterate(match, before) as IterableIterator<Candidate>) {
      if (row.at < oldest) break;
      const { isWanted, charsRead } = look(row);
      if (isWanted) found.push(row);
      looked += 1;
      chars += charsRead;
      const isEnough = found.length === limit || looked === MAX_SEARCHED_ENTRIES || chars >= MAX_SEARCHED_CHARS;
      if (isEnough) return { found, searchedTo: row.pos };
    }
    return { found, searchedTo: 0 };
  }

  #looked(pos: number, terms: SearchTerms): Look {
    const text = this.#textAt(pos);
    const charsRead = Math.max(MIN_CHARS_READ, Math.min(text.length, MAX_INDEXED_CHARS));
    return { isWanted: terms.areIn(text), charsRead };
  }

  /** Each is found by looking behind the one before. */
  #begunWith(beginning: string): string[] | undefined {
    const words: string[] = [];
    for (let from = beginning; ; from = words.at(-1) + BEFORE_MORE) {
      const word = this.#sql.nextWord.get(from, beginning + LAST) as string | undefined;
      if (word === undefined) return words;
      if (words.push(word) > MAX_BEGUN_WORDS) return undefined;
    }
  }

  #textAt(pos: number): string {
    const entry = historyEntryOf(this.#sql.entryAt.get(pos) as EntryRow);
    return (entry.type === 'message' && textOf(entry)) || '';
  }

  /** A position behind all that is not newer than `at`. By halves: what is stored later stands further behind. */
  #behind(at: number): number {
    let low = 1;
    let high = (this.#sql.lastPos.get() as number) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = this.#sql.firstFrom.get(middle) as { readonly pos: number; readonly at: number } | undefined;
      if (entry && entry.at <= at) low = entry.pos + 1;
      else high = middle;
    }
    return low;
  }

  #hits(found: readonly Candidate[], terms: SearchTerms, searchedTo: number): SearchPart {
    const hits: SearchHit[] = [];
    let bytes = 0;
    for (const { pos, conversation: key } of found) {
      const row = this.#sql.entryAt.get(pos) as EntryRow;
      bytes += weightOf(row);
      if (bytes > MAX_PAGE_BYTES && hits.length > 0) return { hits, searchedTo: hits.at(-1)?.entry.pos ?? searchedTo };
      const entry = historyEntryOf(row);
      const text = entry.type === 'message' ? textOf(entry) : undefined;
      const conversation = this.#sql.idOf.get(key) as ConversationId;
      hits.push({ conversation, entry, matches: text === undefined ? [] : terms.matchesIn(text) });
    }
    return { hits, searchedTo };
  }

  #staysOf(user: UserId, conversation: ConversationId | undefined): Map<number, Stay[]> {
    const rows = (
      conversation === undefined ? this.#sql.stays.all({ user }) : this.#sql.staysIn.all({ user, conversation })
    ) as Stay[];
    const stays = new Map<number, Stay[]>();
    for (const row of rows) {
      const others = stays.get(row.conversation);
      if (others) others.push(row);
      else stays.set(row.conversation, [row]);
    }
    return stays;
  }
}

/** Who is looked for, and where, is part of what the index is asked: then it lists none that are not wanted. */
function matchOf(expression: string, { by }: Search, stays: ReadonlyMap<number, unknown>): string {
  const rooms = stays.size <= MAX_ROOM_TERMS ? [...stays.keys()] : [];
  const parts = [
    ...(rooms.length > 0 ? [`(${rooms.map((key) => `"${roomToken(key)}"`).join(' OR ')})`] : []),
    ...(by === undefined ? [] : [`"${senderToken(by)}"`]),
  ];
  return [...parts, expression].join(' AND ');
}

/** Found are the words a message has now: who has left before they were written is not told them, and does not find it. */
function isWanted(row: Candidate, { by, since, until }: Search, stays: ReadonlyMap<number, readonly Stay[]>): boolean {
  if (by !== undefined && row.sender !== by) return false;
  if (since !== undefined && row.at < since) return false;
  if (until !== undefined && row.at > until) return false;
  const told = row.edit ?? 0;
  return (
    stays.get(row.conversation)?.some(({ from, to, until }) => from <= row.n && row.n <= to && told <= until) ?? false
  );
}

/** What is in the index, word by word. */
const WORDS_TABLE = `CREATE VIRTUAL TABLE IF NOT EXISTS temp.message_word USING fts5vocab('main', 'message_text', 'instance')`;

const STAYS = `
  SELECT conversation, sees_from AS "from", ${NO_END} AS "to", ${NO_END} AS until FROM stay WHERE user = :user
  UNION ALL SELECT conversation, sees_from, sees_to, ${END_OF_STAY} FROM past_stay WHERE user = :user`;

const prepare = (db: Database.Database) => ({
  stays: db.prepare(STAYS),
  staysIn: db.prepare(
    `SELECT * FROM (${STAYS}) WHERE conversation = (SELECT key FROM summary WHERE id = :conversation)`,
  ),
  // The index first: its list of positions is in order, so nothing is sorted and the page ends when it is full.
  matches: db.prepare(
    `SELECT entry.pos, entry.conversation, entry.n, entry.at, entry.sender, entry.edit
     FROM message_text CROSS JOIN entry ON entry.pos = message_text.rowid
     WHERE message_text MATCH ? AND message_text.rowid < ? ORDER BY message_text.rowid DESC`,
  ),
  nextWord: db.prepare('SELECT term FROM temp.message_word WHERE term >= ? AND term < ? LIMIT 1').pluck(),
  lastPos: db.prepare('SELECT coalesce(max(pos), 0) FROM entry').pluck(),
  firstFrom: db.prepare('SELECT pos, at FROM entry WHERE pos >= ? ORDER BY pos LIMIT 1'),
  entryAt: db.prepare(`${SHOWN_ENTRIES} WHERE entry.pos = ?`),
  idOf: db.prepare('SELECT id FROM summary WHERE key = ?').pluck(),
});
