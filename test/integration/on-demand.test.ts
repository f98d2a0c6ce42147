// Hosts and scopes on demand: the first request that no route matches makes the proxy ask the control plane, waits, and goes on
// (envoy.filters.http.on_demand with VHDS, and with scopes of SRDS that are on_demand). Envoy and outrigger, connected to one
// scripted control plane, answer the same.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import type { DeltaRequest, WireResource } from "../../xds/discovery-messages.ts";
import { CLUSTER_TYPE, ROUTE_TYPE, SCOPED_ROUTE_TYPE, VIRTUAL_HOST_TYPE } from "../../xds/type-urls.ts";
import { bootstrap, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeControlPlane, type FakeStream } from "../support/fake-control-plane.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { one, staticCluster } from "../support/xds-resources.ts";

const ADS = { ads: {}, resource_api_version: "V3" };
const ON_DEMAND = {
  name: "envoy.filters.http.on_demand",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand",
    odcds: { source: ADS },
  },
};
const KEY = { fragments: [{ header_value_extractor: { name: "x-scope", index: 0 } }] };

const says = (body: string) => ({
  match: { prefix: "/" },
  direct_response: { status: 200, body: { inline_string: body } },
});
const host = (name: string, domains: readonly string[], body: string) => ({ name, domains, routes: [says(body)] });
const resource = (typeUrl: string, content: object): FileResource =>
  one(JSON.stringify({ "@type": typeUrl, ...content }));

const ROUTES: Readonly<Record<string, FileResource>> = {
  hosts: resource(ROUTE_TYPE, {
    name: "hosts",
    virtual_hosts: [host("base", ["base.test"], "base")],
    vhds: { config_source: ADS },
  }),
  lazy: resource(ROUTE_TYPE, { name: "lazy", virtual_hosts: [host("all", ["*"], "lazy")] }),
  eager: resource(ROUTE_TYPE, { name: "eager", virtual_hosts: [host("all", ["*"], "eager")] }),
};
const scope = (name: string, routes: string, on_demand: boolean): FileResource =>
  resource(SCOPED_ROUTE_TYPE, {
    name,
    on_demand,
    route_configuration_name: routes,
    key: { fragments: [{ string_key: name }] },
  });
const SCOPES = [scope("lazy", "lazy", true), scope("eager", "eager", false), scope("gone", "nobody-has-it", true)];
/** Known hosts by authority. */
const HOSTS: Readonly<Record<string, FileResource>> = {
  ...Object.fromEntries(
    ["one", "two"].map((name) => [
      `${name}.test`,
      resource(VIRTUAL_HOST_TYPE, host(`hosts/${name}`, [`${name}.test`, `www.${name}.test`], name)),
    ]),
  ),
  // Its cluster is not known either.
  "late.test": resource(VIRTUAL_HOST_TYPE, {
    name: "hosts/late",
    domains: ["late.test"],
    routes: [{ match: { prefix: "/" }, route: { cluster: "late" } }],
  }),
};

const wire = (each: FileResource, aliases: readonly string[] = []): WireResource => {
  return { name: each.name, version: "1", typeUrl: each.typeUrl, bytes: each.value, ttlMs: undefined, aliases };
};

/** What a control plane answers to names that are subscribed to. */
function answer({ typeUrl, subscribe }: DeltaRequest, late: FileResource): WireResource[] {
  if (typeUrl === CLUSTER_TYPE) return subscribe.includes(late.name) ? [wire(late)] : [];
  if (typeUrl === SCOPED_ROUTE_TYPE) return SCOPES.map((each) => wire(each));
  if (typeUrl === ROUTE_TYPE)
    return subscribe.flatMap((name) => (ROUTES[name] === undefined ? [] : wire(ROUTES[name])));
  return subscribe
    .filter((name) => name !== "*")
    .map((name) => {
      const known = HOSTS[name.slice("hosts/".length).replace("www.", "")];
      if (known !== undefined) return wire(known, [name]);
      return { name, version: "1", typeUrl: "", bytes: undefined, ttlMs: undefined, aliases: [name] };
    });
}

/** Answers a stream until it ends. */
function serve(stream: FakeStream, late: FileResource): void {
  let nonce = 0;
  const seen = stream.requests.push.bind(stream.requests);
  const take = ({ request }: { request: unknown }): void => {
    const { typeUrl, nonce: answered, subscribe, unsubscribe } = request as DeltaRequest;
    if (answered !== "" || (subscribe.length === 0 && unsubscribe.length > 0)) return;
    const resources = answer(request as DeltaRequest, late);
    const removed = subscribe.filter((name) => typeUrl === ROUTE_TYPE && ROUTES[name] === undefined);
    stream.send({
      kind: "delta",
      typeUrl,
      version: "",
      nonce: `n${(nonce += 1)}`,
      resources,
      removed,
      controlPlane: "",
    });
  };
  stream.requests.all.forEach(take);
  stream.requests.push = (event) => {
    seen(event);
    take(event);
  };
}

async function controlPlane(t: TestContext): Promise<{ server: FakeControlPlane; port: number }> {
  const server = new FakeControlPlane();
  const origin = createServer((_request, response) => response.end("late"));
  origin.listen(0, "127.0.0.1");
  t.after(() => [server, origin].forEach((each) => each.close()));
  await once(origin, "listening");
  const late = staticCluster("late", (origin.address() as AddressInfo).port);
  const seen = server.streams.push.bind(server.streams);
  server.streams.push = (stream) => {
    seen(stream);
    serve(stream, late);
  };
  return { server, port: await server.listen() };
}

function config(port: number): object {
  const rds = { config_source: ADS, route_config_name: "hosts" };
  const scoped_routes = { name: "s", scope_key_builder: KEY, rds_config_source: ADS };
  const scoped = { ...scoped_routes, scoped_rds: { scoped_rds_config_source: ADS } };
  const manager = (routes: object) => ({ route_config: undefined, ...routes });
  const listeners = [
    listener("hosts", { filters: [ON_DEMAND], manager: manager({ rds }) }),
    listener("bare", { manager: manager({ rds }) }),
    listener("scopes", { filters: [ON_DEMAND], manager: manager({ scoped_routes: scoped }) }),
  ];
  const ads_config = {
    api_type: "DELTA_GRPC",
    transport_api_version: "V3",
    grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
  };
  return { ...bootstrap({ listeners, clusters: [http2Cluster("xds", port)] }), dynamic_resources: { ads_config } };
}

function ask(port: number, headers: Readonly<Record<string, string>>, body = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const method = body === "" ? "GET" : "POST";
    const sent = httpRequest({ host: "127.0.0.1", port, method, path: "/", headers, timeout: 15_000 }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve(response.statusCode === 200 ? text : String(response.statusCode)));
    });
    sent.on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error(`no answer for ${JSON.stringify(headers)}`)));
    sent.end(body);
  });
}

async function answers(proxy: ProxyProcess): Promise<string[]> {
  const [hosts, bare, scopes] = [proxy.port("hosts"), proxy.port("bare"), proxy.port("scopes")];
  return [
    await ask(hosts, { host: "base.test" }),
    // Nobody asks for it without the filter.
    await ask(bare, { host: "one.test" }),
    await ask(hosts, { host: "ONE.test" }),
    await ask(bare, { host: "one.test" }),
    await ask(hosts, { host: "www.two.test" }, "a body ".repeat(1_000)),
    await ask(hosts, { host: "two.test" }),
    await ask(hosts, { host: "late.test" }),
    await ask(hosts, { host: "none.test" }),
    await ask(hosts, { host: "none.test" }),
    await ask(scopes, { "x-scope": "eager" }),
    await ask(scopes, { "x-scope": "lazy" }),
    await ask(scopes, { "x-scope": "none" }),
    await ask(scopes, {}),
  ];
}

const EXPECTED = ["base", "404", "one", "one", "two", "two", "late", "404", "404", "eager", "lazy", "404", "404"];
const envoy = findEnvoy();

suite("on demand", { concurrency: 3 }, () => {
  test("run waits with a request for its host and its scope, as Envoy does", async (t) => {
    const { port } = await controlPlane(t);
    await using ours = await ProxyProcess.start(undefined, config(port));
    assert.deepEqual(await answers(ours), EXPECTED);
    // Envoy would wait for these routes until the stream's own timeouts.
    assert.equal(await ask(ours.port("scopes"), { "x-scope": "gone" }), "404");
  });

  test("Envoy gives the same answers", { skip: envoy === undefined ? ENVOY_MISSING : false }, async (t) => {
    const { port } = await controlPlane(t);
    await using theirs = await ProxyProcess.start(envoy, config(port));
    assert.deepEqual(await answers(theirs), EXPECTED);
  });

  test("run asks once for a host that many requests wait for, and not for one whose client has gone", async (t) => {
    const { port, server } = await controlPlane(t);
    await using ours = await ProxyProcess.start(undefined, config(port));
    const hosts = ours.port("hosts");
    const all = await Promise.all(Array.from({ length: 40 }, () => ask(hosts, { host: "two.test" })));
    assert.deepEqual([...new Set(all)], ["two"]);
    const gone = httpRequest({ host: "127.0.0.1", port: hosts, headers: { host: "one.test" } }).on("error", () => {});
    gone.end();
    gone.once("socket", (socket) => socket.once("connect", () => setImmediate(() => gone.destroy())));
    assert.equal(await ask(hosts, { host: "one.test" }), "one");
    const [stream] = server.streams.all;
    const asked = (stream?.requests.all ?? []).flatMap(({ request }) =>
      request.kind === "delta" && request.typeUrl === VIRTUAL_HOST_TYPE ? request.subscribe : [],
    );
    assert.deepEqual(asked, ["hosts/two.test", "hosts/one.test"]);
  });
});
