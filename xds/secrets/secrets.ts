// Secrets on the main thread: whether a resource's certificates can be used, which secrets are in use, and what a TLS context
// comes to. Joins keyring.ts (what was read) and tls-material.ts (what a context makes of it). Owned by client.ts.

import type { Clock } from "../clock.ts";
import type { Issue } from "../decode/issues.ts";
import type { Resource } from "../decode/resource.ts";
import type { XdsLog } from "../log.ts";
import type { Bootstrap } from "../model/bootstrap.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Listener } from "../model/listener.ts";
import type { Secret, TlsContext } from "../model/tls.ts";
import { contextCertificates } from "./certificate-views.ts";
import type { ContextCertificates } from "./certificate-views.ts";
import { Keyring } from "./keyring.ts";
import { loadSecret } from "./material.ts";
import type { Loaded, LoadedSecret } from "./material.ts";
import type { Environment } from "./read-data.ts";
import { contextProblem, tlsMaterial } from "./tls-material.ts";
import type { SecretLookup, TlsMaterial } from "./tls-material.ts";

export type SecretsDeps = Readonly<{
  /** The bootstrap's. */
  staticSecrets: readonly Secret[];
  environment: Environment;
  clock: Clock;
  log: XdsLog;
  /** A secret's files changed: another value is in use, or the change could not be used. */
  onChange(): void;
}>;

export class Secrets implements SecretLookup {
  readonly #environment: Environment;
  readonly #keyring: Keyring;
  readonly #static: StaticSecrets;

  constructor(deps: SecretsDeps) {
    this.#environment = deps.environment;
    this.#keyring = new Keyring(deps);
    this.#static = new StaticSecrets(deps.staticSecrets, deps.environment);
  }

  /** What refuses a resource beyond what its bytes say; reads files. */
  issues(resource: Resource): readonly Issue[] {
    if (resource.kind === "secret") {
      const problem = this.#keyring.check(resource.value);
      return problem === undefined ? [] : [{ path: resource.value.kind, problem }];
    }
    if (resource.kind === "cluster") return issuesOf(clusterContexts(resource.value), this.#static, this.#environment);
    if (resource.kind !== "listener") return [];
    return issuesOf(listenerContexts(resource.value), this.#static, this.#environment);
  }

  /** Makes these the secrets in use. True when that changed anything. */
  use(secrets: ReadonlyMap<string, Secret>): boolean {
    return this.#keyring.use(secrets);
  }

  get(name: string): LoadedSecret | undefined {
    return this.#keyring.get(name);
  }

  /** Envoy's names → values, of what its files did. */
  stats(secrets: ReadonlyMap<string, Secret>): Record<string, number> {
    const values: Record<string, number> = {};
    for (const name of secrets.keys()) values[`sds.${name}.key_rotation_failed`] = this.#keyring.rotationFailures(name);
    return values;
  }

  /** The certificates in use, one entry for each TLS context that has what it needs. */
  certificates(clusters: Iterable<Cluster>, listeners: Iterable<Listener>): ContextCertificates[] {
    const contexts = [...[...clusters].flatMap(clusterContexts), ...[...listeners].flatMap(listenerContexts)];
    return contexts.flatMap(({ tls }) => {
      const material = this.material(tls);
      return material.ok ? contextCertificates(material.value) : [];
    });
  }

  /** What a context comes to now; not ok while a secret is missing. */
  material(tls: TlsContext): Loaded<TlsMaterial> {
    return tlsMaterial(tls, this.#keyring, this.#environment);
  }

  close(): void {
    this.#keyring.close();
  }
}

/** Read when somebody names one: one that nobody uses may be broken, as in Envoy. */
class StaticSecrets implements SecretLookup {
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
type PlacedContext = Readonly<{ path: string; tls: TlsContext }>;

function clusterContexts({ tls, socketMatches }: Cluster): PlacedContext[] {
  const found: PlacedContext[] = tls === undefined ? [] : [{ path: "transport_socket", tls }];
  for (const [index, match] of socketMatches.entries()) {
    const path = `transport_socket_matches[${index}].transport_socket`;
    if (match.tls !== undefined) found.push({ path, tls: match.tls });
  }
  return found;
}

function listenerContexts({ filterChains, defaultFilterChain }: Listener): PlacedContext[] {
  const found = filterChains.flatMap(({ tls }, index) =>
    tls === undefined ? [] : [{ path: `filter_chains[${index}].transport_socket`, tls }],
  );
  const last = defaultFilterChain?.tls;
  return last === undefined ? found : [...found, { path: "default_filter_chain.transport_socket", tls: last }];
}

function issuesOf(contexts: readonly PlacedContext[], secrets: StaticSecrets, environment: Environment): Issue[] {
  return contexts.flatMap(({ path, tls }) => {
    const problem = contextProblem(tls, secrets, environment);
    return problem === undefined ? [] : [{ path, problem }];
  });
}

/** What is wrong with the certificates of a bootstrap's own clusters and listeners; paths start at the bootstrap. */
export function bootstrapTlsIssues(bootstrap: Bootstrap, environment: Environment): Issue[] {
  const secrets = new StaticSecrets(bootstrap.secrets, environment);
  const at = (list: string, index: number, contexts: readonly PlacedContext[]) =>
    issuesOf(
      contexts.map(({ path, tls }) => ({ path: `static_resources.${list}[${index}].${path}`, tls })),
      secrets,
      environment,
    );
  return [
    ...bootstrap.clusters.flatMap((cluster, index) => at("clusters", index, clusterContexts(cluster))),
    ...bootstrap.listeners.flatMap((listener, index) => at("listeners", index, listenerContexts(listener))),
  ];
}
