// Whether the certificates of a resource can be used: a secret's own, those inline in a cluster's or listener's TLS contexts,
// and the static secrets that these name. Reads files. Called by secrets.ts, and for a bootstrap and its files.

import type { Issue } from "../decode/issues.ts";
import type { Resource } from "../decode/resource.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Listener } from "../model/listener.ts";
import type { Secret, TlsContext } from "../model/tls.ts";
import { loadSecret } from "./material.ts";
import type { Loaded, LoadedSecret } from "./material.ts";
import type { Environment } from "./read-data.ts";
import { contextProblem } from "./tls-material.ts";
import type { StaticLookup } from "./tls-material.ts";

export class SecretCheck {
  readonly #static: StaticSecrets;
  readonly #environment: Environment;

  /** `staticSecrets`: the bootstrap's. */
  constructor(staticSecrets: readonly Secret[], environment: Environment) {
    this.#static = new StaticSecrets(staticSecrets, environment);
    this.#environment = environment;
  }

  /** `load` reads a secret; default loadSecret(). */
  issues(resource: Resource, load?: (secret: Secret) => Loaded<LoadedSecret>): readonly Issue[] {
    if (resource.kind === "secret") {
      const loaded = load?.(resource.value) ?? loadSecret(resource.value, this.#environment);
      return loaded.ok ? [] : [{ path: resource.value.kind, problem: loaded.problem }];
    }
    if (resource.kind === "cluster") return this.#contextIssues(clusterContexts(resource.value));
    return resource.kind === "listener" ? this.#contextIssues(listenerContexts(resource.value)) : [];
  }

  /** Of a bootstrap's own clusters and listeners; paths start at the bootstrap. */
  bootstrapIssues({ clusters, listeners }: Bootstrap): Issue[] {
    const at = (list: string, index: number, contexts: readonly PlacedContext[]) =>
      this.#contextIssues(
        contexts.map(({ path, tls }) => ({ path: `static_resources.${list}[${index}].${path}`, tls })),
      );
    return [
      ...clusters.flatMap((cluster, index) => at("clusters", index, clusterContexts(cluster))),
      ...listeners.flatMap((listener, index) => at("listeners", index, listenerContexts(listener))),
    ];
  }

  #contextIssues(contexts: readonly PlacedContext[]): Issue[] {
    return contexts.flatMap(({ path, tls }) => {
      const problem = contextProblem(tls, this.#static, this.#environment);
      return problem === undefined ? [] : [{ path, problem }];
    });
  }
}

/** Read when somebody names one: one that nobody uses may be broken, as in Envoy. */
class StaticSecrets implements StaticLookup {
  readonly #secrets: ReadonlyMap<string, Secret>;
  readonly #environment: Environment;

  constructor(secrets: readonly Secret[], environment: Environment) {
    this.#secrets = new Map(secrets.map((secret) => [secret.name, secret]));
    this.#environment = environment;
  }

  problemOf(name: string): string {
    const secret = this.#secrets.get(name);
    if (secret === undefined) return "";
    const loaded = loadSecret(secret, this.#environment);
    return loaded.ok ? "" : loaded.problem;
  }

  get(name: string): LoadedSecret | undefined {
    const secret = this.#secrets.get(name);
    if (secret === undefined) return undefined;
    const loaded = loadSecret(secret, this.#environment);
    return loaded.ok ? loaded.value : undefined;
  }
}

/** A TLS context with the path of the field that holds it. */
export type PlacedContext = Readonly<{ path: string; tls: TlsContext }>;

export function clusterContexts({ tls, socketMatches }: Cluster): PlacedContext[] {
  const found: PlacedContext[] = tls === undefined ? [] : [{ path: "transport_socket", tls }];
  for (const [index, match] of socketMatches.entries()) {
    const path = `transport_socket_matches[${index}].transport_socket`;
    if (match.tls !== undefined) found.push({ path, tls: match.tls });
  }
  return found;
}

export function listenerContexts({ filterChains, defaultFilterChain }: Listener): PlacedContext[] {
  const found = filterChains.flatMap(({ tls }, index) =>
    tls === undefined ? [] : [{ path: `filter_chains[${index}].transport_socket`, tls }],
  );
  const last = defaultFilterChain?.tls;
  return last === undefined ? found : [...found, { path: "default_filter_chain.transport_socket", tls: last }];
}
