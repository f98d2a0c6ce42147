// One `path_config_source`: a file that holds resources of a type, read at the start and whenever another file is moved
// into its place. Changes in place are not followed, as in Envoy: a file that is being written is not complete.
// A file that cannot be read or does not parse leaves the last good resources in use. Made by sources.ts.

import { stat } from "node:fs/promises";
import type { Clock } from "./clock.ts";
import type { FileResource, LoadedResources } from "./decode/resources-file.ts";
import { formatLocated } from "./decode/yaml-document.ts";
import { watchFile } from "./file-watch.ts";
import type { XdsLog } from "./log.ts";

export type PathSourceDeps = Readonly<{
  path: string;
  /** Empty means the file's own directory. */
  watchedDirectory: string;
  load(path: string): LoadedResources;
  /** `version` is empty when the file gives none. */
  onLoaded(version: string, resources: readonly FileResource[]): void;
  /** `status` has changed. */
  onChange(): void;
  clock: Clock;
  log: XdsLog;
}>;

export type PathStatus = Readonly<{ path: string; lastError: string; loadedAt: number | undefined }>;

const QUIET_MS = 20;

export class PathSource {
  readonly #deps: PathSourceDeps;
  #unwatch: () => void = () => {};
  #isClosed = false;
  #isLoading = false;
  #isStale = false;
  #identity = "";
  #status: PathStatus;

  constructor(deps: PathSourceDeps) {
    this.#deps = deps;
    this.#status = { path: deps.path, lastError: "", loadedAt: undefined };
  }

  get status(): PathStatus {
    return this.#status;
  }

  start(): void {
    const { path, watchedDirectory, clock } = this.#deps;
    const directory = watchedDirectory === "" ? {} : { directory: watchedDirectory };
    this.#unwatch = watchFile({ path, ...directory, quietMs: QUIET_MS, clock, onChange: () => void this.#reload() });
    void this.#reload();
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatch();
  }

  async #reload(): Promise<void> {
    this.#isStale = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false;
      await this.#loadIfMoved();
    }
    this.#isLoading = false;
  }

  async #loadIfMoved(): Promise<void> {
    const { path, load, onLoaded, clock } = this.#deps;
    const identity = await identityOf(path);
    // The same file as last time, and it was good: written in place, or something else in the directory.
    if (identity === this.#identity && this.#status.lastError === "") return;
    if (this.#isClosed) return;
    const loaded = load(path);
    this.#identity = identity;
    if (loaded.ok) {
      this.#status = { path, lastError: "", loadedAt: clock.now() };
      onLoaded(loaded.version, loaded.resources);
      this.#deps.onChange();
      return;
    }
    const reason = loaded.issues.map(formatLocated).join("\n");
    if (reason !== this.#status.lastError) this.#deps.log.warn("configuration file refused", { path, reason });
    this.#status = { ...this.#status, lastError: reason };
    this.#deps.onChange();
  }
}

/** Changes when another file is at the path, also behind symbolic links; "" when there is none. */
async function identityOf(path: string): Promise<string> {
  try {
    const { dev, ino } = await stat(path);
    return `${dev}:${ino}`;
  } catch {
    return "";
  }
}
