// What can be seen of a case from outside, in a form in which two hosts can be compared: names in lower case and sorted,
// what differs by nature (dates, the suite's own headers) left out.

import { type Case, withoutCase } from "./case.ts";
import type { Answer } from "./exchange.ts";
import type { SeenRequest } from "./origin.ts";

export interface Observation {
  /** Each answer: `200`, then headers and body; or how it ended without one. */
  readonly answers: readonly (readonly string[])[];
  /** Each request that reached an origin, sorted by method and target. */
  readonly upstream: readonly (readonly string[])[];
  /** What the guest's streams said. */
  readonly guest: readonly string[];
  /** What its root contexts said, each line once: hosts start a plugin more than once. */
  readonly root: readonly string[];
  /** What the access log says of each request. */
  readonly access: readonly string[];
  readonly stats: readonly string[];
}

const LEFT_OUT = /^(?:date|connection|keep-alive|x-case|x-script|x-envoy-upstream-service-time): /;

export function answerLines(one: Case, answer: Answer): string[] {
  if (answer.status === undefined) {
    return [answer.outcome];
  }
  return [
    `${answer.status}${answer.outcome === "complete" ? "" : ` ${answer.outcome}`}`,
    ...shownFields(one, answer.headers ?? [], ""),
    ...shownBody(one, answer.body ?? ""),
    ...shownFields(one, answer.trailers ?? [], "trailer "),
  ];
}

export function requestLines(one: Case, request: SeenRequest): string[] {
  return [
    withoutCase(one, `${request.method} ${request.target}`),
    ...shownFields(one, request.headers, ""),
    ...shownBody(one, request.body),
    ...shownFields(one, request.trailers, "trailer "),
  ];
}

function shownFields(one: Case, lines: readonly string[], prefix: string): string[] {
  const kept = lines.filter((line) => !LEFT_OUT.test(line));
  const names = (line: string) => line.slice(0, line.indexOf(":"));
  const sorted = kept.toSorted((a, b) => (names(a) < names(b) ? -1 : names(a) > names(b) ? 1 : 0));
  return sorted.map((line) => prefix + withoutCase(one, line));
}

function shownBody(one: Case, body: string): string[] {
  if (body === "") {
    return [];
  }
  const text = withoutCase(one, body);
  return [text.length <= 200 ? `body ${text}` : `body ${text.slice(0, 20)}… ${body.length} bytes`];
}

const BODY_CALLBACK = /^(\(\d\) )?(request|response)_body (\d+) end=([01])$/;
const LABEL = /^\(\d\) /;

/**
 * The end of a body may come with its last piece or in a callback of its own, which depends on how bytes arrive: two
 * callbacks between which the guest did nothing, of which the second brings no more bytes, become one.
 */
export function foldedEnds(lines: readonly string[]): string[] {
  const folded: string[] = [];
  /** Where the last line of each plugin stands. */
  const places = new Map<string, number>();
  for (const line of lines) {
    const label = LABEL.exec(line)?.[0] ?? "";
    const place = places.get(label) ?? -1;
    const [, , direction, size, end] = BODY_CALLBACK.exec(line) ?? [];
    const [, , lastDirection, lastSize, lastEnd] = BODY_CALLBACK.exec(folded[place] ?? "") ?? [];
    if (end === "1" && lastEnd === "0" && direction === lastDirection && (size === "0" || size === lastSize)) {
      folded[place] = `${label}${direction}_body ${lastSize} end=1`;
    } else {
      places.set(label, folded.push(line) - 1);
    }
  }
  return folded;
}
