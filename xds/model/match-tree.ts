// A tree of matchers that decides whether a stream passes a filter by (ExtensionWithMatcher). Decoded by
// xds/decode/match-tree.ts, run by sidecar/builtin/match-tree.ts. Types only.
// Source: xds.type.matcher.v3.Matcher, with the two actions that filters here know.

import type { CidrRange } from "./address.ts";
import type { DiscoveredConfig, FilterConfig } from "./listener.ts";
import type { RuntimeFraction, StringMatcher } from "./matcher.ts";

export interface MatchTree {
  readonly branches: MatchBranches | undefined;
  readonly onNoMatch: OnMatch | undefined;
}

/**
 * `map`: the longest key that is a prefix, or the key that is the value. `ranges`: the longest range that holds the address, then
 * the others that are not exclusive. `domains`: the name itself, then the longest wildcard, `*` last.
 */
export type MatchBranches =
  | { readonly kind: "list"; readonly list: readonly { readonly predicate: Predicate; readonly onMatch: OnMatch }[] }
  | {
      readonly kind: "map";
      readonly input: MatchInput;
      readonly by: "exact" | "prefix";
      readonly map: readonly (readonly [key: string, onMatch: OnMatch])[];
    }
  | { readonly kind: "ranges"; readonly input: MatchInput; readonly ranges: readonly MatchRange[] }
  | {
      readonly kind: "domains";
      readonly input: MatchInput;
      readonly names: readonly (readonly [name: string, onMatch: OnMatch])[];
    };

export interface MatchRange {
  readonly range: CidrRange;
  /** Only when no longer range holds the address. */
  readonly isExclusive: boolean;
  readonly onMatch: OnMatch;
}

/** Passes the filter by, has the composite filter execute another one, or asks on. */
export type OnMatch =
  | { readonly kind: "skip" }
  | { readonly kind: "execute"; readonly action: ExecuteFilter }
  | { readonly kind: "tree"; readonly tree: MatchTree };

/** Source: envoy.extensions.filters.http.composite.v3.ExecuteFilterAction. */
export interface ExecuteFilter {
  readonly name: string;
  /** `discovered`: what arrives by `name`. */
  readonly config: FilterConfig | DiscoveredConfig;
  /** How often; undefined: always. */
  readonly sample: RuntimeFraction | undefined;
}

export type Predicate =
  | { readonly kind: "value"; readonly input: MatchInput; readonly matcher: StringMatcher }
  | { readonly kind: "ip"; readonly input: MatchInput; readonly ranges: readonly CidrRange[] }
  | { readonly kind: "constant"; readonly holds: boolean }
  | { readonly kind: "and" | "or"; readonly predicates: readonly Predicate[] }
  | { readonly kind: "not"; readonly predicate: Predicate };

/**
 * A field by its name in lower case, a parameter of the query by its decoded name, state of filters by its key, a variable of
 * the environment; the others have no name. `certificate`: what never comes here;
 * `nothing`: what never has a value here.
 */
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
    | "server_name"
    | "source_type"
    | "filter_state"
    | "dynamic_metadata"
    | "environment"
    | "certificate"
    | "nothing";
  readonly name: string;
}
