// Request and response headers to add and remove, compiled from all levels of a route into one list in Envoy's order.
// Used by route-table.ts; the proxy applies the list. A route without any has no list, and costs nothing.
// Order: within a level first removals, then overwrites, then additions; levels as given (see `levelsOf`).
// Source: envoy.config.core.v3.HeaderValueOption, Envoy's "HTTP header manipulation" page.

import type { HeaderMap } from "../http/headers.ts";
import { isFieldName } from "../http/headers.ts";
import { compileFormat, type TextFormat } from "../telemetry/format.ts";
import type { FormatContext } from "../telemetry/format-operator.ts";
import type { StreamFacts } from "../telemetry/stream-facts.ts";
import type { HeaderAppendAction, HeaderMutations, HeaderToAdd } from "../../xds/model/route.ts";

export interface Addition {
  readonly name: string;
  readonly lowerName: string;
  readonly action: HeaderAppendAction;
  readonly keepEmptyValue: boolean;
  readonly value: TextFormat;
}

interface Level {
  readonly remove: readonly string[];
  readonly add: readonly Addition[];
}

/** Changes one kind of head. Not reentrant, which nothing here can make it. */
export class MutationList {
  readonly #levels: readonly Level[];
  /** Values of the level at hand: all are worked out before the first is written. */
  readonly #values: (string | undefined)[] = [];

  constructor(levels: readonly Level[]) {
    this.#levels = levels;
  }

  /** `facts` feed the operators in values; they see the headers as they were when the level began. */
  apply(headers: HeaderMap, facts: StreamFacts): void {
    const levels = this.#levels;
    for (let i = 0; i < levels.length; i++) {
      this.#applyLevel(levels[i] as Level, headers, facts);
    }
  }

  #applyLevel({ remove, add }: Level, headers: HeaderMap, facts: StreamFacts): void {
    for (let i = 0; i < remove.length; i++) {
      headers.remove(remove[i] as string);
    }
    const values = this.#values;
    for (let i = 0; i < add.length; i++) {
      values[i] = valueOf(add[i] as Addition, headers, facts);
    }
    for (let i = 0; i < add.length; i++) {
      const addition = add[i] as Addition;
      const value = values[i];
      if (value !== undefined && isOverwrite(addition.action)) {
        headers.set(addition.name, value);
      }
    }
    for (let i = 0; i < add.length; i++) {
      const addition = add[i] as Addition;
      const value = values[i];
      if (value !== undefined && !isOverwrite(addition.action)) {
        headers.add(addition.name, value);
      }
    }
  }
}

/** One addition by itself. */
export function applyAddition(addition: Addition, headers: HeaderMap, facts: StreamFacts): void {
  const value = valueOf(addition, headers, facts);
  if (value === undefined) {
    return;
  }
  if (isOverwrite(addition.action)) {
    headers.set(addition.name, value);
  } else {
    headers.add(addition.name, value);
  }
}

function isOverwrite(action: HeaderAppendAction): boolean {
  return action === "OVERWRITE_IF_EXISTS" || action === "OVERWRITE_IF_EXISTS_OR_ADD";
}

/** undefined: leave the header alone. */
function valueOf({ lowerName, action, keepEmptyValue, value }: Addition, headers: HeaderMap, facts: StreamFacts) {
  if (
    action === "ADD_IF_ABSENT" ? headers.has(lowerName) : action === "OVERWRITE_IF_EXISTS" && !headers.has(lowerName)
  ) {
    return undefined;
  }
  const text = value.constant ?? value.render(facts);
  return text === "" && !keepEmptyValue ? undefined : text;
}

/**
 * The levels in the order in which they apply; a later one wins. Most specific first, so that the route configuration
 * has the last word, unless `mostSpecificWins`.
 */
export function levelsOf(
  mostSpecificWins: boolean,
  mostSpecificFirst: readonly HeaderMutations[],
): readonly HeaderMutations[] {
  return mostSpecificWins ? mostSpecificFirst.toReversed() : mostSpecificFirst;
}

/** undefined when the levels change nothing on that side. What cannot be compiled is left out and noted in `problems`. */
export function compileMutations(
  levels: readonly HeaderMutations[],
  side: "request" | "response",
  context: FormatContext,
  problems: string[],
): MutationList | undefined {
  const compiled: Level[] = [];
  for (const level of levels) {
    const toRemove = side === "request" ? level.requestToRemove : level.responseToRemove;
    const toAdd = side === "request" ? level.requestToAdd : level.responseToAdd;
    const remove = toRemove.map((name) => name.toLowerCase()).filter((name) => isMutable(name, problems));
    const add = toAdd.flatMap((header) => compileAddition(header, context, problems));
    if (remove.length > 0 || add.length > 0) {
      compiled.push({ remove, add });
    }
  }
  return compiled.length === 0 ? undefined : new MutationList(compiled);
}

/** None when it cannot be compiled, which `problems` then says. */
export function compileAddition(header: HeaderToAdd, context: FormatContext, problems: string[]): readonly Addition[] {
  const lowerName = header.name.toLowerCase();
  const value = compileFormat(header.value, context, "");
  if (!value.ok) {
    problems.push(`Header ${JSON.stringify(header.name)}: ${value.problem}`);
    return [];
  }
  if (!isMutable(lowerName, problems)) {
    return [];
  }
  // Literals of configuration can hold a line break, which must not reach the wire.
  if (/[\r\n\0]/.test(header.value)) {
    problems.push(`Header ${JSON.stringify(header.name)}: the value must not contain CR, LF or NUL`);
    return [];
  }
  return [
    { name: header.name, lowerName, action: header.action, keepEmptyValue: header.keepEmptyValue, value: value.format },
  ];
}

/** Pseudo-headers and Host have their own rewrites, and framing belongs to the codec. */
function isMutable(lowerName: string, problems: string[]): boolean {
  if (lowerName === "host" || lowerName.startsWith(":") || !isFieldName(lowerName)) {
    problems.push(`Header ${JSON.stringify(lowerName)} must not be added or removed`);
    return false;
  }
  return true;
}
