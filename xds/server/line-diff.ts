// Two texts as the lines that differ, as `diff -u` shows them. Pure, and bounded: what is too large is not compared.

/** Lines around a change that are shown. */
const CONTEXT = 2;
/** Lines of each side that remain between the common beginning and the common end. */
const MAX_LINES = 1_500;

/** Lines that begin with ` `, `-` or `+`, and `…` where lines are left out. */
export function diffLines(before: string, after: string): string[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const left = a.slice(start, a.length - end);
  const right = b.slice(start, b.length - end);
  if (left.length > MAX_LINES || right.length > MAX_LINES) {
    return [`… ${left.length} lines become ${right.length}: too many to compare`];
  }
  const head = a.slice(0, start).map((line) => `  ${line}`);
  const tail = a.slice(a.length - end).map((line) => `  ${line}`);
  return withContext([...head, ...edits(left, right), ...tail]);
}

/** By the longest common subsequence. */
function edits(a: readonly string[], b: readonly string[]): string[] {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`  ${a[i++]}`);
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(`- ${a[i++]}`);
    } else {
      lines.push(`+ ${b[j++]}`);
    }
  }
  return lines;
}

function withContext(lines: readonly string[]): string[] {
  const isShown = new Uint8Array(lines.length);
  for (const [index, line] of lines.entries()) {
    if (line.startsWith("  ")) continue;
    isShown.fill(1, Math.max(0, index - CONTEXT), index + CONTEXT + 1);
  }
  const shown: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (isShown[index] === 1) shown.push(line);
    else if (shown.length > 0 && shown.at(-1) !== "…") shown.push("…");
  }
  if (shown.at(-1) === "…") shown.pop();
  return shown;
}
