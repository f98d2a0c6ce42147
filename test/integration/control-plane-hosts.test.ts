// The verb `control-plane` serves scopes (SRDS) and virtual hosts (VHDS), some of them on demand, to outrigger and to Envoy: they
// answer the same, before and after what `config push` and `config rollback` change.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { suite, test, type TestContext } from "node:test";
import { CONFIG } from "../../sidecar/cli/control/config.ts";
import { STATUS } from "../../sidecar/cli/control/status.ts";
import { ROUTE_TYPE, SCOPED_ROUTE_TYPE, VIRTUAL_HOST_TYPE } from "../../xds/type-urls.ts";
import { bootstrap, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { ask, controlPlane, file } from "../support/control-plane-verbs.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";

const ADS = { ads: {}, resource_api_version: "V3" };

/** YAML takes JSON: a document of a file. */
function group(words: object, ...resources: readonly object[]): string {
  return `${JSON.stringify({ ...words, resources })}\n`;
}

const host = (name: string, domains: readonly string[], body: string) => ({
  name,
  domains,
  routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: body } } }],
});
const discovered = (...parts: Parameters<typeof host>) => ({ "@type": VIRTUAL_HOST_TYPE, ...host(...parts) });
const routes = (name: string, virtualHost: object, more: object = {}) => ({
  "@type": ROUTE_TYPE,
  name,
  virtual_hosts: [virtualHost],
  ...more,
});
const scope = (name: string, of: string, on_demand: boolean) => ({
  "@type": SCOPED_ROUTE_TYPE,
  name,
  on_demand,
  route_configuration_name: of,
  key: { fragments: [{ string_key: name }] },
});

const everybody = group(
  {},
  routes("mesh/hosts", host("base", ["base.test"], "base"), { vhds: { config_source: ADS } }),
  routes("lazy", host("all", ["*"], "lazy")),
  routes("eager", host("all", ["*"], "eager")),
  scope("lazy", "lazy", true),
  scope("eager", "eager", false),
  discovered("mesh/hosts/early", ["early.test"], "early"),
);
const onDemand = (one: string, ...more: readonly object[]) =>
  group({ on_demand: true }, discovered("mesh/hosts/one", ["one.test", "www.one.test"], one), ...more);
const wild = discovered("mesh/hosts/wild", ["*.wild.test"], "wild");
const forOthers = group(
  { selector: { node_id: "somebody-else" }, on_demand: true },
  discovered("mesh/hosts/secret", ["secret.test"], "secret"),
);
/** A resource may have another name than the host inside. */
const forThis = group(
  { selector: { node_id: "test-*" }, on_demand: true },
  {
    "@type": "type.googleapis.com/envoy.service.discovery.v3.Resource",
    name: "mesh/hosts/mine",
    resource: discovered("mine", ["mine.test"], "mine"),
  },
);
const SERVED = [everybody, onDemand("one", wild), forOthers, forThis].join("---\n");
const none = discovered("mesh/hosts/none", ["none.test"], "none no more");
const NEXT = [everybody, onDemand("another one", none), forOthers, forThis].join("---\n");

function config(port: number): object {
  const filters = [
    {
      name: "envoy.filters.http.on_demand",
      typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand" },
    },
  ];
  const rds = { config_source: ADS, route_config_name: "mesh/hosts" };
  const scope_key_builder = { fragments: [{ header_value_extractor: { name: "x-scope", index: 0 } }] };
  const scoped_rds = { scoped_rds_config_source: ADS };
  const scoped_routes = { name: "s", scope_key_builder, rds_config_source: ADS, scoped_rds };
  const listeners = [
    listener("hosts", { filters, manager: { route_config: undefined, rds } }),
    listener("bare", { manager: { route_config: undefined, rds } }),
    listener("scopes", { filters, manager: { route_config: undefined, scoped_routes } }),
  ];
  const ads_config = {
    api_type: "DELTA_GRPC",
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
  };
  return { ...bootstrap({ listeners, clusters: [http2Cluster("xds", port)] }), dynamic_resources: { ads_config } };
}

function answer(port: number, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: "127.0.0.1", port, path: "/", headers, timeout: 15_000 }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve(response.statusCode === 200 ? text : String(response.statusCode)));
    });
    sent.on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error(`no answer for ${JSON.stringify(headers)}`)));
    sent.end();
  });
}

/** One after the other: what one has asked for, another may find. */
async function answers(port: number, hosts: readonly string[]): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const each of hosts) all[each] = await answer(port, { host: each });
  return all;
}

async function story(t: TestContext, envoy: string | undefined): Promise<void> {
  const plane = await controlPlane(t, SERVED);
  await using proxy = await ProxyProcess.start(envoy, config(plane.port));
  const [hosts, bare, scopes] = [proxy.port("hosts"), proxy.port("bare"), proxy.port("scopes")];
  const untilAnswers = (expected: Record<string, string>) =>
    until(
      `answers ${JSON.stringify(expected)}`,
      () => answers(hosts, Object.keys(expected)),
      (given) => JSON.stringify(given) === JSON.stringify(expected),
    );

  // Without the filter there is what came by itself.
  const byItself = { "base.test": "base", "early.test": "early", "one.test": "404", "mine.test": "404" };
  assert.deepEqual(await answers(bare, Object.keys(byItself)), byItself);
  const first = {
    "ONE.test": "one",
    "www.one.test": "one",
    "a.wild.test": "wild",
    "b.wild.test": "wild",
    "wild.test": "404",
    "one.test:81": "404",
    "none.test": "404",
    "secret.test": "404",
    "mine.test": "mine",
  };
  assert.deepEqual(await answers(hosts, Object.keys(first)), first);
  const scoped = [];
  for (const each of ["eager", "lazy", "none"]) scoped.push(await answer(scopes, { "x-scope": each }));
  assert.deepEqual(scoped, ["eager", "lazy", "404"]);

  const next = await file(plane, "next.txt", NEXT);
  const diff = await ask(CONFIG.run, plane, "diff", "-f", next);
  assert.match(diff.out, /^changed VHDS mesh\/hosts\/one: 1 sidecar\n[^]* {2}- .*"one"\n {2}\+ .*"another one"\n/);
  assert.match(diff.out, /\nadded VHDS mesh\/hosts\/none: 1 sidecar\nremoved VHDS mesh\/hosts\/wild: 1 sidecar\n/);
  const pushed = await ask(CONFIG.run, plane, "push", "-f", next, "--wait");
  assert.match(pushed.out, /1 of 1 sidecars acknowledged, 0 refused\n$/);
  await untilAnswers({ "one.test": "another one", "a.wild.test": "404", "none.test": "none no more" });
  const status = await ask(STATUS.run, plane, "--control-plane");
  assert.match(status.out, / acknowledged +(?=.*SRDS=[0-9a-f]{8})(?=.*RDS=[0-9a-f]{8})(?=.*VHDS=[0-9a-f]{8})/);

  assert.equal((await ask(CONFIG.run, plane, "rollback")).code, 0);
  await untilAnswers({ "www.one.test": "one", "a.wild.test": "wild", "none.test": "404" });
}

suite("control-plane with scopes and virtual hosts", { concurrency: 2 }, () => {
  const envoy = findEnvoy();
  test("outrigger follows it", (t) => story(t, undefined));
  test("Envoy follows it", { skip: envoy === undefined ? ENVOY_MISSING : false }, (t) => story(t, envoy));
});
