// Plugins as access loggers (envoy.access_loggers.wasm): Envoy and outrigger call proxy_on_log of the same guests for the same
// requests, and the guests read the same.

import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const TYPE = "type.googleapis.com/envoy";
const STRING = "type.googleapis.com/google.protobuf.StringValue";

function logger(name: string, configuration: string, filter?: object): object {
  const config = {
    name,
    root_id: name,
    configuration: { "@type": STRING, value: configuration },
    vm_config: { runtime: "envoy.wasm.runtime.v8", code: { local: { filename: guest("access-log") } } },
  };
  return {
    name,
    ...(filter === undefined ? {} : { filter }),
    typed_config: { "@type": `${TYPE}.extensions.access_loggers.wasm.v3.WasmAccessLog`, config },
  };
}

const statusIs = (op: "GE" | "LE", status: number): object => ({
  status_code_filter: { comparison: { op, value: { default_value: status, runtime_key: "unused" } } },
});
const AT_LEAST_400 = statusIs("GE", 400);
const BELOW_400 = statusIs("LE", 399);

/** What the guest reads, and what it finds for `/ok`. */
const READS: readonly (readonly [what: string, found: string])[] = [
  ["header 0 :path", "/ok"],
  ["header 0 x-none", "!1"],
  ["header 1 any", "!1"],
  ["header 2 :status", "200"],
  ["header 2 x-from", "origin"],
  ["header 3 x-trailer", "t"],
  ["pairs 0", "true"],
  ["pairs 1", "false"],
  ["pairs 2", "true"],
  ["pairs 3", "true"],
  ["property request.path", "/ok"],
  ["property response.code_details", "via_upstream"],
  ["property response.flags", "0000000000000000"],
  ["property xds.route_name", "to-origin"],
  ["property plugin_name", "all"],
  ["property xds.node.id", "test-sidecar"],
  ["set 0 x-new", "!2"],
  ["set 2 x-new", "!2"],
];
const LOCAL = ["header 0 :path", "header 2 :status", "header 2 x-from", "pairs 3", "property response.code_details"];

const found = (reads: readonly (readonly string[])[]): string => reads.map((pair) => pair.join(" = ")).join("; ");
const local = (...values: readonly string[]): string => found(LOCAL.map((what, i) => [what, values[i] ?? ""]));

const EXPECTED = [
  `all: ${found(READS)}`,
  `errors: ${local("/direct", "403", "!1", "false", "direct_response")}`,
  `errors: ${local("/nowhere", "404", "!1", "false", "route_not_found")}`,
];

const HTTP_OPTIONS = `${TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions`;
const WITH_TRAILERS = { http_protocol_options: { enable_trailers: true } };

function http(port: number): object {
  const routes = [
    { name: "to-origin", match: { prefix: "/ok" }, route: { cluster: "origin" } },
    { match: { prefix: "/direct" }, direct_response: { status: 403 } },
  ];
  const access_log = [
    logger("all", READS.map(([what]) => what).join("\n"), BELOW_400),
    logger("errors", LOCAL.join("\n"), AT_LEAST_400),
  ];
  const options = {
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": HTTP_OPTIONS,
        explicit_http_config: WITH_TRAILERS,
      },
    },
  };
  return bootstrap({
    listeners: [listener("in", { routes, manager: { access_log, ...WITH_TRAILERS } })],
    clusters: [cluster("origin", [port], options)],
  });
}

const RESPOND =
  "HTTP/1.1 200 OK\r\nX-From: origin\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: t\r\n\r\n";

async function ask(port: number, path: string): Promise<number | undefined> {
  const [response] = (await once(get({ port, path, agent: false }), "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.statusCode;
}

/** What the guests logged, in order, each with the plugin's name. */
function lines(log: string): string[] {
  const ours = [...log.matchAll(/"plugin":"(\w+)".*access log: ([^"\n]*)/g)];
  const theirs = [...log.matchAll(/wasm log (\w+)\b.*access log: ([^"\n]*)/g)];
  return [...ours, ...theirs].map(([, plugin, line]) => `${plugin ?? ""}: ${line ?? ""}`);
}

async function logged(proxy: ProxyProcess, count: number): Promise<readonly string[]> {
  return until(
    `${count} lines`,
    () => lines(proxy.log),
    (all) => all.length >= count,
  );
}

/** What plugins log, and nothing else. */
const LOGS = ["--component-log-level", "wasm:info"];
const oracle = findEnvoy();

suite("plugins as access loggers", () => {
  for (const name of ["outrigger", "Envoy"] as const) {
    const envoy = name === "Envoy" ? oracle : undefined;
    const skip = name === "Envoy" && oracle === undefined ? ENVOY_MISSING : false;

    test(`${name}: read the stream that is over, when their filter lets it through`, { skip }, async () => {
      await using upstream = await FakeUpstream.start({ respond: RESPOND });
      await using proxy = await ProxyProcess.start(envoy, http(upstream.port), LOGS);
      for (const path of ["/ok", "/direct", "/nowhere"]) {
        await ask(proxy.port("in"), path);
      }
      assert.deepEqual(await logged(proxy, EXPECTED.length), EXPECTED);
    });

    test(`${name}: log a TCP connection once, at its end`, { skip }, async () => {
      await using upstream = await FakeUpstream.start({ respond: RESPOND });
      const reads = ["header 0 :path", "pairs 2", "property response.flags", "property plugin_name"];
      const tcp = {
        "@type": `${TYPE}.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
        stat_prefix: "tcp",
        cluster: "origin",
        access_log: [logger("tcp", reads.join("\n"))],
        access_log_options: { flush_access_log_on_connected: true },
      };
      const chains = { filter_chains: [{ filters: [{ name: "tcp", typed_config: tcp }] }] };
      const listeners = [{ ...listener("in"), ...chains }];
      const config = bootstrap({ listeners, clusters: [cluster("origin", [upstream.port])] });
      await using proxy = await ProxyProcess.start(envoy, config, LOGS);
      await ask(proxy.port("in"), "/");
      const line = found(reads.map((what, i) => [what, ["!1", "false", "0000000000000000", "tcp"][i] ?? ""]));
      assert.deepEqual(await logged(proxy, 1), [`tcp: ${line}`]);
    });
  }

  test("one that traps costs no request its answer, and logs again in a fresh VM", async () => {
    await using upstream = await FakeUpstream.start({ respond: RESPOND });
    const access_log = [logger("traps", "trap", AT_LEAST_400), logger("all", "header 0 :path")];
    const listeners = [listener("in", { routes: [], manager: { access_log } })];
    await using sidecar = await SidecarProcess.start(
      bootstrap({ listeners, clusters: [cluster("origin", [upstream.port])] }),
    );
    for (const path of ["/1", "/2", "/3"]) {
      assert.equal(await ask(sidecar.port("in"), path), 404);
    }
    const paths = await until(
      "three lines",
      () => lines(sidecar.log),
      (all) => all.length >= 3,
    );
    assert.deepEqual(
      paths,
      ["/1", "/2", "/3"].map((path) => `all: header 0 :path = ${path}`),
    );
    const { plugins } = await sidecar.adminJson<{ plugins: readonly { name: string; last_fault?: object }[] }>(
      "/plugins",
    );
    const faulty = plugins.flatMap(({ name, last_fault }) => (last_fault === undefined ? [] : [name]));
    assert.deepEqual(new Set(faulty), new Set(["all", "traps"]));
  });

  test("one that refuses its configuration keeps the listener from coming up", async () => {
    const access_log = [logger("bad", "refuse this")];
    const config = bootstrap({ listeners: [listener("in", { routes: [], manager: { access_log } })] });
    await using sidecar = await SidecarProcess.start(config, { untilReady: false });
    assert.equal((await sidecar.untilEnded()).code, 1);
    assert.match(sidecar.log, /plugin "bad" failed in proxy_on_configure/);
  });
});
