// A transcript as text for people: one line a callback, host call or note, times in front. Used by `outrigger plugin run`
// and by tests that print what happened.

import type { CallValue, CallValues } from "./host-call-reader.ts";
import type { CallbackEntry, HostCallEntry, TranscriptEntry } from "./transcript.ts";

export interface TextOptions {
  /** Whether each line begins with when, and ends with how long. Default true. */
  readonly times?: boolean;
  /** Longest value before it is cut, in characters. Default 200. */
  readonly maxValue?: number;
}

const TIME_WIDTH = 10;

/** The lines, without line ends. */
export function transcriptLines(entries: readonly TranscriptEntry[], options: TextOptions = {}): string[] {
  const { times = true, maxValue = 200 } = options;
  const at = (ms: number): string => (times ? `${ms.toFixed(3).padStart(TIME_WIDTH)}  ` : "");
  const took = (ms: number): string => (times ? `  ${(ms * 1000).toFixed(0)} µs` : "");
  return entries.flatMap((entry) => {
    if (entry.kind === "note") return [`${at(entry.atMs)}· ${entry.text}`];
    const fuel = entry.fuel < 0 ? "" : `, fuel ${entry.fuel}`;
    return [
      `${at(entry.atMs)}▶ ${entry.name} [${entry.contextId}] ${valuesText(entry.arguments, maxValue)}`.trimEnd(),
      ...entry.hostCalls.map(
        (call) => `${at(call.atMs)}    ${call.name}(${hostCallText(call, maxValue)}${took(call.tookMs)}`,
      ),
      `${at(entry.endedAtMs)}◀ ${resultText(entry)}${took(entry.tookMs)}${fuel}`,
    ];
  });
}

function resultText(entry: CallbackEntry): string {
  if (entry.fault !== undefined) return `${entry.fault.kind}: ${entry.fault.message}`;
  return entry.result === undefined ? "done" : String(entry.result);
}

function hostCallText({ arguments: args, status, answers }: HostCallEntry, maxValue: number): string {
  const given = valuesText(answers, maxValue);
  return `${valuesText(args, maxValue)}) = ${status ?? "the end of the guest"}${given === "" ? "" : ` ${given}`}`;
}

function valuesText(values: CallValues, maxValue: number): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${valueText(value, maxValue)}`)
    .join(", ");
}

function valueText(value: CallValue, maxValue: number): string {
  const text = typeof value === "object" && "hex" in value ? hexText(value) : JSON.stringify(value);
  return text.length > maxValue ? `${text.slice(0, maxValue)}… (${text.length} characters)` : text;
}

function hexText({ hex, length }: { readonly hex: string; readonly length?: number }): string {
  return `0x${hex}${length === undefined ? "" : `… (${length} bytes)`}`;
}
