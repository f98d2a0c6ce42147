// Rows as aligned columns, for terminals. Pure.

/** Two spaces between columns; the last one is not padded. Control characters do not reach the terminal. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of clean) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return clean.map((row) => `${line(row)}\n`).join("");
}

/** What a stranger said, on one line: control characters as in JSON. */
export function printable(text: string): string {
  // A refusal has a line for each resource.
  return JSON.stringify(text.replaceAll("\n", "; ")).slice(1, -1).replaceAll('\\"', '"').replaceAll("\\\\", "\\");
}

/** `45s`, `3m`, `5h`, `2d`. */
export function ageText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)}s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)}m`;
  return seconds < 36 * 3600 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`;
}
