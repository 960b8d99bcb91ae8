/** Two files of the same tables, row by row, in the order of their keys. */
import type Database from 'better-sqlite3';
import { openSnapshot, positionIn, usable, usableRows } from './usable.ts';

export interface RowPair {
  readonly table: string;
  /** The row's key, as JSON. */
  readonly key: string;
  /** As JSON; undefined where a file has no such row. */
  readonly stands: string | undefined;
  readonly anew: string | undefined;
}

type Row = Readonly<Record<string, unknown>>;

/** Characters of a row that is shown. */
const MAX_SHOWN_CHARS = 400;

/** A file as it was when it was opened, whatever is written meanwhile. */
export class FileSnapshot {
  readonly position: number;
  readonly #path: string;
  readonly #db: Database.Database;

  /** @throws RookeryError STATE_FILE_UNUSABLE, also where there is no such file */
  constructor(path: string) {
    this.#path = path;
    this.#db = openSnapshot(path);
    try {
      this.position = positionIn(path, this.#db);
    } catch (thrown) {
      this.#db.close();
      throw thrown;
    }
  }

  /** Ids that have expired are forgotten some time or other, and an index of text is stored as it was cut: both say nothing. */
  tables(): string[] {
    const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY name";
    const names = usable(this.#path, () => this.#db.prepare(sql).pluck().all()) as string[];
    return names.filter((name) => !/^(about|seen|sqlite_|message_text)/.test(name));
  }

  /** @param shown how a column is told, where its bytes say little */
  *differences(
    anew: FileSnapshot,
    table: string,
    shown: (column: string, value: unknown) => unknown,
  ): Generator<RowPair> {
    const columns = usable(this.#path, () => this.#db.pragma(`main.table_info(${table})`)) as {
      readonly name: string;
      readonly pk: number;
    }[];
    const keys = columns
      .filter(({ pk }) => pk > 0)
      .sort((a, b) => a.pk - b.pk)
      .map(({ name }) => name);
    const sql = `SELECT * FROM main.${table} ORDER BY ${keys.join(', ')}`;
    const [ours, theirs] = [this.#rows(sql), anew.#rows(sql)];
    let [one, other] = [ours.next(), theirs.next()];
    while (!one.done || !other.done) {
      const order = one.done ? 1 : other.done ? -1 : compare(one.value, other.value, keys);
      const mine = order <= 0 && !one.done ? one.value : undefined;
      const yours = order >= 0 && !other.done ? other.value : undefined;
      const [stands, now] = [mine && textOf(mine, shown), yours && textOf(yours, shown)];
      if (stands !== now) {
        const row = (mine ?? yours) as Row;
        const key = JSON.stringify(keys.map((name) => shown(name, row[name])));
        yield { table, key, stands: stands?.slice(0, MAX_SHOWN_CHARS), anew: now?.slice(0, MAX_SHOWN_CHARS) };
      }
      if (order <= 0) one = ours.next();
      if (order >= 0) other = theirs.next();
    }
  }

  close(): void {
    this.#db.close();
  }

  #rows(sql: string): Generator<Row> {
    return usableRows(this.#path, () => this.#db.prepare(sql).iterate() as IterableIterator<Row>);
  }
}

/** As SQLite orders: numbers by value, text and bytes by their bytes. */
function compare(one: Row, other: Row, keys: readonly string[]): number {
  for (const key of keys) {
    const [a, b] = [one[key], other[key]];
    const order =
      typeof a === 'number' && typeof b === 'number'
        ? a - b
        : Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
    if (order !== 0) return order;
  }
  return 0;
}

const textOf = (row: Row, shown: (column: string, value: unknown) => unknown): string =>
  JSON.stringify(
    Object.fromEntries(
      Object.entries(row).map(([column, value]) => {
        const told = shown(column, value);
        return [column, Buffer.isBuffer(told) ? { base64: told.toString('base64') } : told];
      }),
    ),
  );
