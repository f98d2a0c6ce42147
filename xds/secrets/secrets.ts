// Secrets on the main thread: whether a resource's certificates can be used, which secrets are in use, and what a TLS context
// comes to. Joins keyring.ts (what was read) and tls-material.ts (what a context makes of it). Owned by client.ts.

import type { Clock } from "../clock.ts";
import type { Issue } from "../decode/issues.ts";
import type { Resource } from "../decode/resource.ts";
import type { XdsLog } from "../log.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Listener } from "../model/listener.ts";
import type { Secret, TlsContext } from "../model/tls.ts";
import { contextCertificates } from "./certificate-views.ts";
import type { ContextCertificates } from "./certificate-views.ts";
import { Keyring } from "./keyring.ts";
import type { Loaded, LoadedSecret } from "./material.ts";
import type { Environment } from "./read-data.ts";
import { clusterContexts, listenerContexts, SecretCheck } from "./secret-check.ts";
import { tlsMaterial } from "./tls-material.ts";
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
  readonly #check: SecretCheck;

  constructor(deps: SecretsDeps) {
    this.#environment = deps.environment;
    this.#keyring = new Keyring(deps);
    this.#check = new SecretCheck(deps.staticSecrets, deps.environment);
  }

  /** What refuses a resource beyond what its bytes say; reads files. */
  issues(resource: Resource): readonly Issue[] {
    return this.#check.issues(resource, (secret) => this.#keyring.check(secret));
  }

  /** Makes these the secrets in use. True when that changed anything. */
  use(secrets: ReadonlyMap<string, Secret>): boolean {
    return this.#keyring.use(secrets);
  }

  get(name: string): LoadedSecret | undefined {
    return this.#keyring.get(name);
  }

  /** Since when new connections use a secret, ms since the epoch; undefined while it has no good value. */
  usedSince(name: string): number | undefined {
    return this.#keyring.usedSince(name);
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
