// Where a cluster's endpoints are, for the main thread's own calls: plugin code, spans. Pure; supervisor.ts hands it out.
// Data workers have hosts, health and balancing instead (cluster/).

import type { Snapshot } from "../xds/model/snapshot.ts";
import { needsTls } from "./cluster/transport-socket.ts";

/** Addresses as configured (names are not resolved), the lowest priority number first; undefined: there is no such cluster. Those that need TLS only when the caller speaks it. */
export function endpointsOf(
  name: string,
  snapshot: Pick<Snapshot, "clusters" | "endpoints"> | undefined,
  isSecure = false,
): readonly { readonly host: string; readonly port: number }[] | undefined {
  const cluster = snapshot?.clusters.get(name);
  if (cluster === undefined) {
    return undefined;
  }
  const { discovery } = cluster;
  switch (discovery.kind) {
    case "original_dst":
      return [];
    case "eds":
    case "static":
    case "strict_dns":
    case "logical_dns": {
      const assignment =
        discovery.kind === "eds" ? snapshot?.endpoints.get(discovery.serviceName) : discovery.assignment;
      const localities = (assignment?.localities ?? []).toSorted((a, b) => a.priority - b.priority);
      const usable = localities.flatMap(({ endpoints }) =>
        endpoints.filter(
          ({ health, socketMatch }) =>
            health !== "unhealthy" && health !== "draining" && (isSecure || !needsTls(cluster, socketMatch)),
        ),
      );
      return usable.flatMap(({ address }) =>
        address.kind === "tcp" ? { host: address.host, port: address.port } : [],
      );
    }
  }
}
