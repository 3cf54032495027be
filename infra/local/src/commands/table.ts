/** Tables and short times for people. */

export type Cell = string | number | null | undefined;
/** Numbers stand to the right. */
export type Column<Row> = { title: string; isRight?: boolean; cell: (row: Row) => Cell };

/** Aligned lines under a head; only the sentence `none` when there are no rows. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  none: string,
): string[] {
  if (rows.length === 0) return [none];
  const texts = rows.map((row) => columns.map(({ cell }) => textOf(cell(row))));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...texts.map((line) => widthOf(line[index] ?? ""))),
  );
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((text, index) => padded(text, widths[index] ?? 0, columns[index]?.isRight === true))
      .join("  ")
      .trimEnd();
  return [lineOf(columns.map(({ title }) => title)), ...texts.map(lineOf)];
}

/** `name  value` lines, aligned. */
export function facts(pairs: readonly (readonly [name: string, value: Cell])[]): string[] {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${textOf(value)}`);
}

export function textOf(value: Cell): string {
  return value === null || value === undefined || value === "" ? "-" : String(value);
}

/** `1 number`, `2 numbers`. */
export function counted(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}

export function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}

/** How long ago, in the largest fitting unit: `12s`, `5m`, `3h`, `4d`. */
export function ago(time: string | null, now: Date): string {
  if (time === null) return "-";
  return duration(now.getTime() - Date.parse(time));
}

/** Milliseconds in the largest fitting unit. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}

function padded(text: string, width: number, isRight: boolean): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  return isRight ? space + text : text + space;
}

const segmenter = new Intl.Segmenter();

/** Characters, not code units: names of companies are in any script. */
function widthOf(text: string): number {
  return Array.from(segmenter.segment(text)).length;
}
