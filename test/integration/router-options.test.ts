// Options of the router and of virtual hosts that change fields of requests and answers, and access logs while a stream lives:
// Envoy and outrigger with the same bootstrap do the same.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bootstrap, cluster, fileAccessLog, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { rawAnswer } from "../support/raw-answer.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";

const ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const NAMES = [
  "x-envoy-upstream-rq-timeout-ms",
  "x-envoy-upstream-rq-per-try-timeout-ms",
  "x-envoy-max-retries",
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
];
const VALUES = (
  "70000 -1 a 5.5 18446744073709551615 18446744073709551616 5,6 5xx 5xx,gateway-error,reset 5xx,,reset bogus 5xx,internal " +
  "connect-failure,refused-stream,retriable-headers retriable-4xx,retriable-status-codes,envoy-ratelimited " +
  "reset-before-request,http3-post-connect-failure cancelled deadline-exceeded,resource-exhausted,internal,unavailable"
)
  .split(" ")
  .concat("", "5xx, reset", "cancelled, unavailable");

/** Whoever comes from this machine may send x-envoy- fields. */
const INTERNAL = {
  use_remote_address: true,
  internal_address_config: { cidr_ranges: [{ address_prefix: "127.0.0.0", prefix_len: 8 }] },
};
const routerOf = (options: object) => [{ name: "r", typed_config: { "@type": ROUTER, ...options } }];

const ROUTES = [
  { match: { prefix: "/direct" }, direct_response: { status: 200 } },
  { match: { prefix: "/down" }, name: "down", route: { cluster: "down" } },
  { match: { prefix: "/none" }, route: { cluster: "none" } },
  { match: { prefix: "/header" }, route: { cluster_header: "x-cluster" } },
  { match: { prefix: "/slow" }, name: "slow", route: { cluster: "slow" } },
  { match: { prefix: "/" }, route: { cluster: "origin", timeout: "7s" } },
];
const hosts = (options: object) => [{ name: "all", domains: ["*"], routes: ROUTES, ...options }];
const table = { name: "table", internal_only_headers: ["x-Secret", "x-other"], virtual_hosts: hosts({}) };

const LINE =
  "%ACCESS_LOG_TYPE% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %ROUTE_NAME% %UPSTREAM_CLUSTER% %BYTES_SENT%\n";

const get = (path: string, fields = "") => `GET ${path} HTTP/1.1\r\nhost: shop\r\n${fields}\r\n`;

async function seen(envoy: string | undefined): Promise<unknown> {
  await using origin = await RecordingOrigin.start(({ target }) =>
    target === "/own"
      ? "HTTP/1.1 200 OK\r\nx-envoy-attempt-count: 7\r\ncontent-length: 0\r\n\r\n"
      : "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
  );
  const folder = mkdtempSync(join(tmpdir(), "outrigger-router-"));
  const logs = { start: join(folder, "start"), period: join(folder, "period") };
  // Answers when the stream has been logged while it waited.
  const slow = createServer((_, response) => {
    const timer = setInterval(() => {
      if (linesOf(logs.period).length >= 2) {
        clearInterval(timer);
        response.end("late");
      }
    }, 20);
  });
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  const logged = {
    access_log: [fileAccessLog(logs.start, LINE)],
    access_log_options: { flush_access_log_on_new_request: true },
  };
  const periodic = { access_log: [fileAccessLog(logs.period, LINE)], access_log_flush_interval: "0.06s" };
  const config = bootstrap({
    listeners: [
      listener("strict", {
        routes: ROUTES,
        manager: {
          ...INTERNAL,
          http_filters: routerOf({ strict_check_headers: NAMES }),
          local_reply_config: {
            body_format: {
              text_format_source: { inline_string: "%LOCAL_REPLY_BODY% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%" },
            },
          },
        },
      }),
      listener("respect", {
        routes: ROUTES,
        manager: { ...INTERNAL, http_filters: routerOf({ respect_expected_rq_timeout: true }) },
      }),
      listener("counts", {
        virtualHosts: hosts({ include_attempt_count_in_response: true }),
        filters: [wasmFilter("local", guest("local-reply"))],
      }),
      listener("internal", { manager: { ...INTERNAL, route_config: table } }),
      listener("edge", { manager: { use_remote_address: true, route_config: table } }),
      listener("plain", { manager: { route_config: table } }),
      listener("start", { routes: ROUTES, manager: logged }),
      listener("period", { routes: ROUTES, manager: periodic }),
    ],
    clusters: [
      cluster("origin", [origin.port]),
      cluster("slow", [(slow.address() as AddressInfo).port]),
      cluster("down", [1]),
      cluster("none", []),
    ],
  });
  await using proxy = await ProxyProcess.start(envoy, config);
  const all: unknown[] = [];
  for (const path of ["/a", "/direct", "/none"]) {
    for (const name of path === "/a" ? NAMES : ["x-envoy-max-retries"]) {
      const sent = (path === "/a" ? VALUES : ["bogus"]).map(async (value) => {
        const text = await rawAnswer(proxy.port("strict"), get(path, `${name}: ${value}\r\n`));
        return [path, name, value, text.split(" ")[1], text.slice(text.indexOf("\r\n\r\n"))];
      });
      all.push(...(await Promise.all(sent)));
    }
  }
  for (const fields of [
    "x-envoy-expected-rq-timeout-ms: 50000\r\n",
    "x-envoy-expected-rq-timeout-ms: 50000\r\nx-envoy-upstream-rq-timeout-ms: 30000\r\n",
    "x-envoy-expected-rq-timeout-ms: a\r\n",
    "x-envoy-expected-rq-timeout-ms: 0\r\n",
    "x-envoy-upstream-rq-timeout-ms: 30000\r\n",
  ]) {
    await rawAnswer(proxy.port("respect"), get("/a", fields));
    all.push([fields, origin.requests.at(-1)?.fields.filter(([name]) => name.includes("timeout"))]);
  }
  for (const path of ["/a", "/own", "/direct", "/down", "/none", "/header", "/reply/request-headers"]) {
    const text = await rawAnswer(proxy.port("counts"), get(path));
    all.push([path, text.split(" ")[1], /x-envoy-attempt-count: .*/i.exec(text)?.[0]]);
  }
  for (const name of ["internal", "edge", "plain"]) {
    await rawAnswer(proxy.port(name), get("/a", "X-Secret: 1\r\nx-other: 2\r\nx-kept: 3\r\n"));
    const arrived = origin.requests.at(-1)?.fields.filter(([field]) => /^x-(?:secret|other|kept)/.test(field));
    all.push([name, arrived]);
  }
  for (const path of ["/a", "/direct", "/down"]) {
    await rawAnswer(proxy.port("start"), get(path));
  }
  await rawAnswer(proxy.port("period"), get("/slow"));
  while (linesOf(logs.start).length < 6 || !linesOf(logs.period).some((line) => line.startsWith("DownstreamEnd"))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  all.push(linesOf(logs.start), [...new Set(linesOf(logs.period))]);
  slow.close();
  rmSync(folder, { recursive: true });
  return all;
}

function linesOf(file: string): readonly string[] {
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
}

const envoy = findEnvoy();

test(
  "fields are checked, told and taken away, and streams are logged while they live, as by Envoy",
  { skip: envoy === undefined ? ENVOY_MISSING : false, timeout: 60_000 },
  async () => {
    const [ours, theirs] = await Promise.all([seen(undefined), seen(envoy)]);
    assert.deepEqual(ours, theirs);
  },
);
