/** Rows for one table, several a statement: getting into SQLite costs more than many a row does once there. */
import type Database from 'better-sqlite3';

const ROWS_A_STATEMENT = 16;

export class RowBatch {
  readonly #one: Database.Statement;
  readonly #many: Database.Statement;
  readonly #valuesOfMany: number;
  readonly #columns: number;
  #values: unknown[] = [];

  /** @param columns of one row; @param conflict what follows the rows */
  constructor(db: Database.Database, insert: string, columns: number, conflict = '') {
    const row = `(${Array(columns).fill('?').join(', ')})`;
    this.#columns = columns;
    this.#valuesOfMany = columns * ROWS_A_STATEMENT;
    this.#one = db.prepare(`${insert} VALUES ${row} ${conflict}`);
    this.#many = db.prepare(`${insert} VALUES ${Array(ROWS_A_STATEMENT).fill(row).join(', ')} ${conflict}`);
  }

  /** In the table after the next `flush` at the latest. */
  add(...row: unknown[]): void {
    this.#values.push(...row);
    if (this.#values.length === this.#valuesOfMany) this.#many.run(this.#taken());
  }

  flush(): void {
    const values = this.#taken();
    for (let i = 0; i < values.length; i += this.#columns) this.#one.run(values.slice(i, i + this.#columns));
  }

  /** Forgets what a transaction that failed has left. */
  clear(): void {
    this.#taken();
  }

  #taken(): unknown[] {
    const values = this.#values;
    this.#values = [];
    return values;
  }
}
