// WebAssembly plugins, as APISIX's config.yaml declares them → Envoy HTTP filters. Each configuration that a route has for a plugin becomes a
// filter of its own, which is off except for the routes that have it: so it runs on Envoy too.
// Source: https://apisix.apache.org/docs/apisix/wasm

import { join, resolve } from "node:path";
import type { PlainJson } from "../../xds/decode/yaml-document.ts";
import { CORS_FILTER, FAULT_FILTER } from "./plugins.ts";
import type { Section } from "./section.ts";
import type { Plain } from "./yaml-writer.ts";

export interface DeclaredPlugin {
  readonly priority: number;
  readonly file: string;
}

/** Priorities of APISIX's own plugins that become filters. */
const OWN = [
  { name: FAULT_FILTER, priority: 11_000, type: "fault.v3.HTTPFault" },
  { name: CORS_FILTER, priority: 4_000, type: "cors.v3.Cors" },
];

/** `wasm.plugins` by name; files are relative to `folder`. */
export function declaredPlugins(config: Section | undefined, folder: string): ReadonlyMap<string, DeclaredPlugin> {
  const plugins = new Map<string, DeclaredPlugin>();
  for (const each of config?.section("wasm")?.sections("plugins") ?? []) {
    const name = each.text("name") ?? "";
    const file = each.text("file") ?? "";
    const phase = each.text("http_request_phase");
    if (phase === "rewrite") {
      each.differs("filters run in the order of their priorities; there are no phases", "http_request_phase");
    }
    plugins.set(name, { priority: each.number("priority") ?? 0, file: resolve(join(folder, file)) });
    each.rest();
  }
  return plugins;
}

interface Filter {
  readonly priority: number;
  readonly name: string;
  readonly plain: Plain;
}

export class FilterList {
  readonly #declared: ReadonlyMap<string, DeclaredPlugin>;
  readonly #wasm = new Map<string, Filter>();
  readonly #counts = new Map<string, number>();
  readonly #own = new Set<string>();

  constructor(declared: ReadonlyMap<string, DeclaredPlugin>) {
    this.#declared = declared;
  }

  /** The name of the filter for a plugin with a configuration; `everywhere`: it is on for all routes. */
  use(plugin: string, configuration: PlainJson, everywhere: boolean): string {
    const text = typeof configuration === "string" ? configuration : JSON.stringify(configuration);
    const key = `${everywhere ? "all" : "some"} ${plugin} ${text}`;
    const known = this.#wasm.get(key);
    if (known !== undefined) {
      return known.name;
    }
    const name = this.#freeName(plugin);
    const { priority, file } = this.#declared.get(plugin) ?? { priority: 0, file: "" };
    const config = {
      name,
      root_id: plugin,
      ...(text === ""
        ? {}
        : { configuration: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: text } }),
      vm_config: { vm_id: plugin, runtime: "envoy.wasm.runtime.v8", code: { local: { filename: file } } },
    };
    const plain = {
      name,
      ...(everywhere ? {} : { disabled: true }),
      typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", config },
    };
    this.#wasm.set(key, { priority, name, plain });
    return name;
  }

  /** The plugin's, or with a number that no plugin's name has. */
  #freeName(plugin: string): string {
    let count = this.#counts.get(plugin) ?? 0;
    let name = plugin;
    do {
      count++;
      name = count === 1 ? plugin : `${plugin}-${count}`;
    } while (count > 1 && this.#declared.has(name));
    this.#counts.set(plugin, count);
    return name;
  }

  useOwn(name: string): void {
    this.#own.add(name);
  }

  /** In the order in which APISIX runs them: the highest priority first. */
  get all(): readonly Plain[] {
    const own = OWN.filter(({ name }) => this.#own.has(name)).map(({ name, priority, type }) => ({
      priority,
      name,
      plain: { name, typed_config: { "@type": `type.googleapis.com/envoy.extensions.filters.http.${type}` } },
    }));
    const sorted = [...own, ...this.#wasm.values()].toSorted((a, b) => b.priority - a.priority);
    return sorted.map(({ plain }) => plain);
  }
}
