// What routes say of HTTP filters (typed_per_filter_config): Envoy and outrigger with the same bootstrap run the same filters
// for the same requests. And what Envoy lacks: a plugin with another configuration for a route.

import assert from "node:assert/strict";
import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
const OFF = { "@type": FILTER_CONFIG, disabled: true };
const ON = { "@type": FILTER_CONFIG, config: {} };
const RESPOND = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const per = (configs: object) => ({ typed_per_filter_config: configs });
const to = (prefix: string, more: object = {}) => ({ match: { prefix }, route: { cluster: "origin" }, ...more });
const says = (name: string) => wasmFilter(name, guest("headers"), `response add x-seen ${name}`);

/** Filters `a`, `b` and, disabled, `c`; each leaves its name in the response. */
function switches(port: number): object {
  const weighted = { clusters: [{ name: "origin", weight: 1, ...per({ a: ON, b: OFF }) }] };
  const virtualHosts = [
    {
      name: "plain",
      domains: ["plain"],
      routes: [
        to("/a-off", per({ a: OFF })),
        to("/c-on", per({ c: ON })),
        to("/none", per({ a: OFF, b: OFF })),
        to("/unknown", per({ nobody: OFF })),
        { match: { prefix: "/redirect" }, redirect: { path_redirect: "/" }, ...per({ a: OFF }) },
        { match: { prefix: "/direct" }, direct_response: { status: 200 }, ...per({ b: OFF, c: ON }) },
        to("/only"),
      ],
    },
    {
      name: "off",
      domains: ["off"],
      ...per({ a: OFF, c: ON }),
      routes: [
        to("/a-on", per({ a: ON })),
        { match: { prefix: "/weighted" }, route: { weighted_clusters: weighted }, ...per({ a: OFF, b: ON, c: OFF }) },
        to("/"),
      ],
    },
    // The path is changed by a plugin: what its new route says of filters comes too late.
    { name: "moves", domains: ["moves"], routes: [to("/old"), to("/new", { ...per({ a: OFF, b: OFF, c: ON }) })] },
  ];
  const mover = wasmFilter("mover", guest("headers"), "request replace :path /new\nresponse add x-seen mover");
  const filters = [says("a"), says("b"), { ...says("c"), disabled: true }, { ...mover, disabled: true }];
  virtualHosts[2] = { ...virtualHosts[2], ...per({ mover: ON }) } as (typeof virtualHosts)[2];
  return bootstrap({ listeners: [listener("in", { virtualHosts, filters })], clusters: [cluster("origin", [port])] });
}

const REQUESTS: readonly (readonly [host: string, path: string, seen: string])[] = [
  ["plain", "/only", "b, a"],
  ["plain", "/a-off", "b"],
  ["plain", "/c-on", "c, b, a"],
  ["plain", "/none", ""],
  ["plain", "/unknown", "b, a"],
  ["plain", "/redirect", "b"],
  ["plain", "/direct", "c, a"],
  ["plain", "/nowhere", "b, a"],
  ["stranger", "/", "b, a"],
  ["off", "/", "c, b"],
  ["off", "/a-on", "c, b, a"],
  ["off", "/weighted", "a"],
  ["moves", "/old", "mover, b, a"],
  ["moves", "/new", "mover, c"],
];

async function header(port: number, name: string, host: string, path: string): Promise<string> {
  const asked = get({ port, path, headers: { host } });
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.resume();
  return String(response.headers[name] ?? "");
}

const oracle = findEnvoy();

suite("filters that routes switch off and on", () => {
  for (const name of ["outrigger", "Envoy"] as const) {
    const skip = name === "Envoy" && oracle === undefined ? ENVOY_MISSING : false;
    test(`${name}: the most specific level of the route that the request had when it came`, { skip }, async () => {
      await using upstream = await FakeUpstream.start({ respond: RESPOND });
      await using proxy = await ProxyProcess.start(name === "Envoy" ? oracle : undefined, switches(upstream.port));
      const seen = [];
      for (const [host, path] of REQUESTS) {
        seen.push([host, path, await header(proxy.port("in"), "x-seen", host, path)]);
      }
      assert.deepEqual(seen, REQUESTS);
    });
  }
});

const STRING = "type.googleapis.com/google.protobuf.StringValue";
const WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const configured = (value: string) => ({ "@type": WASM, config: { configuration: { "@type": STRING, value } } });

interface Plugins {
  readonly plugins: readonly {
    readonly name: string;
    readonly vms: number;
    readonly route_configurations?: readonly { readonly configuration: string; readonly used_by: readonly string[] }[];
  }[];
}

suite("a plugin's configuration for a route", () => {
  test("is a root context of its own in the plugin's VM, once for each distinct configuration", async () => {
    await using upstream = await FakeUpstream.start({ respond: RESPOND });
    const clusters = [{ name: "origin", weight: 1, ...per({ p: configured("weighted") }) }];
    const host = {
      name: "h",
      domains: ["*"],
      ...per({ p: configured("host"), off: ON }),
      routes: [
        to("/one", per({ p: configured("route") })),
        to("/two", per({ p: { "@type": FILTER_CONFIG, config: configured("route") } })),
        { match: { prefix: "/weighted" }, route: { weighted_clusters: { clusters } }, ...per({ p: configured("no") }) },
        to("/own", per({ p: ON })),
        to("/off", per({ p: OFF })),
        to("/other", per({ off: configured("on") })),
        to("/"),
      ],
    };
    const filters = [
      wasmFilter("p", guest("configuration"), "own"),
      { ...wasmFilter("off", guest("refuse"), "is off"), disabled: true },
    ];
    const listeners = [listener("in", { virtualHosts: [host], filters })];
    await using sidecar = await SidecarProcess.start(
      bootstrap({ listeners, clusters: [cluster("origin", [upstream.port])] }),
    );
    const seen = (name: string, path: string) => header(sidecar.port("in"), name, "h", path);
    const paths = ["/", "/one", "/two", "/weighted", "/own", "/off"];
    const texts = await Promise.all(paths.map((path) => seen("x-plugin-config", path)));
    assert.deepEqual(texts, ["host", "route", "route", "weighted", "own", ""]);
    // Each was started and configured once: no context is shared between configurations, and one is shared by routes.
    assert.deepEqual(await Promise.all(paths.slice(0, 5).map((path) => seen("x-starts", path))), Array(5).fill("1 1"));
    assert.deepEqual(await Promise.all(["/", "/other"].map((path) => seen("x-configuration", path))), ["is off", "on"]);
    assert.equal(await sidecar.stat("wasm.envoy.wasm.runtime.v8.active"), 2);
    const { plugins } = await sidecar.adminJson<Plugins>("/plugins");
    const plugin = plugins.find(({ name }) => name === "p");
    assert.equal(plugin?.vms, 1);
    const at = "routes in-routes, virtual host h";
    assert.deepEqual(
      plugin?.route_configurations?.map(({ configuration, used_by }) => [configuration, used_by]),
      [
        ["host", [at]],
        ["route", [`${at}, route 0`, `${at}, route 1`]],
        ["no", [`${at}, route 2`]],
        ["weighted", [`${at}, route 2, cluster origin`]],
      ],
    );
  });

  test("can be another plugin, with a VM of its own, also in place of one that is switched off", async () => {
    await using upstream = await FakeUpstream.start({ respond: RESPOND });
    const { typed_config: other } = wasmFilter("other", guest("headers"), "response add x-seen other") as {
      readonly typed_config: { readonly config: object };
    };
    const bare = { "@type": "type.googleapis.com/envoy.extensions.wasm.v3.PluginConfig", ...other.config };
    const clusters = [{ name: "origin", weight: 1, ...per({ p: bare }) }];
    const routes = [
      to("/other", per({ p: other, q: OFF })),
      { match: { prefix: "/weighted" }, route: { weighted_clusters: { clusters } } },
      to("/q", per({ q: bare })),
      to("/"),
    ];
    const filters = [says("p"), { ...says("q"), disabled: true }];
    await using sidecar = await SidecarProcess.start(
      bootstrap({ listeners: [listener("in", { routes, filters })], clusters: [cluster("origin", [upstream.port])] }),
    );
    const paths = ["/", "/other", "/weighted", "/q"];
    const seen = await Promise.all(paths.map((path) => header(sidecar.port("in"), "x-seen", "h", path)));
    assert.deepEqual(seen, ["p", "other", "other", "other, p"]);
    const { plugins } = await sidecar.adminJson<Plugins>("/plugins");
    const plugin = plugins.find(({ name }) => name === "other");
    assert.equal(plugin?.vms, 1);
    const at = "routes in-routes, virtual host all";
    assert.deepEqual(
      plugin?.route_configurations?.map(({ used_by }) => used_by),
      [[`${at}, route 0`, `${at}, route 1, cluster origin`, `${at}, route 2`]],
    );
  });

  test("follows the plugin that a discovered filter has at the moment", async () => {
    await using upstream = await FakeUpstream.start({ respond: RESPOND });
    const write = (folder: string, module: string): void => {
      const { typed_config } = wasmFilter("p", guest(module), "response add x-seen own") as {
        readonly typed_config: object;
      };
      const type = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
      const content = { resources: [{ "@type": type, name: "p", typed_config }] };
      writeFileSync(join(folder, "plugins.new"), JSON.stringify(content));
      renameSync(join(folder, "plugins.new"), join(folder, "plugins.json"));
    };
    await using sidecar = await SidecarProcess.start((folder) => {
      write(folder, "headers");
      const config_source = { path_config_source: { path: join(folder, "plugins.json") }, resource_api_version: "V3" };
      const type_urls = ["envoy.extensions.filters.http.wasm.v3.Wasm"];
      const filters = [{ name: "p", config_discovery: { config_source, type_urls } }];
      const routes = [
        to("/route", per({ p: configured("response add x-seen route") })),
        to("/off", per({ p: OFF })),
        to("/"),
      ];
      return bootstrap({
        listeners: [listener("in", { routes, filters })],
        clusters: [cluster("origin", [upstream.port])],
      });
    });
    const seen = (name: string) =>
      Promise.all(["/", "/route", "/off"].map((path) => header(sidecar.port("in"), name, "h", path)));
    assert.deepEqual(await seen("x-seen"), ["own", "route", ""]);
    write(sidecar.folder, "configuration");
    await until(
      "the new plugin",
      () => seen("x-plugin-config"),
      (texts) => texts[0] !== "",
    );
    assert.deepEqual(await seen("x-plugin-config"), ["response add x-seen own", "response add x-seen route", ""]);
    assert.deepEqual(await seen("x-seen"), ["", "", ""]);
    await until(
      "the end of the plugin before",
      () => sidecar.stat("wasm.envoy.wasm.runtime.v8.active"),
      (count) => count === 1,
    );
  });

  test("that brings code which is no module is refused", async () => {
    const { typed_config: bad } = wasmFilter("bad", guest("no-abi")) as { readonly typed_config: object };
    const routes = [to("/", per({ p: bad }))];
    const config = bootstrap({
      listeners: [listener("in", { routes, filters: [says("p")] })],
      clusters: [cluster("origin", [1])],
    });
    await assert.rejects(SidecarProcess.start(config), /typed_per_filter_config\["p"\].*no-abi\.wasm/s);
  });

  test("that the plugin refuses keeps the previous routes in use, and says why", async () => {
    await using upstream = await FakeUpstream.start({ respond: RESPOND });
    const routes = (version: number, ofPlugin: object) => ({
      resources: [
        {
          "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
          name: "r",
          virtual_hosts: [{ name: `v${version}`, domains: ["*"], ...per({ p: ofPlugin }), routes: [to("/")] }],
        },
      ],
    });
    const write = (folder: string, content: object): void => {
      writeFileSync(join(folder, "routes.new"), JSON.stringify(content));
      renameSync(join(folder, "routes.new"), join(folder, "routes.json"));
    };
    await using sidecar = await SidecarProcess.start((folder) => {
      write(folder, routes(1, configured("one")));
      const source = { path_config_source: { path: join(folder, "routes.json") }, resource_api_version: "V3" };
      const manager = { route_config: undefined, rds: { route_config_name: "r", config_source: source } };
      const filters = [wasmFilter("p", guest("refuse"), "own")];
      return bootstrap({
        listeners: [listener("in", { filters, manager })],
        clusters: [cluster("origin", [upstream.port])],
      });
    });
    const seen = () => header(sidecar.port("in"), "x-configuration", "h", "/");
    assert.equal(await seen(), "one");
    write(sidecar.folder, routes(2, configured("refuse this")));
    await sidecar.untilStat("listener_manager.route_apply_failure", 1);
    assert.equal(await seen(), "one");
    assert.match(sidecar.log, /"resource":"route","name":"r".*the previous one serves on/);
    const { typed_config: bad } = wasmFilter("bad", guest("no-abi")) as { readonly typed_config: object };
    write(sidecar.folder, routes(3, bad));
    await sidecar.untilStat("http.in.rds.r.update_rejected", 1);
    assert.equal(await seen(), "one");
    write(sidecar.folder, routes(4, configured("three")));
    await until("the repaired routes", seen, (text) => text === "three");
  });
});
