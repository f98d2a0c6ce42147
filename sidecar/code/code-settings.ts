// The runtime keys and environment variables that say how plugin code is fetched and kept, with their defaults. Read anew for
// each fetch, so that RTDS can change them. Pure; README.md of this folder lists them.

import { join } from "node:path";
import { numberSetting, type RuntimeSettings } from "../runtime-settings.ts";

export interface CodeSettings {
  /** Largest module, fetched or unpacked. */
  readonly maxBytes: number;
  /** Longest time of one load with all its attempts. */
  readonly deadlineMs: number;
  /** Empty: nothing is kept on disk. */
  readonly cacheFolder: string;
  readonly cacheBytes: number;
  /** Registries that are spoken to without TLS, as `host` or `host:port`. */
  readonly insecureRegistries: ReadonlySet<string>;
  /** Docker configuration files with pull secrets, those that count more first. */
  readonly secretFiles: readonly string[];
  /** The same as a text. */
  readonly secretText: string;
}

const MIB = 1024 * 1024;

export function codeSettings(
  runtime: RuntimeSettings,
  environment: Readonly<Record<string, string | undefined>>,
): CodeSettings {
  const number = (key: string, fallback: number): number =>
    numberSetting(runtime, `outrigger.wasm.${key}`, "", fallback);
  const text = (key: string): string | undefined => {
    const value = runtime[`outrigger.wasm.${key}`];
    return typeof value === "string" ? value : undefined;
  };
  const secretFile = text("pull_secrets_file") ?? "";
  const dockerConfig = environment["DOCKER_CONFIG"] ?? "";
  return {
    // Four times what a big Go plugin has.
    maxBytes: number("max_module_mib", 64) * MIB,
    deadlineMs: number("load_deadline_ms", 120_000),
    cacheFolder: text("code_cache_dir") ?? defaultFolder(environment),
    cacheBytes: number("code_cache_mib", 512) * MIB,
    insecureRegistries: new Set(
      (text("insecure_registries") ?? "").split(",").flatMap((name) => name.trim().toLowerCase() || []),
    ),
    secretFiles: [secretFile, dockerConfig === "" ? "" : join(dockerConfig, "config.json")].filter(
      (each) => each !== "",
    ),
    secretText: environment["OUTRIGGER_PULL_SECRETS"] ?? "",
  };
}

/** XDG base directories; empty without a home. */
function defaultFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const [cache = "", home = ""] = [environment["XDG_CACHE_HOME"], environment["HOME"]];
  const root = cache.startsWith("/") ? cache : home.startsWith("/") ? join(home, ".cache") : "";
  return root === "" ? "" : join(root, "outrigger", "modules");
}
