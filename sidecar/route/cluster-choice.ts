// Which cluster a forwarding route sends a request to: a fixed one, one that a header names, or one of several by weight.
// Compiled by route-table.ts. Source: envoy.config.route.v3.RouteAction.cluster_specifier, WeightedCluster.
// Hot path: fixed and weighted choices hand out objects made at compile time.

import type { RequestHead } from "../http/message.ts";
import type { FormatContext } from "../telemetry/format-operator.ts";
import type { ForwardAction, HeaderMutations, PerFilterConfig, WeightedCluster } from "../../xds/model/route.ts";
import type { FilterOverrides } from "./filter-overrides.ts";
import { compileMutations, levelsOf, type MutationList } from "./header-mutations.ts";
import { wireText } from "./request-value.ts";
import { compileHostRewrite, type HostRewriteRule, type RequestRewrite, type TextRewrite } from "./rewrite.ts";

/** What a picked cluster brings with it. */
export interface ClusterPick {
  /** Empty when the header that should name it is missing: answer with the route's clusterNotFoundStatus. */
  readonly clusterName: string;
  /** What all levels say of HTTP filters, the weighted cluster's included; undefined when nothing. */
  readonly filterOverrides: FilterOverrides | undefined;
  /** All levels, the weighted cluster's included. */
  readonly requestMutations: MutationList | undefined;
  readonly responseMutations: MutationList | undefined;
  /** For `rewriteRequest`; undefined when host and path stay as they are. */
  readonly rewrite: RequestRewrite | undefined;
}

export interface ClusterChooser {
  /** `random` in [0, 1). */
  pick(head: RequestHead, random: number): ClusterPick;
  /** Names that are known in advance, for validate_clusters. */
  readonly names: readonly string[];
}

export interface ChooserContext {
  /** Route, virtual host, route configuration: most specific first. */
  readonly levels: readonly HeaderMutations[];
  readonly mostSpecificWins: boolean;
  /** What the route and its outer levels say of HTTP filters, and before them a weighted cluster. */
  readonly overridesOf: (weighted: PerFilterConfig | undefined) => FilterOverrides | undefined;
  readonly pathRewrite: TextRewrite | undefined;
  readonly format: FormatContext;
  readonly problems: string[];
}

export function compileClusterChoice(action: ForwardAction, context: ChooserContext): ClusterChooser {
  const choice = action.cluster;
  switch (choice.kind) {
    case "cluster": {
      const pick = compilePick(action, undefined, choice.name, context);
      return { names: [choice.name], pick: () => pick };
    }
    case "header": {
      const pick = compilePick(action, undefined, "", context);
      const header = choice.header.toLowerCase();
      return { names: [], pick: (head) => named(pick, head, header) };
    }
    case "weighted": {
      const entries = choice.clusters.filter(({ weight }) => weight > 0);
      const picks = entries.map((entry) => compilePick(action, entry, entry.name, context));
      if (picks.length === 0) {
        context.problems.push("Weighted clusters must have a total weight above 0");
        picks.push(compilePick(action, undefined, "", context));
      }
      return weightedChooser(entries, picks, choice.randomHeader.toLowerCase());
    }
  }
}

function compilePick(
  action: ForwardAction,
  entry: WeightedCluster | undefined,
  clusterName: string,
  { levels, mostSpecificWins, overridesOf, format, problems, pathRewrite }: ChooserContext,
): ClusterPick {
  // Envoy 1.40 applies a weighted cluster's own changes first in either order, so that it never wins.
  const ordered = [...(entry === undefined ? [] : [entry.headers]), ...levelsOf(mostSpecificWins, levels)];
  const hostRewrite = compileHostRewrite(action, problems);
  return {
    clusterName,
    filterOverrides: overridesOf(entry?.perFilterConfig),
    requestMutations: compileMutations(ordered, "request", format, problems),
    responseMutations: compileMutations(ordered, "response", format, problems),
    rewrite: compileRewrite(action, pathRewrite, hostRewrite, wireText(entry?.hostRewrite ?? "")),
  };
}

function compileRewrite(
  action: ForwardAction,
  pathRewrite: TextRewrite | undefined,
  hostRewrite: HostRewriteRule | undefined,
  weightedHost: string,
): RequestRewrite | undefined {
  const isAutoHost = action.hostRewrite?.kind === "auto";
  if (pathRewrite === undefined && hostRewrite === undefined && weightedHost === "" && !isAutoHost) {
    return undefined;
  }
  return { pathRewrite, weightedHost, hostRewrite, isAutoHost, appendXForwardedHost: action.appendXForwardedHost };
}

/** `pick` with the cluster's name from a header. */
function named(pick: ClusterPick, head: RequestHead, header: string): ClusterPick {
  const clusterName = head.headers.get(header);
  return clusterName === undefined ? pick : { ...pick, clusterName };
}

function weightedChooser(
  entries: readonly WeightedCluster[],
  picks: readonly ClusterPick[],
  randomHeader: string,
): ClusterChooser {
  let total = 0;
  const thresholds = entries.map(({ weight }) => (total += weight));
  return {
    names: entries.flatMap(({ name }) => (name === "" ? [] : [name])),
    pick(head, random) {
      const fromHeader = randomHeader === "" ? -1 : headerRandom(head.headers.get(randomHeader), total);
      const point = fromHeader < 0 ? Math.floor(random * total) : fromHeader;
      const at = indexAbove(thresholds, point);
      const pick = picks[at] as ClusterPick;
      const header = entries[at]?.clusterHeader ?? "";
      return header === "" ? pick : named(pick, head, header.toLowerCase());
    },
  };
}

/** First index whose threshold is above `point`; the last one when none is. */
function indexAbove(thresholds: readonly number[], point: number): number {
  let low = 0;
  let high = Math.max(0, thresholds.length - 1);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((thresholds[middle] as number) > point) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

const UINT64_MAX = "18446744073709551615";

/** An unsigned 64-bit decimal modulo `total`, or -1 when it is not one. */
function headerRandom(value: string | undefined, total: number): number {
  if (value === undefined || !/^\d{1,20}$/.test(value) || (value.length === 20 && value > UINT64_MAX)) {
    return -1;
  }
  let remainder = 0;
  for (let at = 0; at < value.length; at++) {
    remainder = (remainder * 10 + value.charCodeAt(at) - 48) % total;
  }
  return remainder;
}
