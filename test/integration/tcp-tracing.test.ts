// The trace of a TCP connection with plugins: a span for the connection, one for each callback and call under it; /traces,
// /plugins and the statistics of callbacks.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { bootstrap, cluster } from "../support/bootstrap-builder.ts";
import { type CollectedSpan, OtlpCollector } from "../support/otlp-collector.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";
import { plugin, tcp } from "../support/tcp-plugins.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";

interface Traces {
  readonly traces: readonly {
    readonly method: string;
    readonly cluster: string;
    readonly hooks: readonly { readonly callback: string; readonly paused_ms?: number }[];
    readonly callouts?: readonly { readonly cluster: string }[];
  }[];
}

const CALLBACKS = [
  "proxy_on_new_connection",
  "proxy_on_http_call_response",
  "proxy_on_downstream_data",
  "proxy_on_downstream_data",
  "proxy_on_upstream_data",
  "proxy_on_upstream_connection_close",
  "proxy_on_downstream_connection_close",
  "proxy_on_done",
  "proxy_on_log",
  "proxy_on_delete",
];

suite("the trace of a TCP connection", { timeout: 60_000 }, () => {
  test("has a span for the connection, its plugin's callbacks and their call", async () => {
    await using collector = await OtlpCollector.start();
    await using upstream = await TcpServer.start();
    await using auth = await RecordingOrigin.start(() => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    await using sidecar = await SidecarProcess.start(
      bootstrap({
        listeners: [{ ...tcp("traced", plugin("gate", "tcp", "call auth")), traffic_direction: "INBOUND" }],
        clusters: [cluster("up", [upstream.port]), cluster("auth", [auth.port])],
      }),
      {
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.httpPort}`,
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
          OTEL_BSP_SCHEDULE_DELAY: "20",
        },
      },
    );
    const client = await TcpPeer.connect(sidecar.port("traced"));
    client.send("abc");
    const server = await upstream.next();
    await server.untilReceived("abc");
    client.end();
    await server.untilEnd();
    await Promise.all([server.untilClosed(), client.untilClosed()]);

    const span = await collector.spans.first("the connection's span", ({ name }) => name === "TCP");
    assert.match(span.kind, /SERVER/);
    const { attributes } = span;
    assert.equal(attributes["network.transport"], "tcp");
    assert.equal(attributes["upstream_cluster"], "up");
    assert.equal(String(attributes["request_size"]), "3");
    assert.equal(attributes["http.request.method"], undefined);
    assert.equal(attributes["error.type"], undefined);
    const isOf = (other: CollectedSpan): boolean => other.traceId === span.traceId && other !== span;
    const last = "gate proxy_on_delete";
    await collector.spans.first(last, (other) => isOf(other) && other.name === last);
    const hooks = collector.spans.all.filter((other) => isOf(other) && other.name.startsWith("gate "));
    assert.deepEqual(
      hooks.map(({ name }) => name).toSorted(),
      ["proxy_on_context_create", ...CALLBACKS].map((name) => `gate ${name}`).toSorted(),
    );
    assert.ok(hooks.every(({ parentSpanId, kind }) => parentSpanId === span.spanId && kind.includes("INTERNAL")));
    const began = hooks.find(({ name }) => name.endsWith("new_connection"));
    assert.equal(began?.attributes["proxy_wasm.action"], "pause");
    assert.ok(Number(began.attributes["proxy_wasm.paused_ms"]) > 0);
    const call = collector.spans.all.find((other) => isOf(other) && other.parentSpanId === began.spanId);
    assert.match(call?.kind ?? "", /CLIENT/);
    assert.match(
      auth.requests[0]?.fields.find(([name]) => name === "traceparent")?.[1] ?? "",
      new RegExp(`-${call?.spanId}-`),
    );

    const { traces } = await sidecar.adminJson<Traces>("/traces?limit=1");
    assert.equal(traces[0]?.method, "TCP");
    assert.equal(traces[0].cluster, "up");
    assert.deepEqual(traces[0].hooks.map(({ callback }) => callback).slice(1), CALLBACKS);
    const { text } = await sidecar.admin("/plugins");
    assert.match(text, /proxy_on_downstream_data/);
    const prometheus = await until(
      "the callbacks' counters",
      async () => (await sidecar.admin("/stats/prometheus")).text,
      (all) => all.includes("outrigger_wasm_calls_total"),
    );
    assert.match(prometheus, /outrigger_wasm_calls_total\{[^}]*proxy_on_new_connection[^}]*\} 1/);
  });
});
