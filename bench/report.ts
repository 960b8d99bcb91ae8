/** Rows as people read them, and as latest.json keeps them. */
import type { Row } from './rows.ts';

const COLUMNS: readonly (readonly [title: string, cell: (row: Row) => string])[] = [
  ['row', ({ name }) => name],
  ['value', ({ value }) => number(value)],
  ['unit', ({ unit }) => unit],
  ['p50 ms', ({ p50Ms }) => ms(p50Ms)],
  ['p99 ms', ({ p99Ms }) => ms(p99Ms)],
  ['ack p50', ({ ackP50Ms }) => ms(ackP50Ms)],
  ['ack p99', ({ ackP99Ms }) => ms(ackP99Ms)],
  ['limit', ({ limit = '' }) => limit],
  ['ratio', ({ ratio }) => (ratio === undefined ? '' : ratio.toFixed(2))],
  ['must', ({ must, isMet }) => (must === undefined ? '' : `${isMet ? 'met' : 'MISSED'}: ${must}`)],
  ['durability', ({ durability }) => durability],
  ['lost/doubled/order', ({ lost, doubled, outOfOrder }) => `${lost}/${doubled}/${outOfOrder}`],
  ['cores busy', ({ cores = {} }) => coresOf(cores)],
];

/** A table in Markdown. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => COLUMNS.map(([, cell]) => cell(row)));
  const widths = COLUMNS.map(([title], i) => Math.max(title.length, ...lines.map((line) => (line[i] ?? '').length)));
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [format(COLUMNS.map(([title]) => title)), rule, ...lines.map(format)].join('\n');
}

/** A row in one line, for progress. */
export const line = (row: Row): string =>
  COLUMNS.map(([title, cell]) => {
    const text = cell(row);
    return text && /^(p|ack)/.test(title) ? `${title.replace(' ms', '')} ${text} ms` : text;
  })
    .filter((text) => text !== '')
    .join('  ');

/** Figures of which no digit is noise. */
export const rounded = (row: Row): Row => ({
  ...row,
  ...Object.fromEntries(
    Object.entries(row).flatMap(([key, value]) => (typeof value === 'number' ? [[key, significant(value)]] : [])),
  ),
  ...(row.cores && {
    cores: Object.fromEntries(Object.entries(row.cores).map(([role, cores]) => [role, Number(cores.toFixed(2))])),
  }),
});

const significant = (value: number): number => (value >= 1_000 ? Math.round(value) : Number(value.toPrecision(3)));

const number = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));

const ms = (value: number | undefined): string => (value === undefined ? '' : String(Number(value.toPrecision(3))));

const coresOf = (cores: Readonly<Record<string, number>>): string =>
  Object.entries(cores)
    .map(([role, busy]) => `${role} ${busy.toFixed(2)}`)
    .join(', ');
