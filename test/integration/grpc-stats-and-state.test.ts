// The filters grpc_stats and set_filter_state: Envoy and outrigger with the same bootstrap count and keep the same.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bootstrap, cluster, fileAccessLog, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { until } from "../support/sidecar-story.ts";

const TYPE = "type.googleapis.com/envoy.extensions.filters.http";

const grpcStats = (config: object) => ({
  name: "envoy.filters.http.grpc_stats",
  typed_config: { "@type": `${TYPE}.grpc_stats.v3.FilterConfig`, ...config },
});

const text = (inline_string: string, more: object = {}) => ({
  format_string: { text_format_source: { inline_string }, ...more },
});
const STATE = {
  name: "envoy.filters.http.set_filter_state",
  typed_config: {
    "@type": `${TYPE}.set_filter_state.v3.Config`,
    on_request_headers: [
      { object_key: "user", factory_key: "envoy.string", ...text("%REQ(x-user)%") },
      { object_key: "path", factory_key: "envoy.string", ...text("on %REQ(:path)% by %REQ(:method)%") },
      {
        object_key: "skipped",
        factory_key: "envoy.string",
        skip_if_empty: true,
        ...text("%REQ(x-user)%", { omit_empty_values: true }),
      },
      { object_key: "empty", factory_key: "envoy.string", ...text("%REQ(x-user)%", { omit_empty_values: true }) },
      { object_key: "number", factory_key: "envoy.ratelimit.hits_addend", ...text("%REQ(x-number)%") },
      { object_key: "envoy.tcp_proxy.cluster", ...text("constant") },
    ],
  },
};

/** Messages with their heads of five bytes. */
function framed(...messages: readonly string[]): string {
  return messages.map((message) => `\0\0\0\0${String.fromCharCode(message.length)}${message}`).join("");
}

const body = framed("one", "second");
const grpc = (status: string, end = "") =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: ${status}\r\ncontent-length: ${end.length}\r\n\r\n${end}`;
const TRAILERS = `HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\ngrpc-status: 7\r\n\r\n`;
const ANSWERS: Readonly<Record<string, string>> = {
  "/shop.Cart/Add": grpc("0", body),
  "/shop.Cart/Empty": grpc("0"),
  "/shop.Cart/Fail": grpc("13"),
  "/shop.Other/Odd": grpc("42"),
  "/shop.Cart/Trailers": TRAILERS,
};

const GRPC = { "content-type": "application/grpc" };
const REQUESTS: readonly (readonly [path: string, headers: Readonly<Record<string, string>>])[] = [
  ["/shop.Cart/Add", GRPC],
  ["/shop.Cart/Add?query", GRPC],
  ["/shop.Cart/Empty", { "content-type": "application/grpc+proto" }],
  ["/shop.Cart/Fail", GRPC],
  ["/shop.Other/Odd", GRPC],
  ["/shop.Cart/Trailers", GRPC],
  ["/plain", {}],
  ["/not-a-method", GRPC],
  ["/a/b/c", GRPC],
  ["/x", { "x-user": "ann", "x-number": "12" }],
  ["/x", { "x-number": "none" }],
];

const KEYS = ["user", "path", "skipped", "empty", "number", "envoy.tcp_proxy.cluster", "envoy.filters.http.grpc_stats"];

interface Seen {
  readonly log: readonly string[];
  readonly stats: Readonly<Record<string, string>>;
}

async function seen(envoy: string | undefined, listenerName: string): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-state-"));
  try {
    await using origin = await RecordingOrigin.start(({ target }) => ANSWERS[target.replace(/\?.*/, "")]);
    const log = join(folder, "log");
    const format = `%REQ(:path)% ${KEYS.map((key) => `%FILTER_STATE(${key}:PLAIN)%`).join(" | ")}\n`;
    const manager = { access_log: [fileAccessLog(log, format)], http_protocol_options: { enable_trailers: true } };
    const listed = { services: [{ name: "shop.Cart", method_names: ["Add", "Trailers"] }] };
    const filters = {
      all: grpcStats({ stats_for_all_methods: true, replace_dots_in_grpc_service_name: true, emit_filter_state: true }),
      some: grpcStats({ individual_method_stats_allowlist: listed, emit_filter_state: true }),
      none: grpcStats({}),
    };
    const listeners = Object.entries(filters).map(([name, filter]) =>
      listener(name, { filters: [filter, STATE], manager }),
    );
    const options = {
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          explicit_http_config: { http_protocol_options: { enable_trailers: true } },
        },
      },
    };
    const config = bootstrap({ listeners, clusters: [cluster("origin", [origin.port], options)] });
    await using proxy = await ProxyProcess.start(envoy, config);
    for (const [path, headers] of REQUESTS) {
      const asked = request({
        port: proxy.port(listenerName),
        path,
        method: "POST",
        headers: { host: "shop", ...headers },
      });
      asked.end(headers === GRPC ? Buffer.from(body, "latin1") : "");
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      response.resume();
      await once(response, "end");
    }
    const lines = await until(
      "a line for each request",
      () => readFileSync(log, "utf8").split("\n").slice(0, -1),
      ({ length }) => length === REQUESTS.length,
    );
    const all = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/stats?filter=^cluster.origin.grpc`)).text();
    const stats = all.split("\n").flatMap((line) => (line === "" ? [] : [line.split(": ") as [string, string]]));
    return { log: lines, stats: Object.fromEntries(stats) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const oracle = findEnvoy();
const skip = oracle === undefined ? ENVOY_MISSING : false;

for (const [name, methods] of [
  ["all", "every method"],
  ["some", "methods that are listed"],
  ["none", "no method"],
] as const) {
  test(
    `grpc_stats with statistics of ${methods}, and set_filter_state, are Envoy's`,
    { skip, timeout: 60_000 },
    async () => {
      const [ours, envoys] = await Promise.all([seen(undefined, name), seen(oracle, name)]);
      assert.deepEqual(ours.stats, envoys.stats);
      assert.ok(Object.keys(ours.stats).length > 5);
      assert.deepEqual(ours.log, envoys.log);
    },
  );
}
