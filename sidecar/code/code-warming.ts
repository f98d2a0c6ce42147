// Plugins on their way to the workers: those whose code is at hand go on at once, those whose code is being fetched are held
// back without holding anything else, and those whose code cannot be had are tried again, later and later.
// publisher.ts asks for each plugin of each snapshot, and is told when asking again makes sense.

import type { PluginModule } from "../../plugins/plugin-module.ts";
import type { PluginConfig } from "../../xds/model/plugin-config.ts";
import type { PluginCodeLoader } from "./code-loader.ts";

export type PreparedPlugin =
  /** As workers take it: its code is the key of `module`. */
  | { readonly kind: "ready"; readonly plugin: PluginConfig; readonly module: PluginModule }
  /** `standIn`, for remote code: the plugin without code, whose failure policy applies. */
  | { readonly kind: "failed"; readonly problem: string; readonly standIn: PluginConfig | undefined }
  | { readonly kind: "warming" };

export interface CodeWarmingDeps {
  readonly code: Pick<PluginCodeLoader, "poll" | "environmentOf">;
  /** Something that was "warming" no longer is, or something that had failed is worth another try. */
  readonly onChanged: () => void;
  /** Default: a timer that does not keep the process alive. Returns what cancels it. */
  readonly schedule?: (delayMs: number, run: () => void) => () => void;
}

/** The first is a little longer than a failure is remembered (remote-code.ts). */
const FIRST_RETRY_MS = 10_500;
const LAST_RETRY_MS = 300_000;

export class CodeWarming {
  readonly #deps: CodeWarmingDeps;
  readonly #watched = new Set<PluginConfig>();
  #cancelRetry: (() => void) | undefined = undefined;
  #retryMs = FIRST_RETRY_MS;
  #hasFailed = false;

  constructor(deps: CodeWarmingDeps) {
    this.#deps = deps;
  }

  /** Waits for local code only. */
  async prepare(plugin: PluginConfig): Promise<PreparedPlugin> {
    const { code } = this.#deps;
    if (plugin.code.kind === "missing") {
      return { kind: "failed", problem: plugin.code.problem, standIn: plugin };
    }
    const polled = code.poll(plugin);
    const isRemote = plugin.code.kind === "remote";
    if (polled instanceof Promise && isRemote) {
      this.#watch(plugin, polled);
      return { kind: "warming" };
    }
    const loaded = await polled;
    const environment = code.environmentOf(plugin);
    if (loaded.ok) {
      const sent = { ...plugin, environment, code: { kind: "module", digest: loaded.module.key } } as const;
      return { kind: "ready", plugin: sent, module: loaded.module };
    }
    const { problem } = loaded;
    this.#hasFailed ||= isRemote;
    const standIn = isRemote ? ({ ...plugin, environment, code: { kind: "missing", problem } } as const) : undefined;
    return { kind: "failed", problem, standIn };
  }

  /** A whole snapshot has been asked for: what failed is tried again after a while. */
  settled(): void {
    if (!this.#hasFailed) {
      if (this.#watched.size === 0) {
        this.#cancelRetry?.();
        this.#cancelRetry = undefined;
        this.#retryMs = FIRST_RETRY_MS;
      }
      return;
    }
    this.#hasFailed = false;
    if (this.#cancelRetry !== undefined) {
      return;
    }
    const schedule = this.#deps.schedule ?? startTimer;
    this.#cancelRetry = schedule(this.#retryMs, () => {
      this.#cancelRetry = undefined;
      this.#deps.onChanged();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  close(): void {
    this.#cancelRetry?.();
  }

  #watch(plugin: PluginConfig, loading: Promise<unknown>): void {
    if (this.#watched.has(plugin)) {
      return;
    }
    this.#watched.add(plugin);
    void loading.finally(() => {
      this.#watched.delete(plugin);
      this.#deps.onChanged();
    });
  }
}

function startTimer(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
