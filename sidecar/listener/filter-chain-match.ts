// Which filter chain a connection gets. Source: envoy.config.listener.v3.FilterChainMatch: at each step the most specific
// value that some chain names wins, and only the chains that name it go on to the next step; there is no way back.
// Compiled when a listener's chains change; used once for each connection.

import { BlockList } from "node:net";
import type { CidrRange } from "../../xds/model/address.ts";
import type { FilterChainMatch } from "../../xds/model/listener.ts";
import type { ConnectionInfo } from "../http/stream.ts";

interface Candidate<Chain> {
  readonly chain: Chain;
  readonly match: FilterChainMatch | undefined;
}

export interface ChainEntry<Chain> {
  readonly chain: Chain;
  readonly match: FilterChainMatch | undefined;
}

/** Picks by `connection`; undefined when no chain matches (then the default chain, if there is one, is the caller's). */
export function selectFilterChain<Chain>(
  entries: readonly ChainEntry<Chain>[],
  connection: ConnectionInfo,
): Chain | undefined {
  let left: readonly Candidate<Chain>[] = entries;
  for (const step of STEPS) {
    left = mostSpecific(left, step, connection);
  }
  return left[0]?.chain;
}

/** How specific a match is in one respect: -1 excludes it, 0 does not care, more is more specific. */
type Step = (match: FilterChainMatch, connection: ConnectionInfo) => number;

const STEPS: readonly Step[] = [
  (match, { localPort }) => (match.destinationPort === 0 ? 0 : match.destinationPort === localPort ? 1 : -1),
  (match, { localAddress }) => longestPrefix(match.prefixRanges, localAddress),
  // Plain text connections show no server name, transport protocol or ALPN.
  (match) => (match.serverNames.length === 0 ? 0 : -1),
  (match) => (match.transportProtocol === "" ? 0 : match.transportProtocol === "raw_buffer" ? 1 : -1),
  (match) => (match.applicationProtocols.length === 0 ? 0 : -1),
  (match, { remoteAddress }) => longestPrefix(match.directSourcePrefixRanges, remoteAddress),
  (match, connection) => sourceType(match, connection),
  (match, { remoteAddress }) => longestPrefix(match.sourcePrefixRanges, remoteAddress),
  (match, { remotePort }) => (match.sourcePorts.length === 0 ? 0 : match.sourcePorts.includes(remotePort) ? 1 : -1),
];

function mostSpecific<Chain>(
  candidates: readonly Candidate<Chain>[],
  step: Step,
  connection: ConnectionInfo,
): Candidate<Chain>[] {
  let best = -1;
  let winners: Candidate<Chain>[] = [];
  for (const candidate of candidates) {
    const rank = candidate.match === undefined ? 0 : step(candidate.match, connection);
    if (rank > best) {
      best = rank;
      winners = [];
    }
    if (rank === best && rank >= 0) {
      winners.push(candidate);
    }
  }
  return winners;
}

function sourceType({ sourceType: wanted }: FilterChainMatch, { remoteAddress, localAddress }: ConnectionInfo): number {
  if (wanted === "any") {
    return 0;
  }
  const isLocal = remoteAddress === localAddress || remoteAddress.startsWith("127.") || remoteAddress === "::1";
  return (wanted === "same_ip_or_loopback") === isLocal ? 1 : -1;
}

/** 0 without ranges, else 1 + the length of the longest that holds `address`, or -1. */
function longestPrefix(ranges: readonly CidrRange[], address: string): number {
  if (ranges.length === 0) {
    return 0;
  }
  const family = address.includes(":") ? "ipv6" : "ipv4";
  let longest = -1;
  for (const range of ranges) {
    const rangeFamily = range.address.includes(":") ? "ipv6" : "ipv4";
    if (rangeFamily !== family || range.prefixLength + 1 <= longest) {
      continue;
    }
    if (subnetOf(range, family).check(address, family)) {
      longest = range.prefixLength + 1;
    }
  }
  return longest;
}

/** Made once for a range: matching takes 200 ns, making the list ten times as long. */
const subnets = new WeakMap<CidrRange, BlockList>();

function subnetOf(range: CidrRange, family: "ipv4" | "ipv6"): BlockList {
  let list = subnets.get(range);
  if (list === undefined) {
    list = new BlockList();
    list.addSubnet(range.address, range.prefixLength, family);
    subnets.set(range, list);
  }
  return list;
}
