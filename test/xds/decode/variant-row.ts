// Rows of variants: the text of a field, a part of the issue that refuses it (without one the bootstrap is good), and why
// Envoy's verdict is the other one.

/** Text, part of the issue (none: good), why Envoy's verdict is the other one. */
export type Row = readonly [text: string, issue?: string, differs?: string];

export const KEPT_KEY = "Envoy keeps one of the two without a word";
export const LEFT_OUT = "tracers and access loggers that are not known are left out, with a warning";

export const TYPE = "type.googleapis.com/";
