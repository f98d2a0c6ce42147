// Spans of the real process in a real collector, over OTLP/HTTP and OTLP/gRPC: the request, every callback of a plugin,
// the calls that it makes; trace context in and out; /traces; a collector that is away; the flush at the end.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { runLoad } from "../bench/load.ts";
import {
  bootstrap,
  cluster,
  examplePlugin,
  guest,
  http2Cluster,
  listener,
  wasmFilter,
} from "../support/bootstrap-builder.ts";
import { GrpcOrigin } from "../support/grpc-origin.ts";
import { assertWithin, type CollectedSpan, OtlpCollector } from "../support/otlp-collector.ts";
import { type RecordedRequest, RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { freePort, until } from "../support/sidecar-story.ts";

const QUICK = { env: { OTEL_BSP_SCHEDULE_DELAY: "20" } };
const TINY = wasmFilter("custom-response-header", examplePlugin("go"), '{"headers":[{"name":"X-Go","value":"1"}]}');

function tracing(service: object, samplePercent = 100): object {
  return {
    tracing: {
      random_sampling: { value: samplePercent },
      provider: {
        name: "envoy.tracers.opentelemetry",
        typed_config: {
          "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
          service_name: "shop",
          ...service,
        },
      },
    },
  };
}

const grpc = { grpc_service: { envoy_grpc: { cluster_name: "collector-grpc" }, timeout: "1s" } };
const http = {
  http_service: { http_uri: { uri: "http://collector/v1/traces", cluster: "collector-http", timeout: "1s" } },
};

const owned = new AsyncDisposableStack();
let collector: OtlpCollector;
let origin: RecordingOrigin;
let grpcOrigin: GrpcOrigin;
let sidecar: SidecarProcess;

interface TracesView {
  readonly traces: readonly {
    readonly path: string;
    readonly status: number;
    readonly sampled: boolean;
    readonly hooks: readonly { readonly plugin: string; readonly callback: string; readonly durationMs?: number }[];
  }[];
}

/** Sends a request with a fresh trace as its parent, whose id finds the spans. */
async function traced(name: string, path: string) {
  const traceId = randomBytes(16).toString("hex");
  const parentId = randomBytes(8).toString("hex");
  const headers = { traceparent: `00-${traceId}-${parentId}-01`, tracestate: "vendor=1", baggage: "user=7" };
  const answer = await fetch(sidecar.url(name, path), { headers });
  await answer.text();
  return { traceId, parentId, status: answer.status };
}

function named(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.filter((span) => span.name === name);
  assert.equal(found.length, 1, `${name} in ${spans.map((span) => span.name).join(", ")}`);
  return found[0] as CollectedSpan;
}

function seen(path: string): RecordedRequest {
  const found = origin.requests.findLast(({ target }) => target === path);
  assert.ok(found !== undefined, `no ${path} at the origin`);
  return found;
}

const field = (request: RecordedRequest, name: string): string | undefined =>
  request.fields.find(([each]) => each === name)?.[1];

suite("spans", { timeout: 60_000 }, () => {
  before(async () => {
    collector = owned.use(await OtlpCollector.start());
    origin = owned.use(await RecordingOrigin.start(() => undefined));
    grpcOrigin = owned.use(await GrpcOrigin.start());
    const routes = [{ name: "all", match: { prefix: "/" }, route: { cluster: "origin" } }];
    const inbound = { routes, trafficDirection: "INBOUND" } as const;
    sidecar = owned.use(
      await SidecarProcess.start(
        bootstrap({
          listeners: [
            listener("grpc", { ...inbound, filters: [TINY], manager: tracing(grpc) }),
            listener("http", { ...inbound, filters: [TINY], manager: tracing(http) }),
            listener("calls", {
              ...inbound,
              filters: [wasmFilter("caller", guest("http-call"), "cluster origin\n")],
              manager: tracing(grpc),
            }),
            listener("grpc-calls", {
              ...inbound,
              filters: [wasmFilter("caller", guest("grpc-call"), "cluster grpc-origin\n")],
              manager: tracing(http),
            }),
            listener("traps", { ...inbound, filters: [wasmFilter("trap", guest("trap"))], manager: tracing(grpc) }),
            listener("unsampled", { ...inbound, filters: [TINY], manager: tracing(grpc, 0) }),
            listener("outbound", { routes, trafficDirection: "OUTBOUND", manager: tracing(http) }),
          ],
          clusters: [
            cluster("origin", [origin.port]),
            cluster("collector-http", [collector.httpPort]),
            http2Cluster("collector-grpc", collector.grpcPort),
            http2Cluster("grpc-origin", grpcOrigin.port),
          ],
        }),
        QUICK,
      ),
    );
  });
  after(() => owned.disposeAsync());

  for (const protocol of ["grpc", "http"]) {
    test(`a request is a SERVER span with one INTERNAL span for each callback, over OTLP/${protocol}`, async () => {
      const { traceId, parentId } = await traced(protocol, `/${protocol}?q=1`);
      const [hooks] = await hooksOf(`/${protocol}?q=1`);
      assert.ok(hooks !== undefined && hooks.length >= 4, JSON.stringify(hooks));
      const spans = await collector.trace(traceId, hooks.length + 1);
      const server = named(spans, "GET all");
      assert.deepEqual([server.kind, server.parentSpanId], ["SPAN_KIND_SERVER", parentId]);
      assert.equal(server.resource["service.name"], "shop");
      assert.equal(server.attributes["http.request.method"], "GET");
      assert.equal(Number(server.attributes["http.response.status_code"]), 200);
      assert.equal(server.attributes["url.path"], `/${protocol}`);
      assert.equal(server.attributes["upstream_cluster"], "origin");
      assert.match(String(server.attributes["guid:x-request-id"]), /^[0-9a-f-]{36}$/);
      const callbacks = spans.filter((span) => span !== server);
      assert.deepEqual(
        callbacks.map(({ name }) => name).toSorted(),
        hooks.map(({ plugin, callback }) => `${plugin} ${callback}`).toSorted(),
      );
      for (const span of callbacks) {
        assert.equal(span.kind, "SPAN_KIND_INTERNAL");
        assertWithin(span, server);
        assert.equal(span.attributes["proxy_wasm.plugin.name"], "custom-response-header");
        assert.match(String(span.attributes["proxy_wasm.plugin.digest"]), /^(?:sha256:)?[0-9a-f]{64}$/);
        assert.equal(`custom-response-header ${String(span.attributes["proxy_wasm.callback"])}`, span.name);
      }
      const response = named(spans, "custom-response-header proxy_on_response_headers");
      assert.equal(response.attributes["proxy_wasm.action"], "continue");
      assert.equal(Number(response.attributes["proxy_wasm.headers.added"]), 1);
      assert.ok(Number(response.attributes["proxy_wasm.host_calls"]) > 0);
    });
  }

  test("an outbound listener's request is a CLIENT span", async () => {
    const { traceId } = await traced("outbound", "/out");
    const [span] = await collector.trace(traceId, 1);
    assert.equal(span?.kind, "SPAN_KIND_CLIENT");
  });

  test("the innermost span's context goes upstream, by W3C, with the caller's tracestate and baggage", async () => {
    const { traceId } = await traced("grpc", "/w3c");
    const spans = await collector.trace(traceId, 5);
    const request = seen("/w3c");
    assert.equal(field(request, "traceparent"), `00-${traceId}-${named(spans, "GET all").spanId}-01`);
    assert.equal(field(request, "tracestate"), "vendor=1");
    assert.equal(field(request, "baggage"), "user=7");
  });

  test("B3 is read and written, as one field and as several", async () => {
    for (const [path, fields] of [
      ["/b3", (trace: string, span: string) => ({ b3: `${trace}-${span}-1` })],
      [
        "/b3-multi",
        (trace: string, span: string) => ({ "x-b3-traceid": trace, "x-b3-spanid": span, "x-b3-sampled": "1" }),
      ],
    ] as const) {
      const traceId = randomBytes(16).toString("hex");
      const parentId = randomBytes(8).toString("hex");
      await (await fetch(sidecar.url("unsampled", path), { headers: fields(traceId, parentId) })).text();
      const server = named(await collector.trace(traceId, 5), "GET all");
      assert.equal(server.parentSpanId, parentId);
      const request = seen(path);
      if (path === "/b3") {
        assert.equal(field(request, "b3"), `${traceId}-${server.spanId}-1`);
      } else {
        assert.deepEqual(
          [field(request, "x-b3-traceid"), field(request, "x-b3-spanid"), field(request, "x-b3-sampled")],
          [traceId, server.spanId, "1"],
        );
      }
    }
  });

  test("proxy_http_call is a CLIENT span under its callback and carries the context; its answer's callback links to it", async () => {
    const { traceId, status } = await traced("calls", "/call");
    assert.equal(status, 200);
    await collector.spans.first("the call", (span) => span.traceId === traceId && span.kind === "SPAN_KIND_CLIENT");
    const spans = await collector.trace(traceId, 6);
    const call = spans.find(({ kind }) => kind === "SPAN_KIND_CLIENT");
    const answer = named(spans, "caller proxy_on_http_call_response");
    assert.ok(call !== undefined);
    assert.equal(call.parentSpanId, named(spans, "caller proxy_on_request_headers").spanId);
    assert.deepEqual(
      answer.links?.map(({ spanId }) => spanId),
      [call.spanId],
    );
    const fromGuest = origin.requests.find(
      (request) => request.target === "/call" && field(request, "x-from") === "guest",
    );
    assert.ok(fromGuest !== undefined);
    assert.equal(field(fromGuest, "traceparent"), `00-${traceId}-${call.spanId}-01`);
    assertWithin(answer, named(spans, "GET all"));
  });

  for (const [path, method, status, callbacks] of [
    ["/call/Fail", "test.Echo/Fail", "7", ["close"]],
    [
      "/stream/Chat/2",
      "test.Echo/Chat",
      "0",
      ["receive_initial_metadata", "receive", "receive", "receive_trailing_metadata", "close"],
    ],
  ] as const) {
    test(`${path}: a CLIENT span under its callback, whose context the server gets; every callback that comes of it links to it`, async () => {
      const { traceId } = await traced("grpc-calls", path);
      await collector.spans.first("the call", (span) => span.traceId === traceId && span.kind === "SPAN_KIND_CLIENT");
      const spans = await collector.trace(traceId, callbacks.length + 3);
      const call = named(spans, method);
      assert.equal(call.parentSpanId, named(spans, "caller proxy_on_request_headers").spanId);
      assert.equal(call.attributes["rpc.system.name"], "grpc");
      assert.equal(call.attributes["rpc.status_code"], status);
      assert.equal(call.attributes["upstream_cluster"], "grpc-origin");
      const answers = spans.filter(({ name }) => name.startsWith("caller proxy_on_grpc"));
      assert.deepEqual(
        answers.map(({ name }) => name).toSorted(),
        callbacks.map((each) => `caller proxy_on_grpc_${each}`).toSorted(),
      );
      for (const answer of answers) {
        assert.deepEqual(
          answer.links?.map(({ spanId }) => spanId),
          [call.spanId],
          answer.name,
        );
      }
      const seenByServer = grpcOrigin.seen(method.replace("test.Echo/", ""))?.metadata.get("traceparent");
      assert.deepEqual(seenByServer, [`00-${traceId}-${call.spanId}-01`]);
    });
  }

  test("a callback that traps is a span with status ERROR, error.type and an exception", async () => {
    const { traceId, status } = await traced("traps", "/trap");
    assert.equal(status, 503);
    await collector.spans.first("the trap", (span) => span.traceId === traceId && span.name.startsWith("trap "));
    const spans = await collector.trace(traceId, 2);
    const trap = named(spans, "trap proxy_on_request_headers");
    assert.match(JSON.stringify(trap.status), /ERROR/);
    assert.equal(trap.attributes["error.type"], "trap");
    assert.equal(trap.events?.[0]?.name, "exception");
    assert.match(JSON.stringify(named(spans, "GET all").status), /ERROR/);
  });

  test("/traces shows requests with their hooks though they are not sampled, and no span is made of them", async () => {
    const before = collector.spans.all.length;
    await (await fetch(sidecar.url("unsampled", "/unsampled"))).text();
    const [hooks, sampled] = await hooksOf("/unsampled");
    assert.equal(sampled, false);
    assert.ok(hooks?.some(({ callback }) => callback === "proxy_on_response_headers"));
    // What comes after it has passed the same queue.
    const { traceId } = await traced("grpc", "/after");
    await collector.trace(traceId, 5);
    const late = collector.spans.all.slice(before).filter((span) => span.attributes["url.path"] === "/unsampled");
    assert.deepEqual(late, []);
    assert.match(field(seen("/unsampled"), "traceparent") ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[02]$/);
  });

  async function hooksOf(
    path: string,
  ): Promise<[TracesView["traces"][number]["hooks"] | undefined, boolean | undefined]> {
    const found = await until(
      `${path} in /traces`,
      async () => (await sidecar.adminJson<TracesView>("/traces?limit=20")).traces.find((each) => each.path === path),
      (trace) => trace !== undefined,
    );
    return [found?.hooks, found?.sampled];
  }
});

suite("a collector that is away", { timeout: 30_000 }, () => {
  test("costs spans, which are counted, and no request", async () => {
    await using upstream = await RecordingOrigin.start(() => undefined);
    await using away = await SidecarProcess.start(
      bootstrap({
        listeners: [listener("main", { filters: [TINY], manager: tracing(grpc) })],
        clusters: [cluster("origin", [upstream.port]), http2Cluster("collector-grpc", await freePort())],
      }),
      { env: { OTEL_BSP_SCHEDULE_DELAY: "20" }, args: ["--drain-time-s", "1"] },
    );
    const result = await runLoad({
      port: away.port("main"),
      connections: 10,
      requests: 1_000,
      expectHeader: "X-Go: 1",
    });
    assert.deepEqual(result.problems, {});
    await away.untilStat("tracing.opentelemetry.spans_dropped", 1);
    assert.deepEqual(await away.stop(), { code: 0, signal: null });
  });
});

suite("spans at the end", { timeout: 30_000 }, () => {
  test("are flushed before the process ends, to the collector that OTEL_* names", async () => {
    await using spans = await OtlpCollector.start();
    await using upstream = await RecordingOrigin.start(() => undefined);
    await using ending = await SidecarProcess.start(
      bootstrap({
        listeners: [listener("main", { filters: [TINY] })],
        clusters: [cluster("origin", [upstream.port])],
      }),
      {
        // No span is sent before the end by itself.
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${spans.httpPort}`,
          OTEL_BSP_SCHEDULE_DELAY: "600000",
        },
      },
    );
    await (await fetch(ending.url("main", "/last"))).text();
    assert.deepEqual(spans.spans.all, []);
    assert.deepEqual(await ending.stop(), { code: 0, signal: null });
    const server = spans.spans.all.filter(({ attributes }) => attributes["url.path"] === "/last");
    assert.equal(server.length, 1);
    assert.ok(spans.spans.all.some(({ name }) => name === "custom-response-header proxy_on_response_headers"));
  });
});
