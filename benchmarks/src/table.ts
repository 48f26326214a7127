import Table from 'cli-table3';

/** A column's title and how a row fills it. The first column is text, the others are figures. */
export type Column<Row> = readonly [title: string, cell: (row: Row) => string];

/** What a cell shows where nothing was measured. */
export const nothing = '–';

export function markdownTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(([title]) => title)),
    line(columns.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map((row) => line(columns.map(([, cell]) => cell(row)))),
  ].join('\n');
}

export function terminalTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const table = new Table({
    head: columns.map(([title]) => title),
    colAligns: columns.map((_, i) => (i === 0 ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => columns.map(([, cell]) => cell(row))));
  return table.toString();
}
