// Leaves out warnings about static clusters that do not apply, because requests are not proxied to them: those of control
// planes speak HTTP/2 and TLS by gRPC, those of span collectors HTTP/2. Called by bootstrap-file.ts.

import type { Bootstrap as BootstrapMessage } from "../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { ApiConfigSource, ConfigSource } from "../model/config-source.ts";
import type { Warning } from "./issues.ts";

export function quietGrpcClusters(
  warnings: readonly Warning[],
  message: BootstrapMessage,
  value: Bootstrap | undefined,
): readonly Warning[] {
  const servers = new Set([...adsServers(message), ...(value === undefined ? [] : otherServers(value))]);
  const collectors = new Set(value === undefined ? [] : collectorsOf(value));
  const prefixes = (names: ReadonlySet<string>, rest: string) =>
    (message.staticResources?.clusters ?? []).flatMap(({ name }, index) =>
      names.has(name) ? `static_resources.clusters[${index}].${rest}` : [],
    );
  const loud = prefixes(collectors, "transport_socket").filter(
    (prefix) => !prefixes(servers, "transport_socket").includes(prefix),
  );
  const quiet = [...prefixes(servers, ""), ...prefixes(collectors, "")];
  const startsWithAny = (path: string, all: readonly string[]) => all.some((prefix) => path.startsWith(prefix));
  return warnings.filter(({ path }) => !startsWithAny(path, quiet) || startsWithAny(path, loud));
}

/** From the message: also when something else of the bootstrap was refused. */
function adsServers(message: BootstrapMessage): readonly string[] {
  const services = message.dynamicResources?.adsConfig?.grpcServices ?? [];
  return services.flatMap(({ targetSpecifier: target }) =>
    target.case === "envoyGrpc" ? target.value.clusterName : [],
  );
}

/** Of LDS, CDS and secrets that have servers of their own. */
function otherServers({ lds, cds, clusters, listeners }: Bootstrap): readonly string[] {
  const contexts = [
    ...clusters.flatMap(({ tls, socketMatches }) => [tls, ...socketMatches.map((match) => match.tls)]),
    ...listeners.flatMap(({ filterChains, defaultFilterChain }) =>
      [...filterChains, defaultFilterChain].map((chain) => chain?.tls),
    ),
  ];
  const secrets = contexts.flatMap((tls) => [...(tls?.certificateSecrets ?? []), tls?.validationSecret]);
  return [lds, cds, ...secrets.map((secret) => secret?.source)].flatMap(serversOf);
}

function serversOf(source: ConfigSource | ApiConfigSource | undefined): readonly string[] {
  if (source?.kind !== "api") return [];
  return source.servers.flatMap(({ kind, name }) => (kind === "cluster" ? name : []));
}

function collectorsOf({ listeners }: Bootstrap): readonly string[] {
  return listeners.flatMap(({ filterChains, defaultFilterChain }) =>
    [...filterChains, defaultFilterChain].flatMap((chain) => {
      const collector = chain?.filter.kind === "http" ? chain.filter.tracing?.provider?.export : undefined;
      return collector?.kind === "grpc" ? collector.cluster : [];
    }),
  );
}
