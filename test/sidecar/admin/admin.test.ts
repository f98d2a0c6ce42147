import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AdminServer, openAdminServer } from "../../../sidecar/admin/admin.ts";
import { ENDPOINTS } from "../../../sidecar/admin/endpoints.ts";
import type { AdminPorts } from "../../../sidecar/admin/ports.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { RootLog } from "../../../sidecar/telemetry/log.ts";
import { fakeProgram } from "./fake-ports.ts";

const servers: AdminServer[] = [];
after(() => Promise.all(servers.map((server) => server.close())));

const log = new RootLog({ level: "off", format: "json", write: () => undefined });

async function admin(overrides: Partial<AdminPorts> = {}) {
  const program = fakeProgram(overrides);
  const server = await openAdminServer({ kind: "tcp", host: "127.0.0.1", port: 0 }, program, log);
  assert.ok(server instanceof AdminServer);
  servers.push(server);
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://${server.address}${path}`, init);
    const body = await response.text();
    return { status: response.status, type: response.headers.get("content-type"), headers: response.headers, body };
  };
  return { program, server, ask, post: (path: string) => ask(path, { method: "POST" }) };
}

test("GET /ready is 200 when LIVE, and otherwise 503 with the reasons", async () => {
  const live = await (await admin()).ask("/ready");
  assert.deepEqual([live.status, live.body], [200, "LIVE\n"]);
  assert.equal(live.headers.get("cache-control"), "no-cache, max-age=0");
  const starting = await admin({
    readiness: () => ({ state: "INITIALIZING", reasons: ["waiting for LDS from cp:18000"] }),
  });
  const reply = await starting.ask("/ready");
  assert.deepEqual([reply.status, reply.body], [503, "INITIALIZING\nwaiting for LDS from cp:18000\n"]);
});

test("every endpoint that only reads answers a GET", async () => {
  const { ask } = await admin();
  for (const endpoint of ENDPOINTS.filter(({ changesState }) => changesState !== true)) {
    const reply = await ask(endpoint.path);
    assert.equal(reply.status, 200, endpoint.path);
    if (reply.type === "application/json") {
      JSON.parse(reply.body);
    }
  }
});

test("state changes need POST, in Envoy's words", async () => {
  const { ask, program } = await admin();
  for (const endpoint of ENDPOINTS.filter(({ changesState }) => changesState === true)) {
    const reply = await ask(endpoint.path);
    assert.deepEqual([reply.status, reply.body], [405, "Method GET not allowed, POST required."]);
  }
  assert.deepEqual(program.asked, []);
});

test("an unknown path is 404 with the list of commands", async () => {
  const { ask } = await admin();
  const reply = await ask("/nothing");
  assert.equal(reply.status, 404);
  assert.match(reply.body, /^invalid path\. admin commands are:\n {2}\/: Admin home page\n/);
  assert.match(reply.body, /^ {2}\/drain_listeners \(POST\): drain listeners$/m);
  assert.equal((await ask("/help")).body, reply.body.slice("invalid path. ".length));
});

test("POST reaches the program", async () => {
  const { post, program } = await admin();
  for (const path of [
    "/healthcheck/fail",
    "/healthcheck/ok",
    "/drain_listeners?inboundonly&graceful",
    "/drain_listeners?skip_exit",
    "/reopen_logs",
    "/quitquitquit",
  ]) {
    const reply = await post(path);
    assert.deepEqual([reply.status, reply.body], [200, "OK\n"], path);
  }
  assert.deepEqual(program.asked, [
    "healthcheck true",
    "healthcheck false",
    'drain {"graceful":true,"inboundOnly":true,"skipExit":false}',
    'drain {"graceful":false,"inboundOnly":false,"skipExit":true}',
    "reopen logs",
    "quit",
  ]);
});

test("POST /reset_counters starts counters again", async () => {
  const { ask, post } = await admin();
  assert.match((await ask("/stats")).body, /^cluster\.web\.upstream_rq_total: 4$/m);
  await post("/reset_counters");
  assert.match((await ask("/stats")).body, /^cluster\.web\.upstream_rq_total: 0$/m);
});

test("/stats filters, formats and refuses", async () => {
  const { ask } = await admin();
  assert.equal((await ask("/stats?filter=^server")).body, "server.state: 0\nserver.stats_overflow: 0\n");
  assert.equal((await ask("/stats?usedonly&filter=^server")).body, "server.state: 0\n");
  assert.equal((await ask("/stats?type=Gauges")).body, "server.state: 0\n");
  assert.deepEqual(JSON.parse((await ask("/stats?format=json&filter=rq_total")).body), {
    stats: [{ name: "cluster.web.upstream_rq_total", value: 4 }],
  });
  const prometheus =
    '# TYPE envoy_cluster_upstream_rq_total counter\nenvoy_cluster_upstream_rq_total{envoy_cluster_name="web"} 4\n';
  assert.equal((await ask("/stats/prometheus?filter=rq_total")).body, prometheus);
  assert.equal((await ask("/stats?format=prometheus&filter=rq_total")).body, prometheus);
  for (const refused of [
    "/stats?filter=[",
    "/stats?filter=(?=x)",
    "/stats?type=None",
    "/stats?format=xml",
    "/clusters?filter=[",
  ]) {
    assert.equal((await ask(refused)).status, 400, refused);
  }
});

test("/listeners and /clusters have both formats", async () => {
  const { ask } = await admin();
  assert.equal((await ask("/listeners")).body, "in::127.0.0.1:9080\nin::[::1]:9080\nuds::/run/x.sock\n");
  assert.deepEqual(JSON.parse((await ask("/listeners?format=json")).body), {
    listener_statuses: [
      {
        name: "in",
        local_address: { socket_address: { address: "127.0.0.1", port_value: 9080 } },
        additional_local_addresses: [{ socket_address: { address: "::1", port_value: 9080 } }],
      },
      { name: "uds", local_address: { pipe: { path: "/run/x.sock" } } },
    ],
  });
  assert.equal((await ask("/clusters?filter=^other")).body, "");
  assert.equal((await ask("/clusters?format=json")).type, "application/json");
});

test("/logging shows and changes levels, all or nothing", async () => {
  const { post } = await admin();
  assert.equal((await post("/logging")).body, "active loggers:\n  wasm: info\n  xds: info\n\n");
  assert.match((await post("/logging?paths=wasm:debug,xds:error")).body, /wasm: debug\n {2}xds: error/);
  assert.match((await post("/logging?wasm=off")).body, /wasm: off/);
  assert.match((await post("/logging?level=trace")).body, /wasm: trace\n {2}xds: trace/);
  const refusals = [
    ["/logging?level=loud", "error: unknown logger level"],
    ["/logging?nobody=info", "error: unknown logger name"],
    ["/logging?paths=wasm:info,nobody:info", "error: unknown logger name"],
    ["/logging?paths=wasm", "error: empty logger name or empty logger level"],
    ["/logging?level=info&x=y", "error: invalid number of parameters"],
  ] as const;
  for (const [path, problem] of refusals) {
    const reply = await post(path);
    assert.equal(reply.status, 400);
    assert.ok(reply.body.startsWith(`${problem}\n\nusage: /logging`), reply.body);
    assert.match(reply.body, /wasm: trace/);
  }
});

test("/plugins, /traces and /xds have snake_case keys", async () => {
  const { ask } = await admin();
  const plugins = JSON.parse((await ask("/plugins")).body) as { plugins: Record<string, unknown>[] };
  assert.equal(plugins.plugins[0]?.["memory_bytes"], 1048576);
  const traces = JSON.parse((await ask("/traces?limit=1")).body) as { traces: Record<string, unknown>[] };
  assert.equal(traces.traces[0]?.["duration_ms"], 10);
  assert.deepEqual(traces.traces[0]?.["hooks"], [
    {
      plugin: "p",
      callback: "proxy_on_request_headers",
      context_id: 2,
      start_ms: 1,
      duration_ms: 2,
      action: "pause",
      paused_ms: 3,
      headers_added: 2,
      host_calls: 1,
    },
  ]);
  assert.equal((await ask("/traces?limit=0")).status, 400);
  assert.equal((await ask("/traces?limit=x")).status, 400);
  assert.deepEqual(JSON.parse((await ask("/xds")).body), { servers: [{ server: "cp", connected: true, types: [] }] });
});

test("/server_info, /memory, /runtime and /init_dump have Envoy's shapes", async () => {
  const { ask } = await admin();
  const json = async (path: string): Promise<unknown> => JSON.parse((await ask(path)).body);
  assert.deepEqual(await json("/server_info"), {
    version: "abc/1.0.0/Clean/RELEASE/OpenSSL",
    state: "LIVE",
    uptime_current_epoch: "3s",
    uptime_all_epochs: "3s",
    hot_restart_version: "disabled",
    command_line_options: { concurrency: 2 },
    node: { id: "n1" },
  });
  assert.deepEqual(await json("/memory"), {
    allocated: "10",
    heap_size: "30",
    pageheap_unmapped: "0",
    pageheap_free: "20",
    total_thread_cache: "0",
    total_physical_bytes: "40",
    outrigger: { workers: [] },
  });
  assert.deepEqual(await json("/runtime"), {
    layers: ["base"],
    entries: { "a.b": { layer_values: ["1"], final_value: "1" } },
  });
  assert.deepEqual(await json("/init_dump"), {
    unready_targets_dumps: [{ name: "init manager Server", target_names: ["listener in"] }],
  });
});

test("an endpoint that fails is a 500 and no more", async () => {
  const { ask } = await admin({ clusters: () => Promise.reject(new Error("worker 1 does not answer")) });
  const reply = await ask("/clusters");
  assert.deepEqual([reply.status, reply.body], [500, "/clusters failed: worker 1 does not answer\n"]);
  assert.equal((await ask("/ready")).status, 200);
});

test("the page allows its own script and nothing else, and has no text of strangers in it", async () => {
  const { ask } = await admin();
  const page = await ask("/");
  assert.equal(page.type, "text/html; charset=UTF-8");
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'sha256-[^']+'(;|$)/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(page.body, /innerHTML|document\.write|insertAdjacentHTML|https?:\/\//);
  // JSON with markup in it is never taken for a page.
  const traces = await ask("/traces");
  assert.match(traces.body, /<script>/);
  assert.equal(traces.type, "application/json");
  assert.equal(traces.headers.get("x-content-type-options"), "nosniff");
});

/** A request with headers that fetch() would not send. */
function raw(
  address: string,
  options: { method?: string; path: string; headers: Record<string, string> },
): Promise<number> {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host, port, ...options }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("error", reject);
    request.end();
  });
}

test("requests that a browser makes for another site are refused", async () => {
  const { server, program } = await admin();
  const quit = { method: "POST", path: "/quitquitquit" };
  const address = server.address;
  const { port } = new URL(`http://${address}`);
  assert.equal(await raw(address, { ...quit, headers: { origin: "http://evil.example" } }), 403);
  assert.equal(await raw(address, { ...quit, headers: { "sec-fetch-site": "cross-site" } }), 403);
  // A name whose owner points it at loopback.
  assert.equal(await raw(address, { path: "/config_dump", headers: { host: `evil.example:${port}` } }), 403);
  assert.deepEqual(program.asked, []);
  assert.equal(await raw(address, { path: "/ready", headers: { host: `localhost:${port}` } }), 200);
  assert.equal(await raw(address, { path: "/ready", headers: { host: `[::1]:${port}` } }), 200);
  assert.equal(await raw(address, { ...quit, headers: { origin: `http://${address}` } }), 200);
});

test("openAdminServer() says in one line why it cannot listen", async () => {
  const { server } = await admin();
  const port = Number(server.address.split(":")[1]);
  const problem = await openAdminServer({ kind: "tcp", host: "127.0.0.1", port }, fakeProgram(), log);
  assert.equal(
    problem,
    `Cannot listen on admin address 127.0.0.1:${port}: the address is in use; set admin.address in the bootstrap to another`,
  );
});

test("AdminServer listens on a Unix socket", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "admin-")), "admin.sock");
  const server = await openAdminServer({ kind: "pipe", path, mode: 0o600 }, fakeProgram(), log);
  assert.ok(server instanceof AdminServer);
  servers.push(server);
  assert.equal(server.address, path);
  const status = await new Promise<number>((resolve, reject) => {
    const request = httpRequest({ socketPath: path, path: "/ready" }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("error", reject);
    request.end();
  });
  assert.equal(status, 200);
});

test("close() ends idle connections at once", async () => {
  const { server, ask } = await admin();
  await ask("/ready");
  const started = performance.now();
  await server.close();
  assert.ok(performance.now() - started < 900);
  await server.close();
});

test("AdminServer counts its own connections and requests", async () => {
  const stats = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => stats.apply("main", update) });
  const server = new AdminServer(fakeProgram(), log, table);
  assert.equal(await server.listen({ kind: "tcp", host: "127.0.0.1", port: 0 }), undefined);
  servers.push(server);
  for (const path of ["/ready", "/nothing"]) {
    assert.equal(await raw(server.address, { path, headers: {} }), path === "/ready" ? 200 : 404);
  }
  table.flush();
  const values = ["http.admin.downstream_rq_total", "http.admin.downstream_rq_2xx", "http.admin.downstream_rq_4xx"];
  assert.deepEqual(
    values.map((name) => stats.value(name)),
    [2, 1, 1],
  );
  assert.equal(stats.value("http.admin.downstream_rq_active"), 0);
  assert.ok((stats.value("listener.admin.downstream_cx_total") ?? 0) >= 1);
});
