/** What a read model's file holds, table by table: as a digest, and row by row beside another file. */
import { createHash } from 'node:crypto';
import type Database from 'better-sqlite3';
import { openSnapshot, positionIn, usable, usableRows } from './usable.ts';

export interface TableDigest {
  readonly table: string;
  readonly rows: number;
  /** SHA-256 of all rows in the order of their keys. */
  readonly digest: string;
}

/** The first row in which two files differ; undefined where one has no more. */
export interface RowDifference {
  readonly table: string;
  readonly one: string | undefined;
  readonly other: string | undefined;
}

type Row = readonly (string | number | Buffer | null)[];

/** Characters of a row that is shown. */
const MAX_SHOWN_CHARS = 300;

/** An index as it is stored depends on how the log was cut into windows; what it holds does not. */
const TEXT_TERMS = 'terms of message_text';
/** Of each word how many messages it stands in, and two sums over their positions, which tell which these are. */
const SELECT_TERMS = `
  SELECT term, count(*), sum(doc), sum(doc % 1000003 * (doc % 1000033)) FROM temp.text_terms GROUP BY term ORDER BY term`;

/** One file as it was when it was opened, whatever is written meanwhile: what is written stays in its journal so long. */
export class ReadModelSnapshot {
  readonly position: number;
  readonly schema: string;
  /** Name and time of the stream that it follows. */
  readonly log: string;
  readonly #path: string;
  readonly #db: Database.Database;

  /** @throws RookeryError STATE_FILE_UNUSABLE, also where there is no such file */
  constructor(path: string) {
    this.#path = path;
    this.#db = openSnapshot(path);
    try {
      this.position = positionIn(path, this.#db);
      const noted = usable(path, () => this.#db.prepare('SELECT value FROM about WHERE key = ?').pluck());
      const textOf = (key: string): string => usable(path, () => String(noted.get(key) ?? ''));
      [this.schema, this.log] = [textOf('schema'), textOf('log')];
    } catch (thrown) {
      this.#db.close();
      throw thrown;
    }
  }

  /** Reads every row. @throws RookeryError STATE_FILE_UNUSABLE */
  digests(): TableDigest[] {
    return usable(this.#path, () => this.#tables()).map((table) => {
      const hash = createHash('sha256');
      let rows = 0;
      for (const row of this.rows(table)) {
        hash.update(textOf(row));
        rows += 1;
      }
      return { table, rows, digest: hash.digest('hex') };
    });
  }

  firstDifference(other: ReadModelSnapshot, table: string): RowDifference | undefined {
    const others = other.rows(table);
    try {
      for (const row of this.rows(table)) {
        const next = others.next();
        const [one, two] = [textOf(row), next.done ? undefined : textOf(next.value)];
        if (one !== two) return { table, one: shown(one), other: two && shown(two) };
      }
      const next = others.next();
      return next.done ? undefined : { table, one: undefined, other: shown(textOf(next.value)) };
    } finally {
      others.return(undefined);
    }
  }

  rows(table: string): Generator<Row> {
    return usableRows(
      this.#path,
      () => this.#db.prepare(this.#selectOf(table)).raw().iterate() as IterableIterator<Row>,
    );
  }

  close(): void {
    this.#db.close();
  }

  #tables(): string[] {
    const names = this.#db
      .prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY name")
      .pluck()
      .all() as string[];
    const own = names.filter(
      (name) => name !== 'about' && !name.startsWith('message_text') && !name.startsWith('sqlite_'),
    );
    this.#db.exec(
      "CREATE VIRTUAL TABLE IF NOT EXISTS temp.text_terms USING fts5vocab('main', 'message_text', 'instance')",
    );
    return [...own, TEXT_TERMS];
  }

  #selectOf(table: string): string {
    if (table === TEXT_TERMS) return SELECT_TERMS;
    const columns = this.#db.pragma(`main.table_info(${table})`) as { readonly name: string; readonly pk: number }[];
    const key = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
    // Ids that have expired are forgotten some time or other: which are still there says nothing.
    const where = table === 'seen' ? 'WHERE expires_at > (SELECT coalesce(max(at), 0) FROM entry)' : '';
    return `SELECT * FROM main.${table} ${where} ORDER BY ${key.map(({ name }) => name).join(', ')}`;
  }
}

const textOf = (row: Row): string =>
  `${JSON.stringify(row.map((value) => (Buffer.isBuffer(value) ? { base64: value.toString('base64') } : value)))}\n`;

const shown = (text: string): string =>
  text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text.trimEnd();
