// Command-line flags as data: one table a verb, parsed and printed from the same rows.
// Every verb under cli/ has such a table; main.ts prints what goes wrong and exits with 2.
// `--flag value`, `--flag=value`, `-f value`; a boolean flag takes no value, or `=true` and `=false`.

export interface Flag {
  /** Without dashes. */
  readonly name: string;
  /** One letter, without dash. */
  readonly short?: string;
  readonly kind: "string" | "number" | "boolean";
  /** Shown in help, such as FILE or SECONDS. */
  readonly value?: string;
  readonly help: string;
  readonly defaultText?: string;
  /** Accepted because Envoy has it; it has no meaning here and is named once in the log. */
  readonly inert?: true;
  readonly allowed?: readonly string[];
  /** May be given several times: all values are in `lists`. */
  readonly repeats?: true;
}

export type FlagValues = Readonly<Record<string, string | number | boolean | undefined>>;

export type FlagsResult =
  | {
      readonly ok: true;
      /** Of a flag that was given several times, the last value. */
      readonly values: FlagValues;
      /** Of each flag that repeats, all values in order; empty when it was not given. */
      readonly lists: Readonly<Record<string, readonly string[]>>;
      readonly positionals: readonly string[];
      readonly inert: readonly string[];
    }
  | { readonly ok: false; readonly problem: string };

/** Parses `argv` by `flags`. The first problem ends it, with a suggestion where a name is close. */
export function parseFlags(flags: readonly Flag[], argv: readonly string[]): FlagsResult {
  const values: Record<string, string | number | boolean | undefined> = {};
  const lists: Record<string, string[]> = {};
  for (const { name } of flags.filter(({ repeats }) => repeats === true)) {
    lists[name] = [];
  }
  const positionals: string[] = [];
  const inert: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === "--") {
      positionals.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      positionals.push(word);
      continue;
    }
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const flag = flags.find((f) => name === `--${f.name}` || (f.short !== undefined && name === `-${f.short}`));
    if (flag === undefined) {
      return { ok: false, problem: `unknown flag ${name}${suggestion(flags, name)}` };
    }
    let text = equals < 0 ? undefined : word.slice(equals + 1);
    if (text === undefined && flag.kind !== "boolean") {
      text = argv[++i];
      if (text === undefined) {
        return { ok: false, problem: `flag --${flag.name} needs a value (${flag.value ?? flag.kind})` };
      }
    }
    const value = valueOf(flag, text);
    if (value === undefined) {
      return { ok: false, problem: `flag --${flag.name} got "${text}": must be ${allowedText(flag)}` };
    }
    values[flag.name] = value;
    lists[flag.name]?.push(String(value));
    if (flag.inert === true) {
      inert.push(`--${flag.name}`);
    }
  }
  return { ok: true, values, lists, positionals, inert };
}

function valueOf(flag: Flag, text: string | undefined): string | number | boolean | undefined {
  switch (flag.kind) {
    case "boolean":
      return text === undefined || text === "true" ? true : text === "false" ? false : undefined;
    case "number": {
      const number = Number(text);
      return text !== "" && Number.isInteger(number) && number >= 0 && number <= largest(flag) ? number : undefined;
    }
    case "string":
      return flag.allowed === undefined || flag.allowed.includes(text as string) ? text : undefined;
  }
}

function largest(flag: Flag): number {
  return flag.value === "PORT" ? 65_535 : Number.MAX_SAFE_INTEGER;
}

function allowedText(flag: Flag): string {
  if (flag.allowed !== undefined) {
    return `one of ${flag.allowed.join(", ")}`;
  }
  if (flag.value === "PORT") {
    return "a port from 0 to 65535";
  }
  return flag.kind === "number" ? "a whole number of at least 0" : flag.kind === "boolean" ? "true or false" : "a text";
}

function suggestion(flags: readonly Flag[], name: string): string {
  const best = nearest(
    flags.map((flag) => flag.name),
    name.replace(/^-+/, ""),
  );
  return best === undefined ? "" : `, did you mean --${best}?`;
}

/** The nearest of some names, when it is near enough to be meant. */
export function nearest(names: readonly string[], wanted: string): string | undefined {
  let best: string | undefined;
  let bestDistance = 3;
  for (const name of names) {
    const distance = editDistance(wanted, name);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, for suggestions. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1;
      next[j] = Math.min((next[j - 1] as number) + 1, (row[j] as number) + 1, (row[j - 1] as number) + same);
    }
    row = next;
  }
  return row[b.length] as number;
}

/** The table as help text, one flag a line. */
export function describeFlags(flags: readonly Flag[]): string {
  const rows = flags
    .filter((flag) => flag.inert !== true)
    .map((flag) => {
      const value = flag.kind === "boolean" ? "" : ` ${flag.value ?? flag.kind.toUpperCase()}`;
      const short = flag.short === undefined ? "    " : `-${flag.short}, `;
      const fallback = flag.defaultText === undefined ? "" : ` (default ${flag.defaultText})`;
      const again = flag.repeats === true ? "; may be repeated" : "";
      return [`  ${short}--${flag.name}${value}`, `${flag.help}${again}${fallback}`] as const;
    });
  const width = Math.max(...rows.map(([left]) => left.length));
  const inert = flags.filter((flag) => flag.inert === true).map((flag) => `--${flag.name}`);
  const tail = inert.length === 0 ? "" : `\nAccepted as Envoy's, without effect here: ${inert.join(", ")}\n`;
  return `${rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`).join("\n")}\n${tail}`;
}
