// A tree of matchers that decides whether a stream passes a filter by (ExtensionWithMatcher). Decoded by
// xds/decode/match-tree.ts, run by sidecar/builtin/match-tree.ts. Types only.
// Source: xds.type.matcher.v3.Matcher, with the one action that filters here know.

import type { StringMatcher } from "./matcher.ts";

export interface MatchTree {
  readonly branches: MatchBranches | undefined;
  readonly onNoMatch: OnMatch | undefined;
}

/** `map`: the longest key that is a prefix, or the key that is the value. */
export type MatchBranches =
  | { readonly kind: "list"; readonly list: readonly { readonly predicate: Predicate; readonly onMatch: OnMatch }[] }
  | {
      readonly kind: "map";
      readonly input: MatchInput;
      readonly by: "exact" | "prefix";
      readonly map: readonly (readonly [key: string, onMatch: OnMatch])[];
    };

/** Passes the filter by, or asks on. */
export type OnMatch = { readonly kind: "skip" } | { readonly kind: "tree"; readonly tree: MatchTree };

export type Predicate =
  | { readonly kind: "value"; readonly input: MatchInput; readonly matcher: StringMatcher }
  | { readonly kind: "and" | "or"; readonly predicates: readonly Predicate[] }
  | { readonly kind: "not"; readonly predicate: Predicate };

/** A field by its name in lower case; a parameter of the query by its decoded name; the others have no name. */
export interface MatchInput {
  readonly of:
    | "request"
    | "request_trailers"
    | "response"
    | "response_trailers"
    | "query_parameter"
    | "status"
    | "status_class"
    | "source_ip"
    | "source_port"
    | "direct_source_ip"
    | "destination_ip"
    | "destination_port"
    | "server_name";
  readonly name: string;
}
