// Finds filter chains that could both match one connection: Envoy cannot tell which is meant, and refuses the listener.
// Each chain's match is expanded into its single rules; two chains that share one overlap. Called by listener.ts.

import type { CidrRange } from "../gen/envoy/config/core/v3/address_pb.ts";
import type { FilterChain, FilterChainMatch } from "../gen/envoy/config/listener/v3/listener_components_pb.ts";
import { item, type Findings } from "./issues.ts";

/** Rules of one listener beyond this are not compared: hostile input must not cost unbounded time. */
const MAX_RULES = 20_000;

export function checkOverlaps(chains: readonly FilterChain[], path: string, findings: Findings): void {
  const seen = new Map<string, number>();
  for (const [index, chain] of chains.entries()) {
    for (const rule of singleRules(chain.filterChainMatch)) {
      if (seen.size >= MAX_RULES) return;
      const other = seen.get(rule);
      if (other === undefined) {
        seen.set(rule, index);
      } else if (other !== index) {
        const problem = `overlaps with ${item(path, other)}: both have the filter_chain_match rule ${rule}`;
        findings.issue(item(path, index), problem);
        break;
      }
    }
  }
}

/** The cross product of the match's lists, as text. */
function* singleRules(match: FilterChainMatch | undefined): Generator<string> {
  const lists: readonly (readonly [string, readonly string[]])[] = [
    ["destination_port", match?.destinationPort === undefined ? [] : [String(match.destinationPort)]],
    ["prefix_ranges", prefixes(match?.prefixRanges)],
    ["server_names", match?.serverNames.map((name) => name.toLowerCase()) ?? []],
    ["transport_protocol", match?.transportProtocol ? [match.transportProtocol] : []],
    ["application_protocols", match?.applicationProtocols ?? []],
    ["direct_source_prefix_ranges", prefixes(match?.directSourcePrefixRanges)],
    ["source_type", match?.sourceType ? [String(match.sourceType)] : []],
    ["source_prefix_ranges", prefixes(match?.sourcePrefixRanges)],
    ["source_ports", match?.sourcePorts.map(String) ?? []],
  ];
  yield* product(lists, 0, "");
}

function* product(
  lists: readonly (readonly [string, readonly string[]])[],
  index: number,
  rule: string,
): Generator<string> {
  const list = lists[index];
  if (list === undefined) {
    yield rule === "" ? "(any)" : rule;
    return;
  }
  const [name, values] = list;
  if (values.length === 0) yield* product(lists, index + 1, rule);
  for (const value of values) {
    yield* product(lists, index + 1, rule === "" ? `${name}=${value}` : `${rule} ${name}=${value}`);
  }
}

function prefixes(ranges: readonly CidrRange[] | undefined): readonly string[] {
  return ranges?.map((range) => `${range.addressPrefix}/${range.prefixLen ?? 0}`) ?? [];
}
