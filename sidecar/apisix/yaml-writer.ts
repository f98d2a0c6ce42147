// Plain values as YAML in blocks, for people to read on. Pure.

export type Plain = string | number | boolean | readonly Plain[] | { readonly [key: string]: Plain };

/** Texts that YAML reads as the same text without quotes. */
const SAFE = /^[A-Za-z/_][\w./@-]*$/;
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n"]);

export function writeYaml(value: Plain): string {
  return `${block(value, "").replace(/^\n/, "")}\n`;
}

/** With a line break before it where it is a block of its own. */
function block(value: Plain, indent: string): string {
  if (isList(value)) {
    return value.length === 0 ? " []" : value.map((item) => `\n${indent}-${inList(item, indent)}`).join("");
  }
  if (typeof value === "object") {
    const entries = Object.entries(value);
    return entries.length === 0
      ? " {}"
      : entries.map(([key, inner]) => `\n${indent}${scalar(key)}:${block(inner, `${indent}  `)}`).join("");
  }
  return ` ${typeof value === "string" ? scalar(value) : String(value)}`;
}

/** A mapping begins on the line of its dash. */
function inList(item: Plain, indent: string): string {
  const text = block(item, `${indent}  `);
  return text.startsWith("\n") ? ` ${text.trimStart()}` : text;
}

function scalar(text: string): string {
  return SAFE.test(text) && !WORDS.has(text.toLowerCase()) ? text : JSON.stringify(text);
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}
