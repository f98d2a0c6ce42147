// Which transport socket a host has: the first of a cluster's matches that the host's metadata has all of, else the
// cluster's own. Source: envoy.config.cluster.v3.Cluster.transport_socket_matches. TLS to upstreams is not supported yet:
// hosts that need it are not used, because to speak in the clear instead would be a hole.

import { isDeepStrictEqual } from "node:util";
import type { Cluster } from "../../xds/model/cluster.ts";
import type { SocketMatch } from "../../xds/model/endpoints.ts";

type Sockets = Pick<Cluster, "tls" | "socketMatches">;

/** Whether some host of the cluster may need TLS. */
export function usesTls({ tls, socketMatches }: Sockets): boolean {
  return tls !== undefined || socketMatches.some((each) => each.tls !== undefined);
}

/** `given`: what the host's metadata says. */
export function needsTls({ tls, socketMatches }: Sockets, given: SocketMatch | undefined): boolean {
  for (const candidate of socketMatches) {
    if (hasAll(given, candidate.match)) {
      return candidate.tls !== undefined;
    }
  }
  return tls !== undefined;
}

function hasAll(given: SocketMatch | undefined, wanted: SocketMatch): boolean {
  return Object.entries(wanted).every(([key, value]) => isDeepStrictEqual(given?.[key], value));
}
