import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { after, before, test } from "node:test";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import { environmentExports, SpanExports } from "../../../sidecar/telemetry/tracing.ts";
import {
  parseHeaders,
  resourceAttributes,
  targetFromEnvironment,
  targetOfProvider,
} from "../../../sidecar/telemetry/export-target.ts";
import type { TracingProvider } from "../../../xds/model/tracing.ts";
import { fakeHead, fakeHook, fakeInfo, fakeStream, fakeTracing, RecorderBench } from "./fake-requests.ts";

/** A span as the collector's package normalises it. */
interface ReceivedSpan {
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: { readonly attributes: Readonly<Record<string, unknown>> };
}

/** The part of @elastic/mockotlpserver that is used here; the package has no types. */
interface MockServer {
  start(): Promise<void>;
  close(): Promise<void>;
  readonly httpUrl: URL | string;
  readonly grpcUrl: URL | string;
}
interface MockPackage {
  readonly MockOtlpServer: new (options: object) => MockServer;
  readonly normalizeTrace: (trace: unknown) => {
    readonly resourceSpans: readonly {
      readonly resource: ReceivedSpan["resource"];
      readonly scopeSpans: readonly { readonly spans: readonly Omit<ReceivedSpan, "resource">[] }[];
    }[];
  };
}
const mock = createRequire(import.meta.url)("@elastic/mockotlpserver") as MockPackage;

// One collector for both protocols: the package tells every server of the process about every request.
const received: ReceivedSpan[] = [];
let waiting: { readonly count: number; readonly done: () => void } | undefined;
const server = new mock.MockOtlpServer({
  services: ["http", "grpc"],
  httpHostname: "127.0.0.1",
  grpcHostname: "127.0.0.1",
  httpPort: 0,
  grpcPort: 0,
  logLevel: "warn",
  onTrace(trace: unknown) {
    for (const { resource, scopeSpans } of mock.normalizeTrace(trace).resourceSpans) {
      received.push(...scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, resource }))));
    }
    if (waiting !== undefined && received.length >= waiting.count) {
      waiting.done();
    }
  },
});
const exportsInUse: SpanExports[] = [];

before(() => server.start());
after(async () => {
  await Promise.all(exportsInUse.map((exports) => exports.shutdown(1000)));
  await server.close();
});

/** The spans that come, when there are `count` of them. Each test takes what it has sent. */
async function takeSpans(count: number): Promise<ReceivedSpan[]> {
  if (received.length < count) {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`only ${received.length} of ${count} spans came`)), 8000);
      waiting = {
        count,
        done() {
          clearTimeout(timer);
          resolve();
        },
      };
    });
  }
  waiting = undefined;
  return received.splice(0);
}

const httpPort = (): number => Number(new URL(server.httpUrl).port);
const grpcPort = (): number => Number(new URL(server.grpcUrl).port);

/** Accepts connections and never answers. */
async function silentCollector(): Promise<Server> {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  return silent;
}

function spanExports(options: {
  environment?: Record<string, string>;
  clusters?: Record<string, { host: string; port: number }>;
}) {
  const stats = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => stats.apply("main", update) });
  const states: boolean[] = [];
  const clusters = options.clusters ?? {};
  const exports = new SpanExports({
    environment: { OTEL_BSP_SCHEDULE_DELAY: "20", ...options.environment },
    stats: table,
    onState: (isWorking) => states.push(isWorking),
    resolveCluster: (name) => clusters[name],
    serviceName: "shop",
    version: "1.2.3",
  });
  exportsInUse.push(exports);
  const count = (name: string): number => {
    table.flush();
    return stats.value(`tracing.opentelemetry.${name}`) ?? 0;
  };
  return { exports, states, count, clusters };
}

/** One request with two hooks, in a batch as a worker posts it. */
function postRequests(exports: SpanExports, provider: TracingProvider | undefined, requests = 1): RecorderBench {
  const bench = new RecorderBench(0);
  const tracing = bench.tracing(fakeTracing({ provider }));
  for (let i = 0; i < requests; i++) {
    const head = fakeHead();
    const stream = fakeStream();
    const trace = bench.recorder.begin(head, 1000);
    bench.streams.set(stream, trace);
    tracing.start(trace, head.headers, false);
    bench.recorder.hook(fakeHook({ stream }));
    bench.recorder.hook(fakeHook({ stream, callback: 9, startedAt: 1005, endedAt: 1005.25 }));
    bench.recorder.finish(trace, fakeInfo(head));
  }
  bench.recorder.flush();
  for (const batch of bench.batches) {
    exports.accept("worker-0#1", batch);
  }
  return bench;
}

const GRPC: TracingProvider = {
  kind: "opentelemetry",
  serviceName: "from-config",
  export: { kind: "grpc", cluster: "otel", timeoutMs: 2000 },
  resourceAttributes: { "deployment.environment": "test" },
};

function checkSpans(spans: readonly ReceivedSpan[]): void {
  const request = spans.find((span) => span.name === "GET orders");
  const hooks = spans.filter((span) => span.name.startsWith("custom-response-header "));
  assert.ok(request !== undefined);
  assert.equal(request.kind, "SPAN_KIND_SERVER");
  assert.equal(request.attributes["url.path"], "/orders/7");
  assert.deepEqual(
    hooks.map((hook) => hook.name),
    ["custom-response-header proxy_on_request_headers", "custom-response-header proxy_on_response_headers"],
  );
  for (const hook of hooks) {
    assert.equal(hook.kind, "SPAN_KIND_INTERNAL");
    assert.equal(hook.parentSpanId, request.spanId);
    assert.equal(hook.traceId, request.traceId);
    assert.ok(BigInt(hook.startTimeUnixNano) >= BigInt(request.startTimeUnixNano));
    assert.ok(BigInt(hook.endTimeUnixNano) <= BigInt(request.endTimeUnixNano));
    assert.equal(hook.attributes["proxy_wasm.plugin.name"], "custom-response-header");
  }
}

test("SpanExports sends to a provider's cluster over gRPC", async () => {
  const { exports, count, states } = spanExports({ clusters: { otel: { host: "127.0.0.1", port: grpcPort() } } });
  const bench = postRequests(exports, GRPC);
  const spans = await takeSpans(3);
  checkSpans(spans);
  assert.equal(spans[0]?.resource.attributes["service.name"], "from-config");
  assert.equal(spans[0]?.resource.attributes["deployment.environment"], "test");
  assert.equal(spans[0]?.resource.attributes["telemetry.sdk.name"], "opentelemetry");
  await exports.shutdown(2000);
  assert.equal(count("spans_sent"), 3);
  assert.equal(count("spans_dropped"), 0);
  assert.deepEqual(states, []);
  assert.equal(new Int32Array(bench.batches[0]?.credit as SharedArrayBuffer)[0], 1);
});

test("SpanExports sends to a provider's cluster over HTTP", async () => {
  const { exports } = spanExports({ clusters: { otel: { host: "127.0.0.1", port: httpPort() } } });
  postRequests(exports, {
    ...GRPC,
    export: {
      kind: "http",
      uri: "http://collector.example/v1/traces",
      cluster: "otel",
      timeoutMs: 2000,
      headers: [{ key: "x-token", value: "t" }],
    },
  });
  checkSpans(await takeSpans(3));
});

for (const protocol of ["grpc", "http/protobuf"] as const) {
  test(`SpanExports sends where the environment says, ${protocol}`, async () => {
    const environment = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${protocol === "grpc" ? grpcPort() : httpPort()}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_RESOURCE_ATTRIBUTES: "team=a%20b",
      OTEL_SERVICE_NAME: "from-environment",
    };
    assert.equal(environmentExports(environment), true);
    const { exports } = spanExports({ environment });
    postRequests(exports, undefined);
    const spans = await takeSpans(3);
    checkSpans(spans);
    assert.equal(spans[0]?.resource.attributes["service.name"], "from-environment");
    assert.equal(spans[0]?.resource.attributes["team"], "a b");
  });
}

test("SpanExports drops and counts while the collector is away, and goes on when it is back", async () => {
  const { exports, count, states, clusters } = spanExports({ environment: { OTEL_BSP_SCHEDULE_DELAY: "60000" } });
  postRequests(exports, GRPC, 5);
  assert.equal(count("spans_dropped"), 0);
  await exports.flush();
  assert.equal(count("spans_dropped"), 15);
  assert.equal(count("export_failures"), 1);
  assert.deepEqual(states, [false]);
  clusters["otel"] = { host: "127.0.0.1", port: grpcPort() };
  postRequests(exports, GRPC);
  await exports.flush();
  checkSpans(await takeSpans(3));
  assert.deepEqual(states, [false, true]);
  assert.equal(count("spans_sent"), 3);
});

test("SpanExports bounds what waits for a collector that does not answer", async () => {
  const silent = await silentCollector();
  try {
    const { exports, count } = spanExports({
      environment: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
        OTEL_EXPORTER_OTLP_TIMEOUT: "300",
        OTEL_BSP_MAX_QUEUE_SIZE: "10",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "5",
      },
    });
    // 5 spans are on their way, 10 wait, 45 find no room.
    postRequests(exports, undefined, 20);
    assert.equal(count("spans_dropped"), 45);
    const started = performance.now();
    await exports.shutdown(100);
    assert.ok(performance.now() - started < 2000);
    assert.equal(count("spans_dropped"), 60);
  } finally {
    silent.close();
  }
});

test("shutdown() sends what waits", async () => {
  const { exports } = spanExports({
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${httpPort()}`,
      OTEL_BSP_SCHEDULE_DELAY: "60000",
    },
  });
  postRequests(exports, undefined, 500);
  await exports.shutdown(5000);
  assert.equal((await takeSpans(1500)).length, 1500);
});

test("SpanExports drops and counts spans that have nowhere to go", () => {
  const { exports, count } = spanExports({});
  postRequests(exports, undefined);
  assert.equal(count("spans_dropped"), 3);
});

const environments = [
  { name: "nothing", environment: {}, expect: undefined },
  {
    name: "an endpoint",
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318/" },
    expect: { protocol: "http", url: "http://c:4318/v1/traces" },
  },
  {
    name: "an endpoint for traces",
    environment: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c/x", OTEL_EXPORTER_OTLP_ENDPOINT: "http://d" },
    expect: { protocol: "http", url: "http://c/x" },
  },
  {
    name: "gRPC",
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4317", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
    expect: { protocol: "grpc", url: "http://c:4317" },
  },
  {
    name: "the exporter alone",
    environment: { OTEL_TRACES_EXPORTER: "otlp" },
    expect: { protocol: "http", url: "http://localhost:4318/v1/traces" },
  },
  {
    name: "none",
    environment: { OTEL_TRACES_EXPORTER: "none", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" },
    expect: undefined,
  },
  {
    name: "the SDK turned off",
    environment: { OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" },
    expect: undefined,
  },
];
for (const { name, environment, expect } of environments) {
  test(`targetFromEnvironment() of ${name}`, () => {
    const target = targetFromEnvironment(environment);
    assert.deepEqual(target === undefined ? undefined : { protocol: target.protocol, url: target.url }, expect);
  });
}

test("parseHeaders() leaves broken pairs out", () => {
  assert.deepEqual(parseHeaders("a=1, b=x%20y ,c,=d,e f=1,g=%zz"), { a: "1", b: "x y", g: "%zz" });
});

test("targetOfProvider() connects to the cluster and keeps the URI's host", () => {
  const target = targetOfProvider(
    { ...GRPC, export: { kind: "http", uri: "https://c.example:1/p?q", cluster: "x", timeoutMs: 0, headers: [] } },
    { host: "::1", port: 4318 },
  );
  assert.deepEqual(target, {
    protocol: "http",
    url: "https://[::1]:4318/p?q",
    headers: { Host: "c.example:1" },
    timeoutMs: 10_000,
  });
});

test("resourceAttributes() lets the provider win over the environment over the node", () => {
  assert.equal(resourceAttributes({}, undefined, "")["service.name"], "unknown_service:outrigger");
  assert.equal(resourceAttributes({}, undefined, "n")["service.name"], "n");
  assert.equal(resourceAttributes({ OTEL_RESOURCE_ATTRIBUTES: "service.name=r" }, undefined, "n")["service.name"], "r");
  assert.equal(resourceAttributes({ OTEL_SERVICE_NAME: "e" }, undefined, "n")["service.name"], "e");
  assert.equal(resourceAttributes({ OTEL_SERVICE_NAME: "e" }, GRPC, "n")["service.name"], "from-config");
});
