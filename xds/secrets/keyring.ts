// The accepted secrets, read: what new TLS connections use. Files are watched and read again when others are moved into
// their places; a change that cannot be used leaves the last good one in use and is counted. Owned by client.ts.
// Source: Envoy's sds_api.cc (secrets with files, watched_directory, key_rotation_failed).

import { statSync } from "node:fs";
import type { Clock } from "../clock.ts";
import { watchFile } from "../file-watch.ts";
import type { XdsLog } from "../log.ts";
import type { Secret } from "../model/tls.ts";
import { loadSecret, secretFiles } from "./material.ts";
import type { Loaded, LoadedSecret } from "./material.ts";
import type { Environment } from "./read-data.ts";

export type KeyringDeps = Readonly<{
  environment: Environment;
  clock: Clock;
  log: XdsLog;
  /** Another value is in use, or a change could not be used. */
  onChange(): void;
}>;

type Entry = {
  readonly secret: Secret;
  loaded: LoadedSecret | undefined;
  /** Since when, ms since the epoch. */
  usedSince: number;
  problem: string;
  rotationFailures: number;
  /** Identity of each file, to see which changes are moves. */
  identity: string;
  readonly unwatch: readonly (() => void)[];
};

/** Several files of one secret are moved one after the other. */
const QUIET_MS = 50;

export class Keyring {
  readonly #deps: KeyringDeps;
  readonly #entries = new Map<string, Entry>();
  /** What `check` has read, for the secret to be taken into use without reading it twice. */
  readonly #checked = new WeakMap<Secret, Loaded<LoadedSecret>>();

  constructor(deps: KeyringDeps) {
    this.#deps = deps;
  }

  /** What a secret comes to, kept for when it is taken into use. */
  check(secret: Secret): Loaded<LoadedSecret> {
    const loaded = loadSecret(secret, this.#deps.environment);
    this.#checked.set(secret, loaded);
    return loaded;
  }

  /** Makes these the secrets in use, each by the identity of its model. True when that changed anything. */
  use(secrets: ReadonlyMap<string, Secret>): boolean {
    let isChanged = false;
    for (const [name, secret] of secrets) {
      const known = this.#entries.get(name);
      if (known?.secret === secret) continue;
      this.#forget(name);
      this.#entries.set(name, this.#entry(name, secret, known?.rotationFailures ?? 0));
      isChanged = true;
    }
    for (const name of this.#entries.keys()) {
      if (secrets.has(name)) continue;
      this.#forget(name);
      isChanged = true;
    }
    return isChanged;
  }

  /** Undefined while there is no good value. */
  get(name: string): LoadedSecret | undefined {
    return this.#entries.get(name)?.loaded;
  }

  /** Why a secret has no good value, or its newest file is not in use; empty when all is well. */
  problemOf(name: string): string {
    return this.#entries.get(name)?.problem ?? "";
  }

  /** Since when new connections use its value, ms since the epoch; undefined while there is no good one. */
  usedSince(name: string): number | undefined {
    const entry = this.#entries.get(name);
    return entry?.loaded === undefined ? undefined : entry.usedSince;
  }

  /** Changes of files: those that could not be used. */
  rotationFailures(name: string): number {
    return this.#entries.get(name)?.rotationFailures ?? 0;
  }

  close(): void {
    for (const name of this.#entries.keys()) this.#forget(name);
  }

  #entry(name: string, secret: Secret, rotationFailures: number): Entry {
    const loaded = this.#checked.get(secret) ?? loadSecret(secret, this.#deps.environment);
    const files = secretFiles(secret);
    return {
      secret,
      loaded: loaded.ok ? loaded.value : undefined,
      usedSince: this.#deps.clock.now(),
      problem: loaded.ok ? "" : loaded.problem,
      rotationFailures,
      identity: identityOf(files),
      unwatch: files.map(({ path, directory }) => {
        const place = directory === "" ? {} : { directory };
        const onChange = () => this.#reload(name);
        return watchFile({ path, ...place, quietMs: QUIET_MS, clock: this.#deps.clock, onChange });
      }),
    };
  }

  #reload(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    const identity = identityOf(secretFiles(entry.secret));
    // Written in place, or something else in the directory: a file that is being written is not complete.
    if (identity === entry.identity && entry.problem === "") return;
    entry.identity = identity;
    const { clock, environment, log, onChange } = this.#deps;
    const loaded = loadSecret(entry.secret, environment);
    if (loaded.ok) {
      entry.loaded = loaded.value;
      entry.usedSince = clock.now();
      entry.problem = "";
      log.info("a secret's files changed and are in use", { secret: name });
      onChange();
      return;
    }
    if (entry.problem === loaded.problem) return;
    entry.problem = loaded.problem;
    entry.rotationFailures += 1;
    log.warn("a secret's files changed and cannot be used", { secret: name, reason: loaded.problem });
    onChange();
  }

  #forget(name: string): void {
    for (const unwatch of this.#entries.get(name)?.unwatch ?? []) unwatch();
    this.#entries.delete(name);
  }
}

/** Changes when another file is at a path, also behind symbolic links. */
function identityOf(files: readonly { readonly path: string }[]): string {
  return files
    .map(({ path }) => {
      try {
        const { dev, ino } = statSync(path);
        return `${dev}:${ino}`;
      } catch {
        return "";
      }
    })
    .join(" ");
}
