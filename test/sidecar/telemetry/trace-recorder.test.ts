import type { CustomTag } from "../../../xds/model/tracing.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { traceparentOf } from "../../../sidecar/telemetry/trace-recorder.ts";
import { MAX_HOOKS } from "../../../sidecar/telemetry/stream-trace.ts";
import { viewTrace } from "../../../sidecar/telemetry/trace-view.ts";
import { fakeHead, fakeHook, fakeInfo, fakeStream, fakeTracing, RecorderBench } from "./fake-requests.ts";
import { readSpans } from "./read-spans.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

function start(bench: RecorderBench, head = fakeHead(), tracing = bench.tracing()) {
  const stream = fakeStream();
  const trace = bench.recorder.begin(head, 1000);
  bench.streams.set(stream, trace);
  tracing.start(trace, head.headers, false);
  return { stream, trace, head };
}

function requestsOf(bench: RecorderBench): number {
  return readSpans(bench.batches).filter((span) => span.kind === "SERVER").length;
}

test("TraceRecorder posts a sampled request with its hooks", () => {
  const bench = new RecorderBench();
  const { stream, trace, head } = start(
    bench,
    fakeHead([
      ["traceparent", `00-${TRACE}-${SPAN}-01`],
      ["tracestate", "v=1"],
      ["User-Agent", "curl/8"],
      ["x-request-id", "id-1"],
    ]),
  );
  bench.recorder.hook(fakeHook({ stream }));
  bench.recorder.hook(fakeHook({ stream, callback: 9, headersAdded: 2 }));
  bench.recorder.finish(trace, fakeInfo(head));
  assert.equal(bench.batches.length, 0);
  bench.tick();
  assert.equal(bench.batches.length, 1);
  const [request, ...hooks] = readSpans(bench.batches);
  assert.deepEqual([request?.traceId, request?.parentId, request?.traceState], [TRACE, SPAN, "v=1"]);
  assert.equal(request?.attributes["user_agent.original"], "curl/8");
  assert.equal(request?.attributes["guid:x-request-id"], "id-1");
  assert.equal(request?.attributes["response_size"], 34);
  assert.deepEqual(
    hooks.map((hook) => [hook.name, hook.attributes["proxy_wasm.headers.added"]]),
    [
      ["custom-response-header proxy_on_request_headers", undefined],
      ["custom-response-header proxy_on_response_headers", 2],
    ],
  );
});

test("TraceRecorder posts nothing for a request that is not sampled, and keeps it for /traces", () => {
  const bench = new RecorderBench();
  const { stream, trace, head } = start(bench, fakeHead([["traceparent", `00-${TRACE}-${SPAN}-00`]]));
  bench.recorder.hook(fakeHook({ stream, action: 1, endedAt: 1002 }));
  trace.resume(0, true, 1007);
  bench.recorder.finish(trace, fakeInfo(head, { status: 503, responseFlags: "UF" }));
  bench.tick();
  bench.recorder.flush();
  assert.equal(bench.batches.length, 0);
  const [view] = bench.recorder.latest(10).map((kept) => viewTrace(kept, 3, 5000));
  assert.deepEqual(view, {
    worker: 3,
    startedAt: 6000,
    durationMs: 10,
    method: "GET",
    authority: "shop.example:8443",
    path: "/orders/7?q=1",
    status: 503,
    responseFlags: "UF",
    responseDetails: "via_upstream",
    cluster: "web",
    route: "orders",
    upstreamHost: "10.0.0.2:80",
    requestId: "",
    traceId: TRACE,
    sampled: false,
    hooks: [
      {
        plugin: "custom-response-header",
        callback: "proxy_on_request_headers",
        contextId: 7,
        startMs: 1,
        durationMs: 1,
        action: "pause",
        pausedMs: 5,
        endOfStream: true,
        hostCalls: 3,
      },
    ],
    upstream: { sentMs: 2, firstByteMs: 5 },
    callouts: [],
    hooksDropped: 0,
  });
});

test("viewTrace() shows what each callback did: header changes, body bytes, fault, calls and their answers", () => {
  const bench = new RecorderBench();
  const { stream, trace, head } = start(bench, fakeHead(), bench.tracing(fakeTracing({ randomSampling: 0 })));
  const call = { rpc: "http", cluster: "authz", method: "GET", path: "/check", authority: "authz", token: 9 } as const;
  const callout = bench.recorder.callStarted(stream, { ...call, startedAt: 1001 });
  assert.ok(callout !== undefined);
  bench.recorder.hook(fakeHook({ stream, callTokens: [9], headersAdded: 1, headersRemoved: 2 }));
  bench.recorder.callStarted(stream, { ...call, token: 10, startedAt: 1003 });
  bench.recorder.callEnded(callout, 403, "", 1004);
  bench.recorder.hook(fakeHook({ stream: undefined, callback: 17, action: -1, answeredToken: 9, endOfStream: -1 }));
  bench.recorder.hook(fakeHook({ stream, callback: 10, bodyBytes: 12, endOfStream: 1, headersReplaced: 3 }));
  bench.recorder.finish(trace, fakeInfo(head));
  const [view] = bench.recorder.latest(1).map((kept) => viewTrace(kept, 0, 0));
  const [first, answer, body] = view?.hooks ?? [];
  assert.deepEqual([first?.headersAdded, first?.headersReplaced, first?.headersRemoved], [1, undefined, 2]);
  assert.deepEqual([answer?.answersCallout, answer?.endOfStream, answer?.bodyBytes], [0, undefined, undefined]);
  assert.deepEqual([body?.bodyBytes, body?.endOfStream, body?.headersReplaced], [12, true, 3]);
  assert.deepEqual(view?.callouts, [
    {
      byHook: 0,
      rpc: "http",
      cluster: "authz",
      method: "GET",
      authority: "authz",
      path: "/check",
      startMs: 1,
      durationMs: 3,
      status: 403,
    },
    { byHook: -1, rpc: "http", cluster: "authz", method: "GET", authority: "authz", path: "/check", startMs: 3 },
  ]);
  bench.tick();
  assert.equal(bench.batches.length, 0);
});

test("a call of a request without a trace carries no context, and a late answer touches no other request", () => {
  const bench = new RecorderBench(1);
  const stream = fakeStream();
  const trace = bench.recorder.begin(fakeHead(), 1000);
  bench.streams.set(stream, trace);
  const call = { rpc: "http", cluster: "a", method: "GET", path: "/", authority: "a", token: 3 } as const;
  const callout = bench.recorder.callStarted(stream, { ...call, startedAt: 1001 });
  assert.ok(callout !== undefined);
  assert.equal(traceparentOf(callout), "");
  bench.recorder.finish(trace, fakeInfo(fakeHead()));
  const second = bench.recorder.begin(fakeHead(), 2000);
  bench.recorder.finish(second, fakeInfo(fakeHead()));
  const third = bench.recorder.begin(fakeHead(), 3000);
  assert.equal(third, trace);
  bench.streams.clear();
  bench.recorder.callEnded(callout, 200, "", 3001);
  bench.recorder.hook(fakeHook({ stream: undefined, callback: 17, answeredToken: 3 }));
  assert.equal(third.hookCount, 0);
});

test("latest() gives the newest first and forgets the oldest", () => {
  const bench = new RecorderBench(2);
  for (const path of ["/1", "/2", "/3"]) {
    const { trace, head } = start(bench, fakeHead([], path));
    bench.recorder.finish(trace, fakeInfo(head));
  }
  assert.deepEqual(
    bench.recorder.latest(10).map((trace) => trace.path),
    ["/3", "/2"],
  );
  assert.equal(bench.recorder.latest(1).length, 1);
});

test("ringSize follows the runtime: the newest requests stay, in order", () => {
  const bench = new RecorderBench(3);
  const request = (path: string): void => {
    const { trace, head } = start(bench, fakeHead([], path));
    bench.recorder.finish(trace, fakeInfo(head));
  };
  const paths = (): string[] => bench.recorder.latest(10).map((trace) => trace.path);
  ["/1", "/2", "/3", "/4"].forEach(request);
  bench.recorder.ringSize = 5;
  assert.deepEqual(paths(), ["/4", "/3", "/2"]);
  ["/5", "/6", "/7"].forEach(request);
  assert.deepEqual(paths(), ["/7", "/6", "/5", "/4", "/3"]);
  bench.recorder.ringSize = 2;
  assert.deepEqual(paths(), ["/7", "/6"]);
  request("/8");
  assert.deepEqual(paths(), ["/8", "/7"]);
  bench.recorder.ringSize = 0;
  request("/9");
  assert.deepEqual(paths(), []);
  bench.recorder.ringSize = 1e9;
  request("/10");
  assert.deepEqual(paths(), ["/10"]);
});

test("TraceRecorder uses a trace again without a rest of its last request", () => {
  const bench = new RecorderBench(1);
  const first = start(bench, fakeHead([["traceparent", `00-${TRACE}-${SPAN}-01`]]));
  bench.recorder.hook(fakeHook({ stream: first.stream }));
  bench.recorder.finish(first.trace, fakeInfo(first.head));
  const second = start(bench);
  bench.recorder.finish(second.trace, fakeInfo(second.head));
  const third = bench.recorder.begin(fakeHead(), 1);
  assert.equal(third, first.trace);
  assert.equal(third.hookCount, 0);
  assert.equal(third.traceId, "");
  assert.equal(third.sampled, false);
  assert.equal(third.isFinished, false);
  assert.equal(third.context.parentId, "");
});

test("TraceRecorder bounds the hooks of one request", () => {
  const bench = new RecorderBench();
  const { stream, trace, head } = start(bench);
  for (let i = 0; i < MAX_HOOKS + 5; i++) {
    bench.recorder.hook(fakeHook({ stream, contextId: i }));
  }
  bench.recorder.finish(trace, fakeInfo(head));
  bench.tick();
  const [, ...hooks] = readSpans(bench.batches);
  assert.equal(hooks.length, MAX_HOOKS);
  assert.equal(hooks[MAX_HOOKS - 1]?.attributes["proxy_wasm.context_id"], MAX_HOOKS - 1);
  assert.equal(trace.hooksDropped, 5);
});

test("TraceRecorder drops and counts while the main thread does not keep up", () => {
  const bench = new RecorderBench(0, 2);
  const request = (): void => {
    const { trace, stream, head } = start(bench);
    for (let i = 0; i < 100; i++) {
      bench.recorder.hook(fakeHook({ stream }));
    }
    bench.recorder.finish(trace, fakeInfo(head));
  };
  for (let i = 0; i < 200; i++) {
    request();
  }
  assert.equal(bench.batches.length, 2);
  assert.ok(bench.dropped > 100, `dropped ${bench.dropped}`);
  const kept = requestsOf(bench);
  // The main thread has taken both: what was collected meanwhile goes out.
  for (const batch of bench.batches.splice(0)) {
    Atomics.add(new Int32Array(batch.credit), 0, 1);
  }
  bench.tick();
  const rest = requestsOf(bench);
  assert.equal(kept + rest + bench.dropped, 200);
});

test("RequestTracing leaves requests alone when spans go nowhere", () => {
  const bench = new RecorderBench();
  const tracing = bench.tracing(undefined, {
    exports: false,
    policy: { client: 0, random: 0, overall: 0, followsParent: true },
    variables: {},
  });
  assert.equal(tracing.isEnabled, false);
  const { trace, head } = start(bench, fakeHead([["traceparent", `00-${TRACE}-${SPAN}-01`]]), tracing);
  tracing.inject(trace, head.headers);
  assert.equal(head.headers.get("traceparent"), `00-${TRACE}-${SPAN}-01`);
  bench.recorder.finish(trace, fakeInfo(head));
  bench.recorder.flush();
  assert.equal(bench.batches.length, 0);
});

test("RequestTracing tells the upstream of the request's own span, and of a decision against sampling", () => {
  const bench = new RecorderBench();
  const tracing = bench.tracing(fakeTracing({ randomSampling: 0 }));
  const { trace, head } = start(bench, fakeHead(), tracing);
  tracing.inject(trace, head.headers);
  assert.equal(trace.sampled, false);
  assert.equal(head.headers.get("traceparent"), `00-${trace.traceId}-${trace.spanId}-02`);
  const next = start(bench, head, bench.tracing());
  assert.equal(next.trace.sampled, false);
  assert.equal(next.trace.traceId, trace.traceId);
  assert.equal(next.trace.context.parentId, trace.spanId);
});

test("RequestTracing takes custom tags from text, environment and headers", () => {
  const bench = new RecorderBench();
  const customTags = [
    { tag: "a", value: { kind: "literal", value: "1" } },
    { tag: "b", value: { kind: "environment", variable: "POD", defaultValue: "none" } },
    { tag: "c", value: { kind: "environment", variable: "OTHER", defaultValue: "none" } },
    { tag: "d", value: { kind: "request_header", header: "X-Tenant", defaultValue: "" } },
    { tag: "e", value: { kind: "request_header", header: "x-absent", defaultValue: "" } },
  ] as const;
  const tracing = bench.tracing(fakeTracing({ customTags }), {
    exports: true,
    policy: { client: 0, random: 0, overall: 0, followsParent: true },
    variables: { POD: "p1" },
  });
  const { trace } = start(bench, fakeHead([["x-tenant", "t9"]]), tracing);
  assert.deepEqual(trace.tags, ["a", "1", "b", "p1", "c", "none", "d", "t9"]);
});

test("RequestTracing takes custom tags from the metadata of route, cluster and host at the end of the request", () => {
  const bench = new RecorderBench();
  const at = (of: "request" | "route" | "cluster" | "host", ...path: string[]): CustomTag["value"] => ({
    kind: "metadata",
    of,
    path: ["ns", ...path],
    defaultValue: of === "host" ? "none" : "",
  });
  const customTags = [
    { tag: "a", value: { kind: "literal", value: "1" } },
    { tag: "route", value: at("route", "on") },
    { tag: "whole", value: at("route") },
    { tag: "cluster", value: at("cluster", "missing") },
    { tag: "host", value: at("host", "on") },
    { tag: "dynamic", value: at("request", "on") },
  ] as const;
  const tracing = bench.tracing(fakeTracing({ customTags }));
  const { trace, head } = start(bench, fakeHead(), tracing);
  // Metadata { filter_metadata { "ns": { "on": true } } }.
  const metadata = Buffer.from("0a100a026e73120a0a080a026f6e12022001", "hex");
  bench.recorder.finish(trace, fakeInfo(head, { routeMetadata: metadata, clusterMetadata: metadata }));
  assert.deepEqual(trace.tags, ["a", "1", "route", "true", "whole", '{"on":true}', "host", "none"]);
});
