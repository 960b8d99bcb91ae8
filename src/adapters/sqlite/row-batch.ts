/** Rows for one table, several a statement: getting into SQLite costs more than many a row does once there. */
import type Database from 'better-sqlite3';

const ROWS_A_STATEMENT = 16;

export class RowBatch {
  readonly #one: Database.Statement;
  readonly #many: Database.Statement;
  readonly #columns: number;
  /** Of the rows not yet in the table, as many as `#count`; used again and again. */
  readonly #values: unknown[];
  #count = 0;

  /**
   * @param row of values, `?` for each that is given; @param conflict what follows the rows
   * @param rows a statement: more where very many come at once; what is left over at the end goes one by one
   */
  constructor(db: Database.Database, insert: string, row: string, conflict = '', rows = ROWS_A_STATEMENT) {
    this.#columns = row.split('?').length - 1;
    this.#values = Array(this.#columns * rows).fill(null);
    this.#one = db.prepare(`${insert} VALUES ${row} ${conflict}`);
    this.#many = db.prepare(`${insert} VALUES ${Array(rows).fill(row).join(', ')} ${conflict}`);
  }

  /** In the table after the next `flush` at the latest. */
  add(...row: readonly unknown[]): void {
    for (let i = 0; i < this.#columns; i++) this.#values[this.#count + i] = row[i];
    this.#count += this.#columns;
    if (this.#count < this.#values.length) return;
    this.#count = 0;
    // Given one by one: out of an array each would be fetched, a tenth of a microsecond.
    this.#many.run(...this.#values);
  }

  flush(): void {
    const count = this.#count;
    this.#count = 0;
    for (let i = 0; i < count; i += this.#columns) this.#one.run(...this.#values.slice(i, i + this.#columns));
  }

  /** Forgets what a transaction that failed has left. */
  clear(): void {
    this.#count = 0;
  }
}
