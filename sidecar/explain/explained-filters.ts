// The filters that a request of a route passes, with what the route says of them.

import type { HttpFilter } from "../../xds/model/listener.ts";
import type { FilterOverrides } from "../route/filter-overrides.ts";
import type { RouteMatch } from "../route/route-table.ts";
import type { ExplainedFilter } from "./explanation.ts";

const MAX_CONFIGURATION_CHARS = 1_000;

/** `overrides` and `match`: of the route; undefined where none matches. */
export function filterView(
  { name, disabled, config, matcher }: HttpFilter,
  overrides: FilterOverrides | undefined,
  match: RouteMatch | undefined,
): ExplainedFilter {
  const override = overrides?.get(name);
  const plugin = override?.plugin ?? (config.kind === "wasm" ? config.plugin : undefined);
  const configuration = override?.configuration ?? plugin?.configuration;
  const kind =
    plugin === undefined
      ? config.kind === "builtin"
        ? config.filter.kind
        : config.kind === "discovered"
          ? "by ECDS"
          : config.kind
      : `plugin ${plugin.name}`;
  return {
    name,
    kind: (override?.matcher ?? matcher) === undefined ? kind : `${kind}, under a tree of matchers`,
    active: !(override?.disabled ?? disabled),
    by: override === undefined ? "" : levelOf(name, match),
    ...(plugin === undefined && override?.configuration === undefined
      ? {}
      : { configuration: configurationText(configuration ?? new Uint8Array()) }),
  };
}

/** The most specific level that names the filter counts alone. */
function levelOf(filter: string, match: RouteMatch | undefined): string {
  if (match?.route !== undefined && Object.hasOwn(match.route.perFilterConfig, filter)) {
    return "route";
  }
  return match !== undefined && Object.hasOwn(match.virtualHost.perFilterConfig, filter)
    ? "virtual host"
    : "route configuration or weighted cluster";
}

function configurationText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, 4 * MAX_CONFIGURATION_CHARS)).toString("utf8");
  return text.length <= MAX_CONFIGURATION_CHARS ? text : `${text.slice(0, MAX_CONFIGURATION_CHARS)}…`;
}
