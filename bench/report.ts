/** Rows as people read them. */

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly ackP50Ms?: number;
  readonly ackP99Ms?: number;
  readonly limit?: string;
  readonly ratio?: number;
  readonly durability: string;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
}

export function table(rows: readonly Row[]): string {
  const head = [
    'row',
    'value',
    'unit',
    'p50 ms',
    'p99 ms',
    'ack p50',
    'ack p99',
    'limit',
    'ratio',
    'durability',
    'lost/doubled/order',
  ];
  const lines = rows.map((row) => [
    row.name,
    row.value >= 100 ? Math.round(row.value).toLocaleString('en') : row.value.toFixed(2),
    row.unit,
    ms(row.p50Ms),
    ms(row.p99Ms),
    ms(row.ackP50Ms),
    ms(row.ackP99Ms),
    row.limit ?? '',
    row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.durability,
    `${row.lost}/${row.doubled}/${row.outOfOrder}`,
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => (line[i] ?? '').length)));
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [format(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...lines.map(format)].join('\n');
}

const ms = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(2));
