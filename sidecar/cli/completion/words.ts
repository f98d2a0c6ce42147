// What a shell may complete, flat: one entry for each place after the program's name. The scripts are made of it.

import type { Flag } from "../flags.ts";
import type { Verb, VerbWords } from "../verb.ts";

/** A verb or a verb's verb, or (path "") what stands first. */
export interface Place {
  /** "", "run", "plugin new". */
  readonly path: string;
  readonly flags: readonly Flag[];
  /** What may stand without a flag, with its meaning (empty: none is needed). */
  readonly words: readonly (readonly [word: string, meaning: string])[];
  readonly takesFiles: boolean;
}

// main.ts knows these two without a table.
const HELP_FLAG: Flag = { name: "help", short: "h", kind: "boolean", help: "this verb's help" };
const VERSION_FLAG: Flag = { name: "version", kind: "boolean", help: "the version" };

/** Every place of the command line; the first is the program's own. */
export async function wordsOf(verbs: readonly Verb[]): Promise<readonly Place[]> {
  const places: Place[] = [];
  const own: (readonly [string, string])[] = [];
  for (const verb of verbs) {
    own.push([verb.name, verb.summary]);
    const words = await verb.words();
    places.push(placeOf(verb.name, words));
    for (const inner of words.verbs ?? []) {
      places.push(placeOf(`${verb.name} ${inner.name}`, await inner.words()));
    }
    // "help VERB", and "help VERB VERB" where there are such.
    places.push({ ...placeOf(`help ${verb.name}`, words), flags: [] });
  }
  places.push({ path: "help", flags: [], words: own, takesFiles: false });
  const first = [...own, ["help", "the verbs, or a verb's flags with their defaults"] as const];
  return [{ path: "", flags: [HELP_FLAG, VERSION_FLAG], words: first, takesFiles: false }, ...places];
}

function placeOf(path: string, { flags = [], verbs = [], operands = [] }: VerbWords): Place {
  const words =
    operands === "files" || path.startsWith("help ")
      ? []
      : operands.map((word): readonly [string, string] => [word, ""]);
  return {
    path,
    flags: [...flags.filter(({ inert }) => inert !== true), HELP_FLAG],
    words: [...verbs.map(({ name, summary }): readonly [string, string] => [name, summary]), ...words],
    takesFiles: operands === "files" && !path.startsWith("help "),
  };
}

/** What may follow a flag: files, one of some words, something that is not known ("text"), or nothing. */
export function valueOf(flag: Flag): "none" | "files" | "text" | readonly string[] {
  if (flag.kind === "boolean") {
    return "none";
  }
  return flag.allowed ?? (/^(?:FILE|PATH|DIR)$/.test(flag.value ?? "") ? "files" : "text");
}

/** `--name` and `-n`. */
export function spellings({ name, short }: Flag): readonly string[] {
  return short === undefined || short === "" ? [`--${name}`] : [`--${name}`, `-${short}`];
}
