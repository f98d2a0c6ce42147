// What an operator of a format string is. format-operators.ts has them by name, format.ts compiles with them. Types only.

import type { StreamFacts } from "./stream-facts.ts";

/** JSON in wire text: written as it is in text, and as a value of its own, uncut, in a JSON format. */
export interface JsonValueText {
  readonly json: string;
}

export type FieldValue = string | number | JsonValueText;

/** undefined is written as `-` (or nothing), and as null in JSON; a number stays one in JSON. */
export type FieldRead = (facts: StreamFacts) => FieldValue | undefined;

/** What a format may use of the process, given by whoever compiles it. */
export interface FormatContext {
  readonly hostname: string;
  /** The environment that ENVIRONMENT() may read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface Operator {
  readonly args: "none" | "optional" | "required";
  readonly length: boolean;
  /** Its control characters are written as they are: it is a body, and of no use in a log line or field. */
  readonly verbatim?: true;
  /** A text instead of a function says what is wrong with `args`. */
  compile(args: string, context: FormatContext): FieldRead | string;
}
