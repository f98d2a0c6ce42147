// The CORS and fault filters: Envoy and outrigger with the same bootstrap answer the same requests the same way, with the same
// statistics, flags and details. What is sent to the client and logged is compared whole, but for times.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, fileAccessLog, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeUpstream } from "../support/fake-upstream.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";

const TYPE = "type.googleapis.com/envoy.extensions.filters.http";
const FAULT = { "@type": `${TYPE}.fault.v3.HTTPFault` };
const POLICY = { "@type": `${TYPE}.cors.v3.CorsPolicy` };
const FILTERS = [
  { name: "envoy.filters.http.fault", typed_config: FAULT },
  { name: "envoy.filters.http.cors", typed_config: { "@type": `${TYPE}.cors.v3.Cors` } },
];
const ALL = { numerator: 100 };
const BODY = "x".repeat(20_000);
const RESPOND = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

const fault = (value: object) => ({ "envoy.filters.http.fault": { ...FAULT, ...value } });
const cors = (value: object) => ({ "envoy.filters.http.cors": { ...POLICY, ...value } });

function to(path: string, settings: object, more: object = {}): object {
  return { match: { path }, route: { cluster: "origin" }, typed_per_filter_config: settings, ...more };
}

const abort = (value: object) => fault({ abort: { percentage: ALL, ...value } });
const delay = (value: object) => fault({ delay: { percentage: ALL, ...value } });

const ROUTES = [
  to("/abort", abort({ http_status: 418 }), {
    response_headers_to_add: [{ header: { key: "x-route", value: "abort" } }],
  }),
  to("/abort-body", abort({ http_status: 503, response_body: "no %REQ(:path)% today" })),
  to("/abort-grpc", abort({ grpc_status: 5 })),
  to("/abort-header", abort({ header_abort: {} })),
  to("/abort-key", fault({ abort: { http_status: 503 }, abort_percent_runtime: "test.abort" })),
  to("/abort-never", fault({ abort: { http_status: 503 } })),
  to("/delay", delay({ fixed_delay: "0.05s" })),
  to("/delay-header", delay({ header_delay: {} })),
  to("/both", {
    ...fault({ delay: { fixed_delay: "0.02s", percentage: ALL }, abort: { http_status: 500, percentage: ALL } }),
  }),
  to("/other-cluster", fault({ upstream_cluster: "another", abort: { http_status: 503, percentage: ALL } })),
  to("/this-cluster", fault({ upstream_cluster: "origin", abort: { http_status: 503, percentage: ALL } })),
  to(
    "/by-header",
    fault({
      headers: [{ name: "x-fault", string_match: { exact: "yes" } }],
      abort: { http_status: 503, percentage: ALL },
    }),
  ),
  to("/by-node", fault({ downstream_nodes: ["n1"], abort: { http_status: 503, percentage: ALL } })),
  to("/overflow", fault({ max_active_faults: 0, abort: { http_status: 503, percentage: ALL } })),
  to("/slow", fault({ response_rate_limit: { fixed_limit: { limit_kbps: 100 }, percentage: ALL } })),
  to(
    "/cors",
    cors({ allow_origin_string_match: [{ prefix: "https://good" }], allow_methods: "GET,PUT", max_age: "60" }),
    {
      response_headers_to_add: [{ header: { key: "x-route", value: "cors" } }],
    },
  ),
  to(
    "/cors-strict",
    cors({
      allow_origin_string_match: [{ exact: "https://good" }],
      allow_methods: "*",
      forward_not_matching_preflights: false,
    }),
  ),
  to(
    "/cors-any",
    cors({
      allow_origin_string_match: [{ exact: "*" }],
      allow_headers: "*",
      expose_headers: "x-a",
      allow_credentials: true,
      allow_private_network_access: true,
    }),
  ),
  to(
    "/cors-off",
    cors({ allow_origin_string_match: [{ exact: "*" }], filter_enabled: { default_value: { numerator: 0 } } }),
  ),
  to(
    "/cors-shadow",
    cors({
      allow_origin_string_match: [{ exact: "https://good" }],
      filter_enabled: { default_value: {} },
      shadow_enabled: { default_value: ALL },
    }),
  ),
  to("/cors-host", cors({ max_age: "9" })),
  { match: { prefix: "/" }, route: { cluster: "origin" } },
];

const HOST_CORS = cors({
  allow_origin_string_match: [{ safe_regex: { regex: "https://.*\\.host" } }],
  allow_methods: "POST",
});

interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const preflight = (path: string, origin: string, more: object = {}): Asked => ({
  path,
  method: "OPTIONS",
  headers: { origin, "access-control-request-method": "PUT", ...more },
});
const from = (path: string, origin: string): Asked => ({ path, headers: { origin } });
const GRPC = { "content-type": "application/grpc" };

const REQUESTS: readonly Asked[] = [
  { path: "/abort" },
  { path: "/abort", headers: GRPC },
  { path: "/abort", headers: { "x-envoy-downstream-service-cluster": "caller" } },
  { path: "/abort-body" },
  { path: "/abort-body", headers: GRPC },
  { path: "/abort-grpc" },
  { path: "/abort-grpc", headers: GRPC },
  { path: "/abort-header" },
  { path: "/abort-header", headers: { "x-envoy-fault-abort-request": "429" } },
  {
    path: "/abort-header",
    headers: { "x-envoy-fault-abort-request": "429", "x-envoy-fault-abort-request-percentage": "0" },
  },
  { path: "/abort-header", headers: { "x-envoy-fault-abort-request": "199" } },
  { path: "/abort-header", headers: { "x-envoy-fault-abort-request": "4x" } },
  { path: "/abort-header", headers: { "x-envoy-fault-abort-grpc-request": "9", ...GRPC } },
  { path: "/abort-key" },
  { path: "/abort-never" },
  { path: "/delay" },
  { path: "/delay", method: "POST" },
  { path: "/delay-header" },
  { path: "/delay-header", headers: { "x-envoy-fault-delay-request": "20" } },
  { path: "/both" },
  { path: "/other-cluster" },
  { path: "/this-cluster" },
  { path: "/by-header" },
  { path: "/by-header", headers: { "x-fault": "yes" } },
  { path: "/by-node" },
  { path: "/by-node", headers: { "x-envoy-downstream-service-node": "n1" } },
  { path: "/overflow" },
  { path: "/slow" },
  { path: "/slow", method: "HEAD" },
  from("/cors", "https://good.example"),
  from("/cors", "https://bad.example"),
  preflight("/cors", "https://good.example"),
  preflight("/cors", "https://bad.example"),
  { path: "/cors", method: "OPTIONS", headers: { origin: "https://good.example" } },
  preflight("/cors-strict", "https://good"),
  preflight("/cors-strict", "https://bad"),
  preflight("/cors-any", "https://x", {
    "access-control-request-headers": "x-b,x-c",
    "access-control-request-private-network": "true",
  }),
  from("/cors-any", "https://x"),
  from("/cors-off", "https://x"),
  from("/cors-shadow", "https://good"),
  from("/cors-host", "https://a.host"),
  preflight("/cors-host", "https://a.host"),
  preflight("/elsewhere", "https://a.host"),
  { path: "/cors" },
];

/** What must be the same: the answer as the client sees it. */
async function answerOf(port: number, { path, method = "GET", headers = {} }: Asked): Promise<object> {
  const asked = request({ port, path, method, headers: { host: "mesh", ...headers } });
  asked.end(method === "POST" ? "body" : undefined);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let bytes = "";
  for await (const chunk of response) bytes += String(chunk);
  const { date: _date, "x-envoy-upstream-service-time": _time, ...kept } = response.headers;
  return {
    method,
    path,
    asked: headers,
    status: response.statusCode,
    headers: kept,
    body: bytes === BODY ? "BODY" : bytes,
  };
}

interface Seen {
  readonly answers: readonly object[];
  readonly log: readonly string[];
  readonly stats: object;
  readonly slowMs: number;
  readonly delayMs: number;
}

async function seen(envoy: string | undefined): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-filters-"));
  try {
    await using upstream = await FakeUpstream.start({ respond: RESPOND });
    const log = join(folder, "log");
    const format =
      "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_SENT%\n";
    const manager = { access_log: [fileAccessLog(log, format)] };
    const virtualHosts = [{ name: "all", domains: ["*"], routes: ROUTES, typed_per_filter_config: HOST_CORS }];
    const listeners = [listener("in", { virtualHosts, filters: FILTERS, manager })];
    const config = bootstrap({
      listeners,
      clusters: [cluster("origin", [upstream.port])],
      runtime: { "test.abort": 100, "fault.http.caller.abort.http_status": 501 },
    });
    await using proxy = await ProxyProcess.start(envoy, config);
    const answers = [];
    const took = new Map<string, number>();
    for (const asked of REQUESTS) {
      const before = performance.now();
      answers.push(await answerOf(proxy.port("in"), asked));
      took.set(`${asked.method ?? "GET"} ${asked.path}`, performance.now() - before);
    }
    const lines = await until(
      "a line for each request",
      () => readFileSync(log, "utf8").split("\n").slice(0, -1),
      ({ length }) => length === REQUESTS.length,
    );
    const text = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/stats?filter=^http.in.(cors|fault)`)).text();
    const stats = Object.fromEntries(text.split("\n").flatMap((line) => (line === "" ? [] : [line.split(": ")])));
    return { answers, log: lines, stats, slowMs: took.get("GET /slow") ?? 0, delayMs: took.get("GET /delay") ?? 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const oracle = findEnvoy();

suite("the CORS and fault filters", { timeout: 60_000 }, () => {
  test("answer as Envoy's", { skip: oracle === undefined ? ENVOY_MISSING : false }, async () => {
    const [ours, envoys] = await Promise.all([seen(undefined), seen(oracle)]);
    assert.deepEqual(ours.answers, envoys.answers);
    assert.deepEqual(ours.log, envoys.log);
    assert.deepEqual(ours.stats, envoys.stats);
    for (const { slowMs, delayMs } of [ours, envoys]) {
      // 20 kB at 100 KiB/s are four slices of 50 ms, of which the first goes at once.
      assert.ok(slowMs > 140, `slow: ${slowMs} ms`);
      assert.ok(delayMs > 45, `delay: ${delayMs} ms`);
    }
  });
});
