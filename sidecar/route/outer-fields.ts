// What two versions of a route configuration have in common around their virtual hosts: when it is all, a virtual host that did
// not change means the same as before. Used by route-table.ts and route-patch.ts. Pure.

import type { RouteConfiguration } from "../../xds/model/route.ts";

/** Whether all but the virtual hosts are the same values or objects. */
export function isOuterSame(a: RouteConfiguration, b: RouteConfiguration): boolean {
  const fields = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof RouteConfiguration>;
  fields.delete("virtualHosts");
  return [...fields].every((field) => a[field] === b[field]);
}
