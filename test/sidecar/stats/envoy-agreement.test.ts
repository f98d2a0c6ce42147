// Compares /stats with the real Envoy: the same bootstrap on both, the same requests, and then every name that both have must
// have the same value, and every name that only Envoy has must be one that we know to lack, for a reason.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bootstrap, cluster, listener } from "../../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../../support/envoy-binary.ts";
import { RawClient } from "../../support/raw-client.ts";
import { RecordingOrigin } from "../../support/recording-origin.ts";
import { SidecarProcess } from "../../support/sidecar-process.ts";
import { until } from "../../support/sidecar-story.ts";

const envoy = findEnvoy();
const options = { skip: envoy === undefined ? ENVOY_MISSING : false, timeout: 60_000 };

/** Names that only Envoy has, by why. Everything else that it has we must have. */
const LACKING: readonly (readonly [why: string, names: RegExp])[] = [
  ["HTTP/2, HTTP/3 and TLS are not there yet", /http[23]|0_?rtt|ssl|ocsp|premature_resets/],
  ["no overload manager", /overload|reset_high_memory|global_cx_overflow/],
  ["no zone-aware, subset or preconnecting balancer", /\.lb_|\.zone\.|preconnect|total_match_count/],
  [
    "no internal redirects, shadowing, per-try idle timeouts or rate-limited backoff",
    /internal_redirect|shadow|per_try_idle|backoff/,
  ],
  ["upgrades are passed through, and counted nowhere", /upgrades_|_ws_on_non_ws/],
  ["buffers are Node's", /_buffered$/],
  ["no cache of xDS answers, no EDS heartbeats", /\.assignment_|warming_state|update_duration/],
  ["requests by origin are not told apart", /\.(?:external|internal)\.upstream_/],
  [
    "by listener only what is not by connection manager",
    /^listener\..*\.(?:http\.|worker_|downstream_pre|downstream_listener_filter)/,
  ],
  [
    "a listener's rarer failures",
    /(?:extension_config_missing|connections_accepted_per_socket_event|socket_connect_timeout)$/,
  ],
  ["the admin port counts what people look at", /^(?:http|listener)\.admin\./],
  ["threads are watched by other means", /watchdog/],
  ["clusters are on every thread from the start", /^thread_local_cluster_manager/],
  ["pools have no limit of their own", /pool_open|pool_overflow/],
  [
    "no detection of Envoy's own bugs and deprecations",
    /envoy_bug|debug_assertion|deprecated|wip_protos|unknown_fields|envoy_notifications/,
  ],
  ["no override directory", /override_dir/],
  ["updates are merged by the event loop", /merge|cluster_manager\.cluster_updated/],
  ["filter chains have no drain of their own", /filter_chains_draining|in_place_updated|workers_pinned/],
  ["statistics are read, not flushed", /stat_flushes|stats_recent_lookups/],
  ["numbers that say nothing about us", /^server\.(?:version|compilation_settings|hot_restart_generation)/],
  [
    "limits that connections and streams to upstreams do not have here",
    /max_duration_reached|attempts_exceeded|upstream_queue/,
  ],
  [
    "of a cluster, rarely looked at",
    /\.(?:bind_errors|original_dst_host_invalid|membership_excluded|version|max_host_weight|update_time)$/,
  ],
  ["of a cluster, rarely looked at", /upstream_rq_per_cx|rx_reset_no_error|^cluster\..*underscores/],
  ["of a codec, rarely looked at", /(?:metadata_not_supported_error|response_flood|soft_drain)$/],
  [
    "of a connection manager, rarely looked at",
    /(?:rejected_via_ip_detection|after_downstream_response_started|tracing\.health_check)$/,
  ],
  ["of Envoy's own HTTP client", /^http\.async-client\./],
];

/** Names whose values differ by nature. */
const OWN_VALUES =
  /^(?:server\.|filesystem\.|http\.admin|listener\.admin|runtime\.load|main_thread|workers)|_ms$|rq_time$|_bytes_total$|rq_redirect$/;

type Stats = ReadonlyMap<string, string>;

function parse(text: string): Stats {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(": ");
    const name = line.slice(0, colon).replace(/^listener\.127\.0\.0\.1_\d+\./, "listener.ADDRESS.");
    if (colon > 0) {
      values.set(name, line.slice(colon + 2));
    }
  }
  return values;
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const STORY = [
  get("/app/1"),
  get("/app/404"),
  get("/app/503"),
  get("/direct"),
  get("/redirect"),
  get("/dead"),
  get("/nowhere"),
  "POST /app/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
];

/** The same connection for all, the admin port's last word afterwards. */
async function tell(port: number): Promise<void> {
  const client = await RawClient.connect(port);
  let seen = 0;
  for (const request of STORY) {
    client.send(request);
    await until(
      request.slice(0, 20),
      () => client.received.split("HTTP/1.1 ").length - 1,
      (count) => count > seen,
    );
    seen++;
    // The body, where there is one, has come when nothing more does.
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.destroy();
}

async function startEnvoy(binary: string, config: object) {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-envoy-"));
  const file = join(folder, "envoy.json");
  const adminFile = join(folder, "admin");
  writeFileSync(file, JSON.stringify(config));
  const args = [
    "-c",
    file,
    "-l",
    "error",
    "--disable-hot-restart",
    "--concurrency",
    "1",
    "--admin-address-path",
    adminFile,
  ];
  const child = spawn(binary, args, { stdio: "ignore" });
  const ended = once(child, "close");
  const admin = await until(
    "Envoy's admin port",
    () => (existsSync(adminFile) ? readFileSync(adminFile, "utf8").trim() : ""),
    (text) => text !== "",
  );
  const ask = async (path: string): Promise<string> => (await fetch(`http://${admin}${path}`)).text();
  await until(
    "Envoy",
    () => ask("/ready"),
    (text) => text.startsWith("LIVE"),
  );
  return {
    ask,
    port: Number(/:(\d+)\n/.exec(await ask("/listeners"))?.[1]),
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

const SETTLED = "http.in.downstream_cx_active";

test("/stats agrees with Envoy on the names that both have, and lacks only what is known", options, async () => {
  await using origin = await RecordingOrigin.start(({ target }) => {
    const status = /\d{3}$/.exec(target)?.[0] ?? "200";
    return `HTTP/1.1 ${status} X\r\ncontent-length: 2\r\n\r\nok`;
  });
  const routes = [
    { match: { prefix: "/direct" }, direct_response: { status: 204 } },
    { match: { prefix: "/redirect" }, redirect: { path_redirect: "/x" } },
    { match: { prefix: "/dead" }, route: { cluster: "dead" } },
    { match: { prefix: "/app" }, route: { cluster: "app" } },
  ];
  const config = bootstrap({
    listeners: [listener("in", { routes })],
    clusters: [cluster("app", [origin.port]), cluster("dead", [1])],
    runtime: { "a.b": 1, c: true },
  });
  await using theirs = await startEnvoy(envoy ?? "", config);
  await using ours = await SidecarProcess.start(config);
  await tell(theirs.port);
  await tell(ours.port("in"));
  const settled = (text: string): boolean => parse(text).get(SETTLED) === "0";
  const [mine, other] = [
    parse(await until("our end", async () => (await ours.admin("/stats")).text, settled)),
    parse(await until("Envoy's end", () => theirs.ask("/stats"), settled)),
  ];
  const lacking = [...other.keys()].filter((name) => !mine.has(name));
  assert.deepEqual(
    lacking.filter((name) => !LACKING.some(([, names]) => names.test(name))),
    [],
    "names of Envoy that nobody knew to be lacking",
  );
  const both = [...other].filter(([name]) => mine.has(name) && !OWN_VALUES.test(name));
  assert.ok(both.length > 150, `${both.length} names in common`);
  const differ = both.filter(([name, value]) => mine.get(name) !== value);
  assert.deepEqual(
    differ.map(([name, value]) => `${name}: Envoy ${value}, we ${mine.get(name)}`),
    [],
  );
});
