// Clusters on demand: a request whose route goes to a cluster that nobody has announced makes the proxy ask for that one, waits,
// and goes on (envoy.filters.http.on_demand with odcds). Envoy and outrigger, connected to one scripted control plane, answer the
// same.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import type { DeltaRequest, SotwRequest } from "../../xds/discovery-messages.ts";
import { CLUSTER_TYPE } from "../../xds/type-urls.ts";
import { createControlPlane } from "../../xds/server/control-plane.ts";
import { bootstrap, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { EventLog } from "../support/events.ts";
import { FakeControlPlane, type FakeStream } from "../support/fake-control-plane.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";
import { edsCluster, endpoints, staticCluster } from "../support/xds-resources.ts";
import { delta } from "../support/xds-scene.ts";

const ADS = { ads: {}, resource_api_version: "V3" };
const ON_DEMAND = "type.googleapis.com/envoy.extensions.filters.http.on_demand.v3";
const GRPC_SERVICES = [{ envoy_grpc: { cluster_name: "xds" } }];
const NAME = "envoy.filters.http.on_demand";

/** An origin that says its name. */
async function origin(t: TestContext, name: string): Promise<number> {
  const server = createServer((_request, response) => response.end(name));
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A control plane that has these resources, and tells everybody of `announced`. It never answers for a name with "mute". */
class Script {
  readonly server = new FakeControlPlane();
  /** Names of clusters in requests, as `+name` and `-name`. */
  readonly asked = new EventLog<string>();
  #known = new Map<string, FileResource>();
  readonly #announced: readonly string[];
  #nonce = 0;

  constructor(t: TestContext, known: readonly FileResource[], announced: readonly string[]) {
    for (const each of known) this.#known.set(`${each.typeUrl} ${each.name}`, each);
    this.#announced = announced;
    t.after(() => this.server.close());
    const seen = this.server.streams.push.bind(this.server.streams);
    this.server.streams.push = (stream) => {
      seen(stream);
      this.#serve(stream);
    };
  }

  remove(name: string): void {
    this.#known.delete(`${CLUSTER_TYPE} ${name}`);
    this.server.streams.all.at(-1)?.send(delta(CLUSTER_TYPE, this.#next(), [], [name]));
  }

  add(cluster: FileResource): void {
    this.#known.set(`${CLUSTER_TYPE} ${cluster.name}`, cluster);
    this.server.streams.all.at(-1)?.send(delta(CLUSTER_TYPE, this.#next(), [cluster]));
  }

  #next(): string {
    return `n${(this.#nonce += 1)}`;
  }

  #serve(stream: FakeStream): void {
    const seen = stream.requests.push.bind(stream.requests);
    const take = ({ request }: { request: DeltaRequest | SotwRequest }): void => {
      assert.equal(request.kind, "delta");
      this.#answer(stream, request as DeltaRequest);
    };
    stream.requests.all.forEach(take);
    stream.requests.push = (event) => {
      seen(event);
      take(event);
    };
  }

  #answer(stream: FakeStream, { typeUrl, nonce, subscribe, unsubscribe, initialVersions }: DeltaRequest): void {
    if (typeUrl === CLUSTER_TYPE) {
      for (const name of subscribe) this.asked.push(`+${name}`);
      for (const name of unsubscribe) this.asked.push(`-${name}`);
    }
    const isAll = subscribe.includes("*") || (nonce === "" && subscribe.length === 0 && unsubscribe.length === 0);
    const names = [...(isAll ? this.#announced : []), ...subscribe.filter((name) => name !== "*")];
    const found = names.flatMap((name) => this.#known.get(`${typeUrl} ${name}`) ?? []);
    const gone = names.filter((name) => !this.#known.has(`${typeUrl} ${name}`) && !name.startsWith("mute"));
    if (found.length === 0 && gone.length === 0) return;
    const news = found.filter(({ name }) => !initialVersions.has(name));
    stream.send(delta(typeUrl, this.#next(), news, gone));
  }
}

function config(port: number, options: { source?: object; cds?: boolean } = {}): object {
  const odcds = { source: options.source ?? ADS, timeout: "1s" };
  const header = { cluster_header: "x-cluster" };
  const perRoute = (content: object) => ({
    typed_per_filter_config: { [NAME]: { "@type": `${ON_DEMAND}.PerRouteConfig`, ...content } },
  });
  const routes = [
    { match: { prefix: "/fixed" }, route: { cluster: "fixed" } },
    { match: { prefix: "/off" }, route: header, ...perRoute({}) },
    { match: { prefix: "/" }, route: header },
  ];
  const manager = (asks: object) => ({
    route_config: {
      name: "r",
      validate_clusters: false,
      response_headers_to_add: [{ header: { key: "x-flags", value: "%RESPONSE_FLAGS%" } }],
      virtual_hosts: [{ name: "all", domains: ["*"], routes, ...asks }],
    },
  });
  const filter = (content: object) => [{ name: NAME, typed_config: { "@type": `${ON_DEMAND}.OnDemand`, ...content } }];
  const listeners = [
    listener("filter", { filters: filter({ odcds }), manager: manager({}) }),
    listener("host", { filters: filter({}), manager: manager(perRoute({ odcds })) }),
  ];
  const ads_config = { api_type: "DELTA_GRPC", transport_api_version: "V3", grpc_services: GRPC_SERVICES };
  const cds = options.cds === false ? {} : { cds_config: ADS };
  return {
    ...bootstrap({ listeners, clusters: [http2Cluster("xds", port)] }),
    dynamic_resources: { ads_config, ...cds },
  };
}

type Ask = { readonly path?: string; readonly cluster?: string; readonly body?: string };

/** The body of a 200, else the status and Envoy's response flags. */
function ask(port: number, { path = "/", cluster, body = "" }: Ask): Promise<string> {
  const headers = cluster === undefined ? {} : { "x-cluster": cluster };
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, method: body === "" ? "GET" : "POST", path, headers, timeout: 15_000 };
    const sent = httpRequest(options, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      const answer = () => `${response.statusCode} ${String(response.headers["x-flags"])}`;
      response.on("end", () => resolve(response.statusCode === 200 ? text : answer()));
    });
    sent.on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error(`no answer for ${cluster}`)));
    sent.end(body);
  });
}

/** What there is: `everyone` is announced to all, the rest is there for those that ask. */
async function resources(t: TestContext): Promise<FileResource[]> {
  const ports = await Promise.all(["one", "two", "three", "everyone"].map((name) => origin(t, name)));
  const [one = 0, two = 0, three = 0, everyone = 0] = ports;
  return [
    staticCluster("one", one),
    edsCluster("two"),
    endpoints("two", two),
    staticCluster("fixed", three),
    staticCluster("everyone", everyone),
  ];
}

async function answers(proxy: ProxyProcess): Promise<string[]> {
  const [filter, host] = [proxy.port("filter"), proxy.port("host")];
  return [
    await ask(filter, { cluster: "everyone" }),
    // Nobody asks for it where the route says so.
    await ask(filter, { path: "/off", cluster: "one" }),
    await ask(filter, { cluster: "one" }),
    await ask(filter, { path: "/off", cluster: "one" }),
    await ask(host, { cluster: "two", body: "a body ".repeat(1_000) }),
    await ask(host, { path: "/fixed" }),
    await ask(filter, { cluster: "none" }),
    await ask(host, { cluster: "mute" }),
    await ask(filter, {}),
  ];
}

/** What a server takes away is gone, and comes back by itself while it is subscribed to. */
async function changes(proxy: ProxyProcess, script: Script, one: FileResource): Promise<void> {
  const port = proxy.port("filter");
  script.remove("one");
  const answer = () => ask(port, { cluster: "one" });
  await until("its end", answer, (text) => text === "503 NC");
  script.add(one);
  await until("its return", answer, (text) => text === "one");
}

const EXPECTED = ["everyone", "503 NC", "one", "one", "two", "three", "503 NC", "503 NC", "503 NC"];
const envoy = findEnvoy();
const without = { skip: envoy === undefined ? ENVOY_MISSING : false };

async function story(t: TestContext, binary: string | undefined): Promise<void> {
  const known = await resources(t);
  const script = new Script(t, known, ["everyone"]);
  await using proxy = await ProxyProcess.start(binary, config(await script.server.listen()));
  assert.deepEqual(await answers(proxy), EXPECTED);
  assert.deepEqual(script.asked.all, ["+one", "+two", "+fixed", "+none", "+mute"]);
  await changes(proxy, script, known[0] as FileResource);
}

/** From a stream of its own and without CDS, by the control plane of xds/server. */
async function servedStory(t: TestContext, binary: string | undefined): Promise<void> {
  const server = createControlPlane({ resources: await resources(t), onEvent() {} });
  t.after(() => server.close());
  const api = { api_type: "DELTA_GRPC", transport_api_version: "V3", grpc_services: GRPC_SERVICES };
  const source = { api_config_source: api, resource_api_version: "V3" };
  const port = await server.listen("127.0.0.1", 0);
  await using proxy = await ProxyProcess.start(binary, config(port, { source, cds: false }));
  const [filter, host] = [proxy.port("filter"), proxy.port("host")];
  assert.equal(await ask(host, { path: "/off", cluster: "everyone" }), "503 NC");
  assert.equal(await ask(filter, { cluster: "everyone" }), "everyone");
  assert.equal(await ask(filter, { cluster: "two" }), "two");
  assert.equal(await ask(filter, { cluster: "none" }), "503 NC");
}

suite("clusters on demand", { concurrency: 3 }, () => {
  test("run waits with a request for its cluster, as Envoy does", (t) => story(t, undefined));
  test("Envoy gives the same answers", without, (t) => story(t, envoy));

  test("run gets clusters on demand from our control plane, without CDS", (t) => servedStory(t, undefined));
  test("Envoy gets the same from it", without, (t) => servedStory(t, envoy));

  test("run asks once for a cluster that requests of two workers wait for, and outlives those that go away", async (t) => {
    const script = new Script(t, await resources(t), ["everyone"]);
    const port = await script.server.listen();
    await using ours = await ProxyProcess.start(undefined, config(port), ["--concurrency", "2"]);
    const filter = ours.port("filter");
    const gone = httpRequest({ host: "127.0.0.1", port: filter, headers: { "x-cluster": "mute" } }).on(
      "error",
      () => {},
    );
    gone.end();
    await script.asked.first("the request that goes away", (name) => name === "+mute");
    gone.destroy();
    const all = await Promise.all(Array.from({ length: 40 }, () => ask(filter, { cluster: "two" })));
    assert.deepEqual([...new Set(all)], ["two"]);
    // Longer than any name of a cluster: it is not asked for.
    assert.equal(await ask(filter, { cluster: "x".repeat(3_000) }), "503 NC");
    assert.deepEqual(script.asked.all, ["+mute", "+two"]);
    const timeouts = () => ours.stat("outrigger_cluster_demands_timed_out_total");
    assert.equal(await timeouts(), 0);
    assert.equal(await ask(filter, { cluster: "mute" }), "503 NC");
    await until("the wait that was given up", timeouts, (count) => count === 1);
  });

  test("a worker that dies while a request waits takes only that one with it", async (t) => {
    const script = new Script(t, await resources(t), ["everyone"]);
    const killer = join(import.meta.dirname, "../support/worker-killer.ts");
    await using ours = await SidecarProcess.start(config(await script.server.listen()), {
      env: { NODE_OPTIONS: `--import=${killer}` },
    });
    const filter = ours.port("filter");
    const answer = (cluster: string) => ask(filter, { cluster }).catch(() => "cut");
    const held = answer("mute");
    await script.asked.first("the demand", (name) => name === "+mute");
    ours.signal("SIGUSR2");
    // Unless the machine was slow to kill.
    assert.match(await held, /^cut$|^503/);
    await ours.untilStat("server.worker_restarts", 1);
    await until(
      "the new worker",
      () => answer("everyone"),
      (text) => text === "everyone",
    );
    // The name is asked for already, and what comes of it reaches the new worker.
    const waiting = answer("mute");
    script.add(staticCluster("mute", await origin(t, "at last")));
    assert.match(await waiting, /^at last$|^503/);
    await until(
      "the demanded cluster",
      () => answer("mute"),
      (text) => text === "at last",
    );
    assert.deepEqual(script.asked.all, ["+mute"]);
  });
});
