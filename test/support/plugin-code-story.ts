// Plugins whose code comes from somewhere, for integration stories: their filters, what their listeners answer, what /plugins says.

import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, guest, listener } from "./bootstrap-builder.ts";
import type { SidecarProcess } from "./sidecar-process.ts";

const TYPE = "type.googleapis.com/envoy";
const WASM_TYPE = `${TYPE}.extensions.filters.http.wasm.v3.Wasm`;
/** Runtime keys. */
export const NO_DISK_CACHE = { "outrigger.wasm.code_cache_dir": "" };

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export interface RemoteParts {
  /** Default: that of the guest `headers`. */
  readonly digest?: string;
  /** Default 0. */
  readonly retries?: number;
  /** Of one attempt; default 5s. */
  readonly timeout?: string;
}

/** Code that is fetched; `http://` of the cluster `code`. */
export function remote(uri: string, { digest, retries = 0, timeout = "5s" }: RemoteParts = {}): object {
  const http_uri = { uri, cluster: "code", timeout };
  const retry_policy = { num_retries: retries, retry_back_off: { base_interval: "0.01s" } };
  return { remote: { http_uri, sha256: digest ?? sha256(readFileSync(guest("headers"))), retry_policy } };
}

/** Code of a guest's file. */
export function local(name: string): object {
  return { local: { filename: guest(name) } };
}

export interface FilterParts {
  readonly policy?: string;
  readonly name?: string;
  readonly vm?: object;
}

/** A plugin's configuration; that of the guest `headers` is what setHeader() makes. */
export function plugin(
  code: object,
  value: string,
  { policy = "FAIL_CLOSED", name = "p", vm = {} }: FilterParts = {},
): object {
  const configuration = { "@type": "type.googleapis.com/google.protobuf.StringValue", value };
  return {
    "@type": WASM_TYPE,
    config: {
      name,
      failure_policy: policy,
      configuration,
      vm_config: { vm_id: name, runtime: "envoy.wasm.runtime.v8", code, ...vm },
    },
  };
}

export function filter(code: object, value: string, parts: FilterParts = {}): object {
  return { name: parts.name ?? "p", typed_config: plugin(code, value, parts) };
}

/** Makes the guest `headers` set `x-v` on responses. */
export function setHeader(value: string): string {
  return `response replace x-v ${value}`;
}

/** Status and `x-v` of the answer. */
export async function header(url: string): Promise<string> {
  const answer = await fetch(url);
  await answer.text();
  return `${answer.status} ${answer.headers.get("x-v") ?? ""}`;
}

interface PluginsAnswer {
  readonly plugins: readonly Record<string, unknown>[];
}

export async function pluginsOf(sidecar: SidecarProcess): Promise<readonly Record<string, unknown>[]> {
  const answer = await sidecar.adminJson<PluginsAnswer | readonly Record<string, unknown>[]>("/plugins");
  return "plugins" in answer ? answer.plugins : answer;
}

/** LDS or ECDS from a file that the test replaces. */
export class ChangingPlugin {
  readonly #kind: "listener" | "discovered";
  #version = 0;
  #folder = "";

  constructor(kind: "listener" | "discovered") {
    this.#kind = kind;
  }

  bootstrap(folder: string, clusters: readonly object[], code: object, value: string): object {
    this.#folder = folder;
    this.set(code, value);
    const source = (file: string): object => ({
      path_config_source: { path: join(folder, file) },
      resource_api_version: "V3",
    });
    const type_urls = [WASM_TYPE];
    const discovered = { name: "p", config_discovery: { config_source: source("plugins.json"), type_urls } };
    return bootstrap({
      clusters,
      runtime: NO_DISK_CACHE,
      ...(this.#kind === "listener"
        ? { more: { dynamic_resources: { lds_config: source("listeners.json") } } }
        : { listeners: [listener("in", { filters: [discovered] })] }),
    });
  }

  set(code: object, value: string): void {
    const resource =
      this.#kind === "listener"
        ? { "@type": `${TYPE}.config.listener.v3.Listener`, ...listener("in", { filters: [filter(code, value)] }) }
        : { "@type": `${TYPE}.config.core.v3.TypedExtensionConfig`, name: "p", typed_config: plugin(code, value) };
    const file = join(this.#folder, this.#kind === "listener" ? "listeners.json" : "plugins.json");
    writeFileSync(`${file}.new`, JSON.stringify({ version_info: String(++this.#version), resources: [resource] }));
    renameSync(`${file}.new`, file);
  }
}
