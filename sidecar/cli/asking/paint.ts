// Colours for a terminal: none when the output goes elsewhere, and none for those who ask for none (no-color.org).

import type { CliIo } from "../verb.ts";

export type Colour = "red" | "green" | "yellow" | "dim" | "bold";

/** The text in a colour, or as it is. */
export type Paint = (colour: Colour, text: string) => string;

const CODES: Readonly<Record<Colour, string>> = { red: "31", green: "32", yellow: "33", dim: "2", bold: "1" };

export function paintOf({ env, isTerminal }: Pick<CliIo, "env" | "isTerminal">): Paint {
  const isPlain = isTerminal !== true || (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return isPlain ? plain : (colour, text) => (text === "" ? "" : `\u001b[${CODES[colour]}m${text}\u001b[0m`);
}

export function plain(_colour: Colour, text: string): string {
  return text;
}
