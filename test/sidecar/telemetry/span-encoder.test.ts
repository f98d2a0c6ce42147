import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamInfo } from "../../../sidecar/filter/stream-info.ts";
import { traceparentOf } from "../../../sidecar/telemetry/trace-recorder.ts";
import { fakeHead, fakeHook, fakeInfo, fakeStream, RecorderBench } from "./fake-requests.ts";
import { readSpans } from "./read-spans.ts";
import type { ReadSpan } from "./read-spans.ts";

const HTTP_CALL = {
  rpc: "http",
  cluster: "auth",
  method: "POST",
  path: "/check",
  authority: "auth.local",
  startedAt: 1001.2,
} as const;

function spansOf(bench: RecorderBench): ReadSpan[] {
  bench.recorder.flush();
  return readSpans(bench.batches.splice(0));
}

function begin(bench: RecorderBench, headers: readonly (readonly [string, string])[] = []) {
  const head = fakeHead(headers);
  const stream = fakeStream();
  const trace = bench.recorder.begin(head, 1000);
  bench.streams.set(stream, trace);
  bench.tracing().start(trace, head.headers, false);
  const finish = (fields: Partial<StreamInfo> = {}): void => {
    bench.recorder.finish(trace, fakeInfo(head, fields));
    bench.streams.delete(stream);
  };
  return { head, stream, trace, finish };
}

/** A time of this thread's clock as nanoseconds since the epoch. */
function epochNanos(milliseconds: number): bigint {
  const whole = Math.floor(performance.timeOrigin + milliseconds);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((performance.timeOrigin + milliseconds - whole) * 1e6));
}

/** A double holds a time since the epoch to a quarter of a microsecond. */
function assertTime(actual: bigint, milliseconds: number): void {
  const difference = actual - epochNanos(milliseconds);
  assert.ok(difference >= -1000n && difference <= 1000n, `${actual} is not ${epochNanos(milliseconds)}`);
}

const named = (spans: readonly ReadSpan[], name: string): ReadSpan => {
  const found = spans.find((span) => span.name === name);
  assert.ok(found !== undefined, `no span ${name} in ${spans.map((span) => span.name).join(", ")}`);
  return found;
};

test("SpanEncoder makes a SERVER span with the stable HTTP attributes and Envoy's", () => {
  const bench = new RecorderBench();
  const parent = "00f067aa0ba902b7";
  const { finish, trace } = begin(bench, [
    ["traceparent", `00-4bf92f3577b34da6a3ce929d0e0e4736-${parent}-01`],
    ["tracestate", "v=1"],
    ["user-agent", "curl/8"],
    ["x-request-id", "r-1"],
  ]);
  finish();
  const [span, ...others] = spansOf(bench);
  assert.ok(span !== undefined && others.length === 0);
  assert.equal(span.name, "GET orders");
  assert.equal(span.kind, "SERVER");
  assert.equal(span.traceId, "4bf92f3577b34da6a3ce929d0e0e4736");
  assert.equal(span.spanId, trace.spanId);
  assert.equal(span.traceState, "v=1");
  assert.equal(span.parentId, parent);
  assert.equal(span.hasRemoteParent, true);
  assertTime(span.start, 1000);
  assertTime(span.end, 1010);
  assert.equal(span.status, "UNSET");
  assert.deepEqual(span.attributes, {
    "http.request.method": "GET",
    "url.path": "/orders/7",
    "url.scheme": "http",
    "url.query": "q=1",
    "server.address": "shop.example",
    "server.port": 8443,
    "network.protocol.version": "1.1",
    "client.address": "10.0.0.9",
    "network.peer.address": "10.0.0.9",
    "network.peer.port": 40000,
    "http.response.status_code": 200,
    "http.route": "orders",
    "user_agent.original": "curl/8",
    component: "proxy",
    node_id: "node-1",
    upstream_cluster: "web",
    "upstream_cluster.name": "web",
    upstream_address: "10.0.0.2:80",
    response_flags: "-",
    "guid:x-request-id": "r-1",
    request_size: 12,
    response_size: 34,
  });
});

test("SpanEncoder makes a CLIENT span on an outbound listener", () => {
  const bench = new RecorderBench();
  begin(bench).finish({ trafficDirection: "outbound", status: 404, routeName: "", attempts: 3 });
  const [span] = spansOf(bench);
  assert.ok(span !== undefined);
  assert.equal(span.kind, "CLIENT");
  assert.equal(span.name, "GET");
  assert.equal(span.attributes["url.full"], "http://shop.example:8443/orders/7?q=1");
  assert.equal(span.attributes["network.peer.address"], "10.0.0.2");
  assert.equal(span.attributes["network.peer.port"], 80);
  assert.equal(span.attributes["http.request.resend_count"], 2);
  assert.equal(span.attributes["error.type"], "404");
  assert.equal(span.status, "ERROR");
});

test("SpanEncoder calls a failed request an error, and a client's mistake none", () => {
  const bench = new RecorderBench();
  begin(bench).finish({ status: 503, responseFlags: "UF" });
  begin(bench).finish({ status: 404 });
  begin(bench).finish({ status: 0, responseCodeDetails: "downstream_disconnect" });
  const [failed, refused, gone] = spansOf(bench);
  assert.equal(failed?.status, "ERROR");
  assert.equal(failed?.attributes["error.type"], "503");
  assert.equal(failed?.attributes["response_flags"], "UF");
  assert.equal(refused?.status, "UNSET");
  assert.equal(gone?.attributes["error.type"], "downstream_disconnect");
  assert.equal(gone?.attributes["http.response.status_code"], undefined);
});

test("SpanEncoder puts an INTERNAL span for every callback under the request, inside its times", () => {
  const bench = new RecorderBench();
  const { stream, finish, trace } = begin(bench);
  bench.recorder.hook(
    fakeHook({ stream, callback: 0, action: -1, endOfStream: -1, startedAt: 1000.1, endedAt: 1000.2 }),
  );
  bench.recorder.hook(fakeHook({ stream, callback: 6, startedAt: 1000.3, endedAt: 1000.4 }));
  bench.recorder.hook(fakeHook({ stream, callback: 10, bodyBytes: 99, startedAt: 1006, endedAt: 1006.5 }));
  bench.recorder.hook(
    fakeHook({ stream, callback: 18, action: -1, endOfStream: -1, startedAt: 1010.1, endedAt: 1010.7 }),
  );
  finish();
  const [request, ...hooks] = spansOf(bench);
  assert.ok(request !== undefined);
  assert.deepEqual(
    hooks.map((span) => span.name),
    ["proxy_on_context_create", "proxy_on_request_headers", "proxy_on_response_body", "proxy_on_log"].map(
      (callback) => `custom-response-header ${callback}`,
    ),
  );
  const ids = new Set([trace.spanId]);
  for (const hook of hooks) {
    assert.equal(hook.kind, "INTERNAL");
    assert.equal(hook.parentId, request.spanId);
    assert.equal(hook.traceId, request.traceId);
    assert.ok(hook.start >= request.start && hook.end <= request.end);
    ids.add(hook.spanId);
  }
  assert.equal(ids.size, 5);
});

test("SpanEncoder gives a hook's span every attribute of the contract", () => {
  const bench = new RecorderBench();
  const { stream, finish } = begin(bench);
  bench.recorder.hook(
    fakeHook({
      stream,
      callback: 7,
      action: 1,
      endOfStream: 0,
      headersAdded: 1,
      headersReplaced: 2,
      headersRemoved: 3,
      bodyBytes: 10,
    }),
  );
  bench.recorder.hook(fakeHook({ stream, callback: 7, action: 0, startedAt: 1003, endedAt: 1003.5, bodyBytes: 0 }));
  bench.recorder.hook(fakeHook({ stream, callback: 19, action: -1, endOfStream: -1 }));
  finish();
  const [, paused, resumed, done] = spansOf(bench);
  assert.deepEqual(paused?.attributes, {
    "proxy_wasm.plugin.name": "custom-response-header",
    "proxy_wasm.plugin.root_id": "root",
    "proxy_wasm.vm_id": "vm",
    "proxy_wasm.plugin.digest": "d".repeat(64),
    "proxy_wasm.callback": "proxy_on_request_body",
    "proxy_wasm.context_id": 7,
    "proxy_wasm.abi_version": "0.2.1",
    "proxy_wasm.host_calls": 3,
    "proxy_wasm.action": "pause",
    "proxy_wasm.end_of_stream": false,
    "proxy_wasm.headers.added": 1,
    "proxy_wasm.headers.replaced": 2,
    "proxy_wasm.headers.removed": 3,
    "proxy_wasm.body.bytes": 10,
    "proxy_wasm.paused_ms": 2,
  });
  assert.equal(resumed?.attributes["proxy_wasm.action"], "continue");
  assert.equal(resumed?.attributes["proxy_wasm.body.bytes"], 0);
  assert.equal(resumed?.attributes["proxy_wasm.paused_ms"], undefined);
  assert.equal(done?.attributes["proxy_wasm.action"], undefined);
  assert.equal(done?.attributes["proxy_wasm.end_of_stream"], undefined);
  assert.equal(done?.attributes["proxy_wasm.headers.added"], undefined);
});

test("SpanEncoder shows a fault as an error with an exception event", () => {
  const bench = new RecorderBench();
  const { stream, finish } = begin(bench);
  const fault = {
    plugin: "p",
    vmId: "",
    callback: "proxy_on_request_headers",
    contextId: 7,
    at: 0,
    kind: "trap",
    message: "unreachable",
    frames: ["a", "b"],
  } as const;
  bench.recorder.hook(fakeHook({ stream, fault }));
  finish({ status: 503 });
  const [, hook] = spansOf(bench);
  assert.deepEqual([hook?.status, hook?.statusMessage], ["ERROR", "trap: unreachable"]);
  assert.equal(hook?.attributes["error.type"], "trap");
  assert.deepEqual(hook?.events, [
    {
      name: "exception",
      at: hook.end,
      attributes: { "exception.type": "trap", "exception.message": "unreachable", "exception.stacktrace": "a\nb" },
    },
  ]);
});

test("a plugin's call is a CLIENT span under its callback, and its answer's callback links to it", () => {
  const bench = new RecorderBench();
  const { stream, finish, trace } = begin(bench);
  const call = bench.recorder.callStarted(stream, { ...HTTP_CALL, token: 5 });
  assert.ok(call !== undefined);
  const traceparent = traceparentOf(call);
  bench.recorder.hook(fakeHook({ stream, action: 1, callTokens: [5] }));
  bench.recorder.callEnded(call, 403, "", 1004);
  // The answer comes on the root context, which chose the stream.
  bench.recorder.hook(
    fakeHook({ callback: 12, action: -1, answeredToken: 5, startedAt: 1004, endedAt: 1004.5, effectiveStream: stream }),
  );
  finish();
  const spans = spansOf(bench);
  const client = named(spans, "POST");
  const asking = named(spans, "custom-response-header proxy_on_request_headers");
  const answered = named(spans, "custom-response-header proxy_on_http_call_response");
  assert.equal(spans.length, 4);
  assert.equal(client.kind, "CLIENT");
  assert.equal(client.parentId, asking.spanId);
  assert.equal(answered.parentId, trace.spanId);
  assert.deepEqual(
    answered.links.map((link) => link.spanId),
    [client.spanId],
  );
  assert.equal(traceparent, `00-${trace.traceId}-${client.spanId}-01`);
  assert.equal(client.attributes["http.response.status_code"], 403);
  assert.equal(client.attributes["error.type"], "403");
  assert.equal(client.attributes["upstream_cluster"], "auth");
  assert.equal(client.attributes["url.full"], "http://auth.local/check");
  assert.equal(client.attributes["server.address"], "auth.local");
});

test("a call that outlives its request keeps its place, and its answer's callback starts a trace that links to it", () => {
  const bench = new RecorderBench();
  const { stream, finish, trace } = begin(bench);
  const { traceId, spanId } = trace;
  const call = bench.recorder.callStarted(stream, { ...HTTP_CALL, token: 6 });
  assert.ok(call !== undefined);
  bench.recorder.hook(fakeHook({ stream, callTokens: [6] }));
  finish();
  const [request, asking, ...early] = spansOf(bench);
  assert.equal(early.length, 0);
  assert.equal(request?.spanId, spanId);
  bench.recorder.callEnded(call, 0, "timeout", 2000);
  bench.recorder.hook(fakeHook({ callback: 12, action: -1, answeredToken: 6, startedAt: 2000, endedAt: 2001 }));
  const spans = spansOf(bench);
  const client = named(spans, "POST");
  assert.equal(client.traceId, traceId);
  assert.equal(client.parentId, asking?.spanId);
  assert.deepEqual([client.status, client.statusMessage], ["ERROR", "timeout"]);
  const answer = named(spans, "custom-response-header proxy_on_http_call_response");
  assert.equal(answer.parentId, "");
  assert.notEqual(answer.traceId, traceId);
  assert.deepEqual(answer.links[0], { traceId, spanId: client.spanId });
});

test("root callbacks start traces of their own, with their calls under them", () => {
  const bench = new RecorderBench();
  bench.tracing();
  bench.recorder.hook(fakeHook({ callback: 3, action: -1, endOfStream: -1 }));
  const call = bench.recorder.callStarted(undefined, { ...HTTP_CALL, rpc: "grpc", path: "/pkg.Auth/Check", token: 9 });
  assert.ok(call !== undefined);
  bench.recorder.hook(fakeHook({ callback: 3, action: -1, endOfStream: -1, callTokens: [9] }));
  bench.recorder.callEnded(call, 0, "", 1100);
  const spans = spansOf(bench);
  assert.equal(spans.length, 3);
  const [first, second, client] = spans;
  assert.equal(first?.parentId, "");
  assert.equal(second?.parentId, "");
  assert.notEqual(first?.traceId, second?.traceId);
  assert.equal(client?.name, "pkg.Auth/Check");
  assert.equal(client?.traceId, second?.traceId);
  assert.equal(client?.parentId, second?.spanId);
  assert.equal(client?.attributes["rpc.status_code"], "0");
});

test("root callbacks that ran before there was a provider are shown once there is one", () => {
  const bench = new RecorderBench();
  bench.recorder.hook(fakeHook({ callback: 1, action: -1, endOfStream: -1 }));
  bench.recorder.hook(fakeHook({ callback: 2, action: -1, endOfStream: -1 }));
  assert.equal(spansOf(bench).length, 0);
  bench.tracing();
  const spans = spansOf(bench);
  assert.deepEqual(
    spans.map((span) => span.name),
    ["custom-response-header proxy_on_vm_start", "custom-response-header proxy_on_configure"],
  );
  assert.notEqual(spans[0]?.traceId, spans[1]?.traceId);
  bench.tracing();
  assert.equal(spansOf(bench).length, 0);
});

test("SpanEncoder hides signatures in queries and cuts long paths", () => {
  const bench = new RecorderBench();
  const head = fakeHead([], `/${"a".repeat(400)}?x=1&Signature=secret&sig=s2`);
  const trace = bench.recorder.begin(head, 1000);
  bench.tracing().start(trace, head.headers, false);
  bench.recorder.finish(trace, fakeInfo(head));
  const [span] = spansOf(bench);
  assert.equal(String(span?.attributes["url.path"]).length, 256);
  assert.equal(span?.attributes["url.query"], "x=1&Signature=REDACTED&sig=REDACTED");
});
