// Names that a module gives, for lines that people read: a hostile module has thousands of them, of any length, with line breaks and
// what terminals obey.

const MAX_NAMES = 20;
const MAX_CHARS = 100;
const MAX_MESSAGE_CHARS = 400;

/** "a, b, c and 4 more". */
export function listNames(names: readonly string[]): string {
  const shown = names
    .slice(0, MAX_NAMES)
    .map((name) => printableName(name))
    .join(", ");
  return names.length > MAX_NAMES ? `${shown} and ${names.length - MAX_NAMES} more` : shown;
}

/** Control characters as escapes, long names cut. */
export function printableName(name: string, maxChars: number = MAX_CHARS): string {
  const short = name.length > maxChars ? `${name.slice(0, maxChars)}…` : name;
  return short.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What the engine says of a module, which may name its functions: one line. */
export function engineMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printableName(text.split("\n", 1)[0] ?? "", MAX_MESSAGE_CHARS);
}
