// Plays a conversation between a real client and a scripted control plane over real gRPC, and compares what the client sends
// with what the script says. A script is a text that reads as a transcript (test/fixtures/conversations/README.md):
//
//   > REQUEST     the client's next request          < RESPONSE    the server sends it
//   = STATE       what is in use, sooner or later    ! EVENT       something happens to the stream
//
// Read by test/xds/conversations.test.ts.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import type { DiscoveryResponse, WireResource } from "../../xds/discovery-messages.ts";
import { ListenerSchema } from "../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { Snapshot } from "../../xds/model/snapshot.ts";
import * as types from "../../xds/type-urls.ts";
import { printRequest } from "../xds/transcript.ts";
import { FakeControlPlane, type FakeStream } from "./fake-control-plane.ts";
import { startClient, type TestClient } from "./xds-client.ts";
import {
  adsBootstrap,
  edsCluster,
  endpoints,
  listener,
  one,
  plugin,
  routes,
  scopedListener,
  staticCluster,
} from "./xds-resources.ts";

export type Script = Readonly<{ title: string; variant: "sotw" | "delta"; lines: readonly string[] }>;

const TYPES: Readonly<Record<string, string>> = {
  CDS: types.CLUSTER_TYPE,
  EDS: types.ENDPOINTS_TYPE,
  LDS: types.LISTENER_TYPE,
  RDS: types.ROUTE_TYPE,
  VHDS: types.VIRTUAL_HOST_TYPE,
  SRDS: types.SCOPED_ROUTE_TYPE,
  ECDS: types.EXTENSION_CONFIG_TYPE,
  RTDS: types.RUNTIME_TYPE,
  SDS: types.SECRET_TYPE,
};

const RTDS_LAYER = `layered_runtime: { layers: [{ name: l, rtds_layer: { name: rt, rtds_config: { ads: {}, resource_api_version: V3 } } }] }`;

/** `# sotw: title` or `# delta: title`, then the lines. */
export function parseScript(text: string): Script {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  const [, variant, title] = /^# (sotw|delta): (.+)$/.exec(head) ?? [];
  assert.ok((variant === "sotw" || variant === "delta") && title !== undefined, `a script begins otherwise: ${head}`);
  return { title, variant, lines };
}

/** Plays it to its end. Resolves to the lines with what the client really sent. */
export async function play(t: TestContext, script: Script): Promise<string[]> {
  const server = new FakeControlPlane();
  t.after(() => server.close());
  const port = await server.listen();
  const extra = script.lines.includes("! runtime layer") ? RTDS_LAYER : "";
  const loaded = adsBootstrap(port, script.variant === "sotw" ? "GRPC" : "DELTA_GRPC", extra);
  const isNodeRepeated = script.lines.includes("! node on every request");
  const ads = loaded.ads === undefined ? undefined : { ...loaded.ads, setNodeOnFirstMessageOnly: !isNodeRepeated };
  const client = startClient({ ...loaded, ads });
  t.after(() => client.client.close());
  const player = new Player(script, server, client);
  const said: string[] = [];
  for (const line of script.lines) said.push(await player.line(line));
  return said;
}

class Player {
  readonly #script: Script;
  readonly #server: FakeControlPlane;
  readonly #client: TestClient;
  #stream: FakeStream | undefined;

  constructor(script: Script, server: FakeControlPlane, client: TestClient) {
    this.#script = script;
    this.#server = server;
    this.#client = client;
  }

  async line(line: string): Promise<string> {
    const rest = line.slice(2);
    switch (line.slice(0, 1)) {
      case ">":
        return `> ${printRequest((await (await this.#current()).next()).request)}`;
      case "<":
        (await this.#current()).send(parseResponse(this.#script.variant, rest));
        return line;
      case "=":
        await this.#client.until(rest, (snapshot) => describe(snapshot) === rest);
        return line;
      case "!":
        await this.#event(rest);
        return line;
      default:
        assert.ok(line === "" || line.startsWith("# "), `what is this: ${line}`);
        return line;
    }
  }

  async #current(): Promise<FakeStream> {
    this.#stream ??= await this.#server.nextStream();
    return this.#stream;
  }

  async #event(event: string): Promise<void> {
    const stream = await this.#current();
    const { client, untilStatus } = this.#client;
    if (event === "runtime layer" || event === "node on every request") return;
    if (event === "the server ends the stream") stream.end();
    else if (event.startsWith("the server fails the stream: ")) {
      stream.fail(status.INVALID_ARGUMENT, event.slice(event.indexOf(": ") + 2));
    } else if (event.startsWith("a request of ")) {
      const [routes = "", host = ""] = event.slice("a request of ".length).split(" ");
      const name = `${routes}/${host}`;
      client.demand({ key: `host ${name}`, kind: "host", routes, name });
      return;
    } else if (event.startsWith("settled ")) {
      await this.#client.until(event, ({ settled }) => settled.has(`host ${event.slice("settled ".length)}`));
      return;
    } else if (event.startsWith("status ")) {
      const [, name, state] = event.split(" ");
      await untilStatus(event, () =>
        client.status().resources.some((each) => each.name === name && each.state === state),
      );
      return;
    } else assert.fail(`no such event: ${event}`);
    this.#stream = undefined;
  }
}

/** What is in use, in one line; only what came over the stream. */
function describe(snapshot: Snapshot): string {
  const { clusters, endpoints: assignments, listeners, scopes, routes: tables, plugins, runtime } = snapshot;
  const ports = (name: string) => {
    const port = JSON.stringify(assignments.get(name)?.localities ?? []).match(/"port":(\d+)/)?.[1];
    return port === undefined ? `${name}` : `${name}:${port}`;
  };
  const cluster = ([name, { discovery }]: [string, { discovery: { kind: string } }]) =>
    discovery.kind === "eds" ? ports(name) : name;
  const parts = [
    ["clusters", [...clusters].filter(([name]) => name !== "xds").map(cluster)],
    ["listeners", [...listeners.keys()]],
    ["scopes", [...scopes.keys()]],
    ["routes", [...tables.values()].map((table) => `${table.name}->${targetOf(table)}`)],
    [
      "hosts",
      [...tables.values()]
        .flatMap(({ virtualHosts }) => virtualHosts.map(({ name }) => name))
        .filter((name) => name !== "all"),
    ],
    ["plugins", [...plugins.keys()]],
    ["runtime", Object.entries(runtime).map(([key, value]) => `${key}=${JSON.stringify(value)}`)],
  ] satisfies [string, string[]][];
  const said = parts
    .filter(([, names]) => names.length > 0)
    .map(([part, names]) => `${part} ${names.toSorted().join(" ")}`);
  return said.length === 0 ? "nothing" : said.join(", ");
}

function targetOf(table: Snapshot["routes"] extends ReadonlyMap<string, infer Table> ? Table : never): string {
  return /"cluster":\{"kind":"cluster","name":"([^"]*)"/.exec(JSON.stringify(table))?.[1] ?? "-";
}

/** `CDS v=1 n=a [web:eds -gone]`: type, version, nonce, resources. */
function parseResponse(variant: "sotw" | "delta", text: string): DiscoveryResponse {
  const [, label = "", version = "", nonce = "", list = ""] = /^(\S+) (?:v=(\S+) )?n=(\S+) \[(.*)\]$/.exec(text) ?? [];
  assert.notEqual(label, "", `no response: ${text}`);
  const typeUrl = TYPES[label] ?? `type.googleapis.com/${label}`;
  const words = list.split(" ").filter((word) => word !== "");
  const removed = words.filter((word) => word.startsWith("-")).map((word) => word.slice(1));
  const resources = words.filter((word) => !word.startsWith("-")).map((word) => parseResource(typeUrl, word, variant));
  return variant === "sotw"
    ? { kind: "sotw", typeUrl, version, nonce, resources, controlPlane: "" }
    : { kind: "delta", typeUrl, version: "", nonce, resources, removed, controlPlane: "" };
}

/** `name:what@version~ttlMs`; a name that ends with "?" has no body. See the README of the conversations. */
function parseResource(typeUrl: string, word: string, variant: "sotw" | "delta"): WireResource {
  const [, text = "", version = "", ttl, alias] = /^([^@~|]*)(?:@([^~|]*))?(?:~(\d+))?(?:\|(.*))?$/.exec(word) ?? [];
  const aliases = alias === undefined ? {} : { aliases: alias.split(",") };
  const ttlMs = ttl === undefined ? undefined : Number(ttl);
  if (text.endsWith("?")) return { name: text.slice(0, -1), version, typeUrl: "", bytes: undefined, ttlMs, ...aliases };
  const made = makeResource(typeUrl, text);
  // State-of-the-world servers give a name and a version only in a wrapper, which they use for a time to live.
  const name = variant === "delta" || ttl !== undefined ? made.name : "";
  return {
    name,
    version: variant === "delta" ? version : "",
    typeUrl: made.typeUrl,
    bytes: made.value,
    ttlMs,
    ...aliases,
  };
}

function makeResource(typeUrl: string, text: string): FileResource {
  const [name = "", what = ""] = text.split(":");
  if (what === "bad") return badResource(typeUrl, name);
  switch (typeUrl) {
    case types.CLUSTER_TYPE: {
      if (what === "newer") return withNewerField(staticCluster(name));
      const [, timeout] = /^eds\/(\S+)$/.exec(what) ?? [];
      if (what.startsWith("eds")) return edsCluster(name, timeout === undefined ? {} : { timeout });
      if (what === "route") return routes(name, "a");
      return staticCluster(name, what === "" ? 8080 : Number(what));
    }
    case types.ENDPOINTS_TYPE:
      return endpoints(name, what === "" ? 8080 : Number(what));
    case types.LISTENER_TYPE: {
      if (what === "nothing") return emptyListener(name);
      if (what === "scoped") return scopedListener(name);
      const [target = "", filter] = what.split("+");
      return listener(name, { routes: target, ...(filter === undefined ? {} : { plugin: filter }) });
    }
    case types.ROUTE_TYPE:
      if (what === "vhds") return hostlessRoutes(name);
      return what === "empty" ? one(`{ "@type": "${typeUrl}", name: ${name} }`) : routes(name, what);
    case types.SCOPED_ROUTE_TYPE: {
      const key = `{ fragments: [{ string_key: ${name} }] }`;
      return one(`{ "@type": ${typeUrl}, name: ${name}, key: ${key}, route_configuration_name: ${what} }`);
    }
    case types.VIRTUAL_HOST_TYPE: {
      const route = `{ match: { prefix: "/" }, route: { cluster: web } }`;
      const domains = `["${name.slice(name.lastIndexOf("/") + 1)}.test"]`;
      return one(`{ "@type": "${typeUrl}", name: "${name}", domains: ${domains}, routes: [${route}] }`);
    }
    case types.EXTENSION_CONFIG_TYPE:
      return plugin(name, what === "" ? "plugin.wasm" : what);
    case types.RUNTIME_TYPE: {
      const [key = "", value = ""] = what.split("=");
      return one(`{ "@type": "${typeUrl}", name: ${name}, layer: { ${key}: ${value} } }`);
    }
    default:
      return { typeUrl, name, value: new Uint8Array() };
  }
}

/** As a later version of the API might have it: field 9999, a number. */
function withNewerField(resource: FileResource): FileResource {
  return { ...resource, value: Buffer.concat([resource.value, Buffer.from([0xf8, 0xf0, 0x04, 0x01])]) };
}

function hostlessRoutes(name: string): FileResource {
  const source = "{ ads: {}, resource_api_version: V3 }";
  return one(`{ "@type": "${types.ROUTE_TYPE}", name: ${name}, vhds: { config_source: ${source} } }`);
}

function emptyListener(name: string): FileResource {
  const value = toBinary(ListenerSchema, create(ListenerSchema, { name }));
  return { typeUrl: types.LISTENER_TYPE, name, value };
}

/** It has its name, and after that bytes that no message begins with. */
function badResource(typeUrl: string, name: string): FileResource {
  return {
    typeUrl,
    name,
    value: Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name), Buffer.from([0x07])]),
  };
}
