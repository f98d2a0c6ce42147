// APISIX's standalone files → an Envoy bootstrap that runs here and on Envoy. What cannot be translated is a finding with its place.
// Source: https://apisix.apache.org/docs/apisix/deployment-modes/#standalone, admin-api.md.
//
//   apisix.yaml ─▶ Section ─▶ routes, each with plugins of its own, its plugin_config and its service, and an upstream
//               ─▶ one virtual host for each domain: its own routes, then those of wider domains, then those of none

import { dirname } from "node:path";
import { parseYaml, type LocatedIssue, type YamlFile } from "../../xds/decode/yaml-document.ts";
import { conditions, pathMatch } from "./match.ts";
import { CORS_FILTER, emptyParts, FAULT_FILTER, type RouteParts, translatePlugins } from "./plugins.ts";
import { Findings, Section, type Finding } from "./section.ts";
import { translateTimeouts, translateUpstream, type Upstream } from "./upstreams.ts";
import { declaredPlugins, FilterList } from "./wasm.ts";
import type { Plain } from "./yaml-writer.ts";

export interface ApisixFile {
  readonly name: string;
  readonly text: string;
}

export type Translation =
  | { readonly ok: true; readonly bootstrap: Plain; readonly findings: readonly Finding[] }
  | { readonly ok: false; readonly issues: readonly LocatedIssue[] };

interface BuiltRoute {
  readonly hosts: readonly string[];
  readonly order: number;
  readonly priority: number;
  readonly route: Plain;
}

const DEFAULT_ROUTER = "radixtree_host_uri";
const HTTP = "type.googleapis.com/envoy.extensions.filters.http";
const NETWORK = "type.googleapis.com/envoy.extensions.filters.network";
const FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig";

/** `config`: config.yaml, where WebAssembly plugins and ports are declared. */
export function translateApisix(rules: ApisixFile, config: ApisixFile | undefined): Translation {
  const parsed = parseYaml(rules.text, rules.name);
  const settings = config === undefined ? undefined : parseYaml(config.text, config.name);
  const issues = [parsed, settings].flatMap((each) => (each?.ok === false ? each.issues : []));
  if (!parsed.ok || settings?.ok === false) {
    return { ok: false, issues };
  }
  const findings = new Findings();
  const root = rootOf(parsed.value, findings);
  const configRoot = settings === undefined || config === undefined ? undefined : rootOf(settings.value, findings);
  const translator = new Translator(root, configRoot, config === undefined ? "." : dirname(config.name), findings);
  return { ok: true, bootstrap: translator.bootstrap(), findings: findings.all };
}

function rootOf(file: YamlFile, findings: Findings): Section {
  return new Section(file, file.root, "", findings);
}

class Translator {
  readonly #root: Section;
  readonly #config: Section | undefined;
  readonly #findings: Findings;
  readonly #filters: FilterList;
  readonly #wasm: ReadonlyMap<string, unknown>;
  readonly #clusters = new Map<string, Plain>();
  readonly #services: ReadonlyMap<string, Section>;
  readonly #upstreams: ReadonlyMap<string, Section>;
  readonly #pluginConfigs: ReadonlyMap<string, Section>;
  /** By the section's path: each is translated once. */
  readonly #translated = new Map<string, Upstream | undefined>();
  readonly #names = new Set<string>();
  readonly #usedServices = new Map<string, readonly string[] | undefined>();

  constructor(root: Section, config: Section | undefined, folder: string, findings: Findings) {
    this.#root = root;
    this.#config = config;
    this.#findings = findings;
    const declared = declaredPlugins(config, folder);
    this.#wasm = declared;
    this.#filters = new FilterList(declared);
    this.#services = byId(root.sections("services"));
    this.#upstreams = byId(root.sections("upstreams"));
    this.#pluginConfigs = byId(root.sections("plugin_configs"));
  }

  bootstrap(): Plain {
    for (const rule of this.#root.sections("global_rules")) {
      this.#globalRule(rule);
    }
    const routes = this.#root.sections("routes").flatMap((route, i) => this.#route(route, i));
    for (const part of [...this.#services.values(), ...this.#pluginConfigs.values()]) {
      part.ignore(
        "id",
        "name",
        "desc",
        "labels",
        "create_time",
        "update_time",
        "plugins",
        "upstream",
        "upstream_id",
        "hosts",
        "enable_websocket",
      );
      part.rest();
    }
    this.#root.rest();
    const filters = [
      ...this.#filters.all,
      { name: "envoy.filters.http.router", typed_config: { "@type": `${HTTP}.router.v3.Router` } },
    ];
    return {
      admin: { address: socketAddress("127.0.0.1", 15_000) },
      static_resources: {
        listeners: this.#ports().map(({ host, port }) => ({
          name: `apisix-${port}`,
          address: socketAddress(host, port),
          filter_chains: [
            {
              filters: [
                {
                  name: "envoy.filters.network.http_connection_manager",
                  typed_config: {
                    "@type": `${NETWORK}.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: "apisix",
                    upgrade_configs: [{ upgrade_type: "websocket", enabled: false }],
                    route_config: {
                      name: "apisix",
                      ignore_port_in_host_matching: true,
                      virtual_hosts: virtualHosts(routes),
                    },
                    http_filters: filters,
                  },
                },
              ],
            },
          ],
        })),
        clusters: [...this.#clusters.values()],
      },
    };
  }

  /** `apisix.node_listen`: a port, or a list of ports and addresses. Nothing else of config.yaml is read but the plugins. */
  #ports(): readonly { readonly host: string; readonly port: number }[] {
    const apisix = this.#config?.section("apisix");
    const router = apisix?.section("router");
    const kind = router?.text("http") ?? DEFAULT_ROUTER;
    if (kind === "radixtree_uri") {
      router?.differs("routes are ordered by host before path, as radixtree_host_uri does", "http");
    } else if (kind !== DEFAULT_ROUTER) {
      router?.lost(`the router ${kind} is not translated: paths are taken literally`, "http");
    }
    const fallback = [{ host: "0.0.0.0", port: 9080 }];
    if (apisix === undefined || !apisix.has("node_listen")) {
      return fallback;
    }
    const plain = apisix.plain("node_listen");
    const list = Array.isArray(plain) ? plain : [plain];
    const ports = list.flatMap((each) => {
      if (typeof each === "number") {
        return [{ host: "0.0.0.0", port: each }];
      }
      if (typeof each !== "object" || each === null || Array.isArray(each) || typeof each["port"] !== "number") {
        return [];
      }
      return [{ host: typeof each["ip"] === "string" ? each["ip"] : "0.0.0.0", port: each["port"] }];
    });
    return ports.length === 0 ? fallback : ports;
  }

  #globalRule(rule: Section): void {
    rule.ignore("id", "create_time", "update_time");
    const plugins = rule.section("plugins");
    for (const name of plugins?.keys ?? []) {
      if (this.#wasm.has(name)) {
        const section = plugins?.section(name);
        this.#filters.use(name, section?.plain("conf") ?? "", true);
        section?.rest();
      } else {
        plugins?.lost("of global rules only WebAssembly plugins are translated", name);
      }
    }
    rule.rest();
  }

  #route(route: Section, index: number): readonly BuiltRoute[] {
    const lostBefore = this.#findings.lost;
    const id = route.text("id") ?? String(index + 1);
    const name = route.text("name") ?? id;
    route.ignore("desc", "labels", "create_time", "update_time");
    const isOff = route.number("status") === 0;
    const uris = [...(route.texts("uris") ?? []), ...(route.has("uri") ? [route.text("uri") ?? "/"] : [])];
    const hosts = [...(route.texts("hosts") ?? []), ...(route.has("host") ? [route.text("host") ?? ""] : [])];
    const priority = route.number("priority") ?? 0;
    const match = conditions(route);
    const isLost = this.#findings.lost > lostBefore;
    const service = this.#named(route, "service_id", this.#services, "service");
    const parts = emptyParts();
    const upstream = this.#upstreamOf(route, service, `route-${id}`);
    Object.assign(parts.action, upstream?.routeAction ?? {});
    translatePlugins(this.#pluginsOf(route, service), (each) => this.#wasm.has(each), parts);
    const timeouts = translateTimeouts(route.section("timeout"), upstream?.timeouts);
    const websocket =
      route.flag("enable_websocket") ?? (service?.has("enable_websocket") === true && service.flag("enable_websocket"));
    if (uris.length === 0) {
      route.lost("a route needs uri or uris");
    }
    route.rest();
    if (isLost || isOff) {
      return [];
    }
    const action = this.#action(parts, upstream, timeouts, websocket === true);
    const perFilter = this.#perFilter(parts);
    const shownHosts = hosts.length > 0 ? hosts : this.#hostsOf(service);
    return uris.map((uri) => {
      const path = pathMatch(uri);
      const built = { name, match: { ...path.match, ...match }, ...action, ...parts.route, ...perFilter };
      return { hosts: shownHosts, order: path.order, priority, route: built };
    });
  }

  #hostsOf(service: Section | undefined): readonly string[] {
    if (service === undefined) {
      return [];
    }
    if (!this.#usedServices.has(service.path)) {
      this.#usedServices.set(service.path, service.texts("hosts"));
    }
    return this.#usedServices.get(service.path) ?? [];
  }

  #named(from: Section, key: string, known: ReadonlyMap<string, Section>, what: string): Section | undefined {
    const id = from.text(key);
    if (id === undefined) {
      return undefined;
    }
    const found = known.get(id);
    if (found === undefined) {
      from.lost(`there is no ${what} "${id}"`, key);
    }
    return found;
  }

  /** The route's own before its plugin_config's, and those before its service's. */
  #pluginsOf(route: Section, service: Section | undefined): ReadonlyMap<string, Section> {
    const shared = this.#named(route, "plugin_config_id", this.#pluginConfigs, "plugin_config");
    const plugins = new Map<string, Section>();
    for (const holder of [route, shared, service]) {
      const section = holder?.section("plugins");
      for (const name of section?.keys ?? []) {
        const plugin = section?.section(name);
        if (plugin !== undefined && !plugins.has(name)) {
          plugins.set(name, plugin);
        }
      }
    }
    return plugins;
  }

  /** The route's, or its service's. */
  #upstreamOf(route: Section, service: Section | undefined, name: string): Upstream | undefined {
    for (const [holder, own] of [
      [route, name],
      [service, `service-${service?.text("id") ?? ""}`],
    ] as const) {
      const inline = holder?.section("upstream");
      const section = inline ?? (holder && this.#named(holder, "upstream_id", this.#upstreams, "upstream"));
      if (section !== undefined) {
        const cluster = inline === undefined ? `upstream-${section.text("id") ?? ""}` : own;
        if (!this.#translated.has(section.path)) {
          this.#translated.set(section.path, translateUpstream(section, this.#freeName(cluster)));
        }
        return this.#translated.get(section.path);
      }
    }
    return undefined;
  }

  /** Routes without an id are named by their place, which may be another's id. */
  #freeName(wanted: string): string {
    let name = wanted;
    for (let count = 2; this.#names.has(name); count++) {
      name = `${wanted}-${count}`;
    }
    this.#names.add(name);
    return name;
  }

  #action(
    parts: RouteParts,
    upstream: Upstream | undefined,
    timeouts: { readonly connect: number; readonly send: number; readonly read: number },
    websocket: boolean,
  ): { readonly [key: string]: Plain } {
    if (parts.isUnprotected) {
      return {
        direct_response: { status: 501, body: { inline_string: "a plugin of this route was not translated\n" } },
      };
    }
    if (parts.redirect !== undefined) {
      return { redirect: parts.redirect };
    }
    if (upstream === undefined) {
      return { direct_response: { status: 503, body: { inline_string: "no upstream\n" } } };
    }
    const isOwn = timeouts.connect === upstream.timeouts.connect;
    const cluster = isOwn ? upstream.name : `${upstream.name}-connect-${timeouts.connect}s`;
    this.#clusters.set(cluster, {
      ...upstream.cluster,
      name: cluster,
      connect_timeout: `${timeouts.connect}s`,
      load_assignment: { ...(upstream.cluster["load_assignment"] as object), cluster_name: cluster },
    });
    return {
      route: {
        cluster,
        // APISIX's are times between two reads or writes; there is none for the whole.
        timeout: "0s",
        idle_timeout: `${Math.max(timeouts.send, timeouts.read)}s`,
        ...parts.action,
        ...(websocket ? { upgrade_configs: [{ upgrade_type: "websocket" }] } : {}),
      },
    };
  }

  #perFilter({ perFilter, wasm, isUnprotected }: RouteParts): { readonly typed_per_filter_config?: Plain } {
    const all = { ...perFilter };
    for (const name of [CORS_FILTER, FAULT_FILTER]) {
      if (Object.hasOwn(perFilter, name)) {
        this.#filters.useOwn(name);
      }
    }
    for (const { plugin, configuration } of isUnprotected ? [] : wasm) {
      all[this.#filters.use(plugin, configuration, false)] = { "@type": FILTER_CONFIG, config: {} };
    }
    return Object.keys(all).length === 0 ? {} : { typed_per_filter_config: all };
  }
}

function byId(sections: readonly Section[]): ReadonlyMap<string, Section> {
  const found = new Map<string, Section>();
  for (const section of sections) {
    const id = section.text("id");
    if (id === undefined || found.has(id)) {
      section.lost(id === undefined ? "it has no id: nothing can name it" : `the id "${id}" is there already`);
    } else {
      found.set(id, section);
    }
  }
  return found;
}

function socketAddress(host: string, port: number): Plain {
  return { socket_address: { address: host, port_value: port } };
}

/** In APISIX a request that no route of its host takes goes on to those of a wider host, and then of none. */
function virtualHosts(routes: readonly BuiltRoute[]): readonly Plain[] {
  const domains = [...new Set(routes.flatMap(({ hosts }) => hosts.map((host) => host.toLowerCase())))];
  const hosts = [...new Set([...domains, "*"])].map((domain) => {
    const ranked = routes
      .map((route) => ({ route, rank: rankOf(domain, route.hosts) }))
      .filter(({ rank }) => rank >= 0)
      .toSorted((a, b) => b.rank - a.rank || a.route.order - b.route.order || b.route.priority - a.route.priority);
    return { name: domain, domains: [domain], routes: ranked.map(({ route }) => route.route) };
  });
  return hosts.filter((host) => host.routes.length > 0);
}

/** How closely one of a route's hosts fits a domain: its length, 0 for a route without hosts; -1: none does. */
function rankOf(domain: string, hosts: readonly string[]): number {
  if (hosts.length === 0) {
    return 0;
  }
  const fitting = hosts
    .map((host) => host.toLowerCase())
    .filter((host) => host === domain || (host.startsWith("*") && domain.replace(/^\*/, "x").endsWith(host.slice(1))));
  return Math.max(-1, ...fitting.map((host) => (host === domain ? 10_000 : host.length)));
}
