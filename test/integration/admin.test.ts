// The admin endpoints of the real process, in Envoy's shapes: each answer against what Envoy is known to give, and, where
// Envoy is installed, against what it gives with the same bootstrap after the same request. Then those that are ours.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { bootstrap, cluster, examplePlugin, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

const TEXT = "text/plain; charset=UTF-8";
const JSON_TYPE = "application/json";

/** In this order; `same`: Envoy's answer is ours to the letter, ports and times aside. */
const QUESTIONS: readonly {
  readonly ask: string;
  readonly status: number;
  readonly type: string;
  readonly text: RegExp;
  readonly same?: true;
}[] = [
  { ask: "GET /ready", status: 200, type: TEXT, text: /^LIVE\n$/, same: true },
  { ask: "GET /listeners", status: 200, type: TEXT, text: /^main::127\.0\.0\.1:\d+\n$/, same: true },
  {
    ask: "GET /listeners?format=json",
    status: 200,
    type: JSON_TYPE,
    text: /"local_address": \{\s+"socket_address": \{\s+"address": "127\.0\.0\.1",\s+"port_value": [1-9]\d*\s/,
    same: true,
  },
  {
    ask: "GET /clusters",
    status: 200,
    type: TEXT,
    text: /^origin::127\.0\.0\.1:\d+::rq_success::1\norigin::127\.0\.0\.1:\d+::rq_timeout::0$/m,
    same: true,
  },
  {
    ask: "GET /clusters?format=json",
    status: 200,
    type: JSON_TYPE,
    text: /"value": "1",\s+"name": "rq_success"/,
    same: true,
  },
  { ask: "GET /server_info", status: 200, type: JSON_TYPE, text: /"state": "LIVE"/ },
  {
    ask: "GET /config_dump?resource=static_clusters",
    status: 200,
    type: JSON_TYPE,
    text: /"name": "origin"/,
    same: true,
  },
  {
    ask: "GET /config_dump?resource=dynamic_listeners",
    status: 200,
    type: JSON_TYPE,
    text: /^\{\}\n$/,
    same: true,
  },
  { ask: "GET /certs", status: 200, type: JSON_TYPE, text: /"certificates": \[\]/, same: true },
  { ask: "GET /init_dump", status: 200, type: JSON_TYPE, text: /^\{\}/, same: true },
  { ask: "GET /hot_restart_version", status: 200, type: TEXT, text: /^disabled/, same: true },
  {
    ask: "GET /stats?filter=^http.main.downstream_rq_(2|total)",
    status: 200,
    type: TEXT,
    text: /^http\.main\.downstream_rq_2xx: 1\nhttp\.main\.downstream_rq_total: 1\n/,
    same: true,
  },
  {
    ask: "GET /stats?filter=main.downstream_rq_total&format=json",
    status: 200,
    type: JSON_TYPE,
    text: /\{"name":"http\.main\.downstream_rq_total","value":1\}/,
    same: true,
  },
  {
    ask: "GET /stats/prometheus?filter=main.downstream_rq_total",
    status: 200,
    type: TEXT,
    text: /^# TYPE envoy_http_downstream_rq_total counter\nenvoy_http_downstream_rq_total\{envoy_http_conn_manager_prefix="main"\} 1\n/m,
    same: true,
  },
  // Whatever changes nothing takes any method, as in Envoy.
  { ask: "DELETE /ready", status: 200, type: TEXT, text: /^LIVE\n$/, same: true },
  { ask: "DELETE /logging", status: 405, type: TEXT, text: /^Method DELETE not allowed, POST required\.$/, same: true },
  { ask: "GET /logging", status: 405, type: TEXT, text: /^Method GET not allowed, POST required\.$/, same: true },
  { ask: "GET /drain_listeners", status: 405, type: TEXT, text: /^Method GET not allowed/, same: true },
  { ask: "GET /quitquitquit", status: 405, type: TEXT, text: /^Method GET not allowed/, same: true },
  { ask: "GET /nothing", status: 404, type: TEXT, text: /^invalid path\. admin commands are:\n/ },
  { ask: "POST /logging?level=debug", status: 200, type: TEXT, text: /^active loggers:\n(?: {2}\w+: debug\n)+/ },
  { ask: "POST /logging?level=loud", status: 400, type: TEXT, text: /./ },
  { ask: "POST /logging?level=error", status: 200, type: TEXT, text: /^active loggers:\n(?: {2}\w+: error\n)+/ },
  { ask: "POST /healthcheck/fail", status: 200, type: TEXT, text: /^OK\n$/, same: true },
  { ask: "GET /ready", status: 503, type: TEXT, text: /^DRAINING\n/ },
  { ask: "POST /healthcheck/ok", status: 200, type: TEXT, text: /^OK\n$/, same: true },
  { ask: "POST /reset_counters", status: 200, type: TEXT, text: /^OK\n$/, same: true },
  {
    ask: "GET /stats?filter=^http.main.downstream_rq_total",
    status: 200,
    type: TEXT,
    text: /^http\.main\.downstream_rq_total: 0\n/,
    same: true,
  },
];

/** Statistics that Envoy makes only when their first event comes, or not at all. */
const OUR_STATS =
  /upstream_rq_(?:[1345]xx|drop_overload|unknown)|^(?:control_plane|outrigger|tracing|wasm|filesystem)|stats_overflow|worker_restarts/;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function ask(port: number, question: string): Promise<Answer> {
  const [method = "", path = ""] = question.split(" ");
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { status: answer.status, type: answer.headers.get("content-type") ?? "", text: await answer.text() };
}

function normal({ status, type, text }: Answer): Answer {
  const plain = text
    .replaceAll(/(127\.0\.0\.1:|"port_value": )\d+/g, "$1PORT")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
  return { status, type, text: plain };
}

/** Every path of keys, with arrays seen through. */
function shapeOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((each) => shapeOf(each, path));
  }
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, each]) => shapeOf(each, `${path}.${key}`))
    : [path];
}

const typesOf = (dump: string): string[] =>
  (JSON.parse(dump) as { configs: { "@type": string }[] }).configs.map((config) => config["@type"]);

suite("admin endpoints of Envoy", { timeout: 60_000 }, () => {
  const owned = new AsyncDisposableStack();
  const ours = new Map<number, Answer>();
  const envoys = new Map<number, Answer>();
  const whole: Record<"ours" | "envoy", Record<string, string>> = { ours: {}, envoy: {} };
  const envoy = findEnvoy();
  const skip = envoy === undefined ? ENVOY_MISSING : false;

  before(async () => {
    const origin = owned.use(await RecordingOrigin.start(() => undefined));
    const config = bootstrap({
      listeners: [listener("main", { trafficDirection: "INBOUND" })],
      clusters: [cluster("origin", [origin.port])],
    });
    for (const [binary, answers, dumps] of [
      [undefined, ours, whole.ours],
      [envoy, envoys, whole.envoy],
    ] as const) {
      if (answers === envoys && binary === undefined) {
        return;
      }
      await using proxy = await ProxyProcess.start(binary, config);
      await (await fetch(`http://127.0.0.1:${proxy.port("main")}/`)).text();
      for (const path of ["/config_dump", "/server_info", "/stats", "/stats/prometheus"]) {
        dumps[path] = (await ask(proxy.adminPort, `GET ${path}`)).text;
      }
      for (const [index, question] of QUESTIONS.entries()) {
        answers.set(index, await ask(proxy.adminPort, question.ask));
      }
      assert.ok(proxy.isAlive);
    }
  });
  after(() => owned.disposeAsync());

  for (const [index, question] of QUESTIONS.entries()) {
    test(`${question.ask} is answered ${question.status}${question.same === true ? ", as Envoy does" : ""}`, () => {
      const answer = ours.get(index);
      assert.ok(answer !== undefined);
      assert.deepEqual([answer.status, answer.type], [question.status, question.type]);
      assert.match(answer.text, question.text);
      const envoys_ = envoys.get(index);
      if (envoys_ === undefined) {
        return;
      }
      assert.match(envoys_.text, question.text, "the table is right of Envoy");
      if (question.same === true) {
        assert.deepEqual(normal(answer), normal(envoys_));
      }
    });
  }

  test("/config_dump has Envoy's parts in Envoy's order", () => {
    const types = typesOf(whole.ours["/config_dump"] ?? "");
    assert.deepEqual(
      types.map((type) => type.split(".").at(-1)),
      [
        "BootstrapConfigDump",
        "ClustersConfigDump",
        "ListenersConfigDump",
        "ScopedRoutesConfigDump",
        "RoutesConfigDump",
        "SecretsConfigDump",
      ],
    );
  });

  test("/config_dump, /server_info, /stats and /stats/prometheus say nothing that Envoy would not", { skip }, () => {
    const dumps = ["/config_dump", "/server_info"].map((path) => {
      const [mine = [], theirs = []] = [whole.ours, whole.envoy].map((each) => shapeOf(JSON.parse(each[path] ?? "{}")));
      return mine.filter((key) => !theirs.includes(key));
    });
    assert.deepEqual(dumps, [[], [".node.user_agent_version"]]);
    assert.deepEqual(typesOf(whole.ours["/config_dump"] ?? ""), typesOf(whole.envoy["/config_dump"] ?? ""));
    const names = (text = ""): string[] => [...text.matchAll(/^(\S+): /gm)].map(([, name]) => name ?? "");
    const theirs = new Set(names(whole.envoy["/stats"]));
    const mine = names(whole.ours["/stats"]);
    assert.deepEqual(
      mine.filter((name) => !theirs.has(name) && !OUR_STATS.test(name)),
      [],
    );
    assert.ok(mine.filter((name) => theirs.has(name)).length > 150, "most are there");
    const types = (text = ""): string[] => text.match(/^# TYPE \S+ \S+$/gm) ?? [];
    const theirTypes = new Set(types(whole.envoy["/stats/prometheus"]));
    assert.deepEqual(
      types(whole.ours["/stats/prometheus"]).filter(
        (line) =>
          !theirTypes.has(line) &&
          !/rq_(?:drop|unknown)|control_plane|outrigger|tracing|wasm|filesystem|stats_overflow|worker_restarts/.test(
            line,
          ),
      ),
      [],
    );
  });
});

suite("admin endpoints of ours", { timeout: 60_000 }, () => {
  const owned = new AsyncDisposableStack();
  let sidecar: SidecarProcess;

  before(async () => {
    const origin = owned.use(await RecordingOrigin.start(() => undefined));
    const tiny = wasmFilter("tiny", examplePlugin("go"), '{"headers":[{"name":"X-Go","value":"1"}]}');
    sidecar = owned.use(
      await SidecarProcess.start(
        bootstrap({ listeners: [listener("main", { filters: [tiny] })], clusters: [cluster("origin", [origin.port])] }),
      ),
    );
    await (await fetch(sidecar.url("main", "/seen"))).text();
  });
  after(() => owned.disposeAsync());

  test("/plugins says what a plugin is and what its callbacks took", async () => {
    const { plugins } = await sidecar.adminJson<{ plugins: Record<string, unknown>[] }>("/plugins");
    const [plugin] = plugins;
    assert.equal(plugins.length, 1);
    assert.deepEqual([plugin?.["name"], plugin?.["state"], plugin?.["vms"]], ["tiny", "running", 1]);
    assert.match(String(plugin?.["digest"]), /[0-9a-f]{64}$/);
    const callbacks = plugin?.["callbacks"] as { callback: string; calls: number }[];
    assert.equal(callbacks.find(({ callback }) => callback === "proxy_on_response_headers")?.calls, 1);
  });

  test("/traces?limit=1 is the latest request, with its hooks inside its time", async () => {
    const { traces } = await sidecar.adminJson<{
      traces: {
        path: string;
        status: number;
        duration_ms: number;
        hooks: { start_ms: number; duration_ms: number }[];
      }[];
    }>("/traces?limit=1");
    assert.deepEqual([traces.length, traces[0]?.path, traces[0]?.status], [1, "/seen", 200]);
    const [trace] = traces;
    assert.ok(trace !== undefined && trace.hooks.length >= 3);
    // Three numbers that are rounded to microseconds, each by itself.
    const rounding = 0.0015 + 1e-6;
    for (const hook of trace.hooks) {
      assert.ok(
        hook.start_ms >= 0 && hook.start_ms + hook.duration_ms <= trace.duration_ms + rounding,
        JSON.stringify(trace),
      );
    }
  });

  test("/xds names each resource with its version and since when it is in use", async () => {
    const { servers } = await sidecar.adminJson<{
      servers: { server: string; types: { resources: { name: string; state: string; in_use_at: string }[] }[] }[];
    }>("/xds");
    assert.deepEqual(
      servers.map(({ server }) => server),
      ["static"],
    );
    const resources = servers.flatMap(({ types }) => types.flatMap((each) => each.resources));
    assert.ok(resources.every((each) => Date.parse(each.in_use_at) <= Date.now()));
    assert.deepEqual(resources.map(({ name, state }) => `${name} ${state}`).toSorted(), ["main ACKED", "origin ACKED"]);
  });

  test("/ is the page, and it loads nothing from elsewhere", async () => {
    const page = await sidecar.admin("/");
    assert.deepEqual([page.status, page.contentType.split(";")[0]], [200, "text/html"]);
    assert.doesNotMatch(page.text, /(?:src|href)="(?:https?:)?\/\//);
  });

  test("POST /drain_listeners stops the listeners, and POST /quitquitquit ends the process with 0", async () => {
    assert.deepEqual(await sidecar.admin("/drain_listeners", "POST"), { status: 200, contentType: TEXT, text: "OK\n" });
    await sidecar.untilStat("listener_manager.listener_stopped", 1);
    await assert.rejects(fetch(sidecar.url("main")));
    assert.equal((await sidecar.admin("/quitquitquit", "POST")).text, "OK\n");
    assert.deepEqual(await sidecar.untilEnded(), { code: 0, signal: null });
  });
});
