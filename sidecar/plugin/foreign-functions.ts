// The foreign functions that the sidecar adds to the plugin host's own (plugins/hostcalls/foreign.ts). worker.ts hands them to
// the runtime. Adding one: a function here, an entry in FOREIGN_FUNCTIONS, a test; plugins/README.md says what it may do.

import { Buffer } from "node:buffer";
import { Status } from "../../plugins/abi/constants.ts";
import type { ForeignAnswer, ForeignCall, ForeignFunction } from "../../plugins/ports.ts";
import { readFields } from "../../plugins/proto-fields.ts";
import type { FilterState } from "../filter/filter-state.ts";
import { STATE_OBJECTS } from "../filter/state-objects.ts";
import { compileFullMatch, type FullMatch } from "../route/regex.ts";

const LIFE_SPANS = ["filter_chain", "request", "connection"] as const;

/** SetEnvoyFilterStateArguments: path 1, value 2, span 3. NotFound: an unknown key, or no stream; BadArgument: no value for it. */
function setEnvoyFilterState({ argument, target }: ForeignCall): ForeignAnswer {
  const fields = readFields(argument);
  if (fields === undefined) {
    return { status: Status.BadArgument };
  }
  const text = (field: number): string => Buffer.from(fields.bytes.get(field) ?? "").toString("latin1");
  const key = text(1);
  const factory = STATE_OBJECTS.get(key);
  if (factory === undefined) {
    return { status: Status.NotFound };
  }
  const object = factory(text(2));
  if (object === undefined) {
    return { status: Status.BadArgument };
  }
  if (!hasState(target)) {
    return { status: Status.NotFound };
  }
  const span = LIFE_SPANS[fields.numbers.get(3) ?? 0] ?? "filter_chain";
  const isKept = target.filterState.setObject(key, Buffer.from(object.text, "latin1"), span, object.form);
  return { status: isKept ? Status.Ok : Status.InternalFailure };
}

/** Filters have it: wasm-filter.ts, tcp/wasm-network-filter.ts. */
function hasState(target: ForeignCall["target"]): target is NonNullable<ForeignCall["target"]> & HasState {
  return target !== undefined && "filterState" in target;
}

interface HasState {
  readonly filterState: FilterState;
}

export const FOREIGN_FUNCTIONS: ReadonlyMap<string, ForeignFunction> = new Map<string, ForeignFunction>([
  ["set_envoy_filter_state", setEnvoyFilterState],
]);

/** Patterns are few and constant in real expressions; when a guest makes them up, the cache starts over. */
const MAX_PATTERNS = 256;
const patterns = new Map<string, FullMatch | undefined>();

/** RE2's partial match, for `matches` in plugins' expressions; undefined: the pattern is none. */
export function partialMatch(text: string, pattern: string): boolean | undefined {
  let compiled = patterns.get(pattern);
  if (compiled === undefined && !patterns.has(pattern)) {
    const anywhere = compileFullMatch(pattern).ok ? compileFullMatch(`(?s:.*?)(?:${pattern})(?s:.*)`) : undefined;
    compiled = anywhere?.ok === true ? anywhere.regex : undefined;
    if (patterns.size >= MAX_PATTERNS) {
      patterns.clear();
    }
    patterns.set(pattern, compiled);
  }
  return compiled?.test(text);
}
