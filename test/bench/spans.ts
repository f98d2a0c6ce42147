// Cost of tracing one request with eight hooks: on the worker unsampled and sampled, and on the main thread from a posted
// batch to OTLP bytes. The budget is 5 µs for each span all in; an unsampled request costs a few stores.
// Run: node test/bench/spans.ts

import { ExportResultCode } from "@opentelemetry/core";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { defaultResource } from "@opentelemetry/resources";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace";
import { HeaderMap } from "../../sidecar/http/headers.ts";
import { RequestHead } from "../../sidecar/http/message.ts";
import { buildSpans } from "../../sidecar/telemetry/hook-spans.ts";
import { RandomSource } from "../../sidecar/telemetry/random.ts";
import { RequestTracing } from "../../sidecar/telemetry/request-tracing.ts";
import { readBatch } from "../../sidecar/telemetry/span-record.ts";
import type { SpanBatch } from "../../sidecar/telemetry/span-record.ts";
import { TraceRecorder } from "../../sidecar/telemetry/trace-recorder.ts";
import type { StreamTrace } from "../../sidecar/telemetry/stream-trace.ts";
import { ENVIRONMENT, fakeHook, fakeInfo, fakeStream, fakeTracing } from "../sidecar/telemetry/fake-requests.ts";

const HOOKS = 8;
const RAW =
  "Host: shop.example\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\nX-Request-Id: 7b8c0d9e-1f2a-4b3c-8d4e-5f6a7b8c9d0e\r\n";
const POS: number[] = [];
for (let at = 0; at < RAW.length;) {
  const colon = RAW.indexOf(":", at);
  const end = RAW.indexOf("\r\n", at);
  POS.push(at, colon, colon + 2, end);
  at = end + 2;
}

const stream = fakeStream();
let current: StreamTrace | undefined;
let batches: SpanBatch[] = [];
const random = new RandomSource();
const recorder = new TraceRecorder({
  ringSize: 512,
  random,
  maxBatches: Number.POSITIVE_INFINITY,
  post: (batch) => batches.push(batch),
  dropped: { inc: () => undefined, add: () => undefined, value: 0 },
  traceOf: () => current,
  schedule: () => undefined,
});
const hook = fakeHook({ stream });

function request(tracing: RequestTracing | undefined): void {
  const head = new RequestHead("GET", "/orders/7?q=1", "shop.example", "http", new HeaderMap(RAW, POS.slice()));
  const trace = recorder.begin(head, 1000);
  current = trace;
  tracing?.start(trace, head.headers, false);
  for (let i = 0; i < HOOKS; i++) {
    recorder.hook(hook);
  }
  tracing?.inject(trace, head.headers);
  recorder.finish(trace, fakeInfo(head));
}

function nothing(): void {
  const head = new RequestHead("GET", "/orders/7?q=1", "shop.example", "http", new HeaderMap(RAW, POS.slice()));
  fakeInfo(head);
}

function measure(name: string, times: number, run: () => void, per = 1): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    batches = [];
    const start = performance.now();
    for (let i = 0; i < times; i++) {
      run();
    }
    best = Math.min(best, ((performance.now() - start) * 1000) / times / per);
  }
  console.log(`${name.padEnd(64)} ${best.toFixed(3).padStart(9)} µs`);
  return best;
}

const sampled = new RequestTracing(recorder, random, fakeTracing(), ENVIRONMENT);
const unsampled = new RequestTracing(recorder, random, fakeTracing({ randomSampling: 0 }), ENVIRONMENT);
const base = measure("making the request's objects (to be taken off)", 100_000, nothing);
measure(`request with ${HOOKS} hooks, tracing off (ring only)`, 100_000, () => request(undefined));
measure(`request with ${HOOKS} hooks, not sampled`, 100_000, () => request(unsampled));
const worker = measure(`request with ${HOOKS} hooks, sampled: worker side`, 20_000, () => request(sampled));

batches = [];
for (let i = 0; i < 4000; i++) {
  request(sampled);
}
recorder.flush();
const posted = batches;
const spans = 4000 * (HOOKS + 1);
const clone = measure("cloning to the main thread, a span", 1, () => structuredClone(posted), spans);
const origin = { resource: defaultResource(), scope: { name: "outrigger" }, nodeId: "node" };
const build = measure(
  "building, a span",
  1,
  () => posted.forEach((batch) => [...readBatch(batch)].forEach((record) => buildSpans(record, 1.7e12, origin))),
  spans,
);
const processor = new BatchSpanProcessor({
  exporter: {
    export(batch, done) {
      ProtobufTraceSerializer.serializeRequest(batch);
      done({ code: ExportResultCode.SUCCESS });
    },
    shutdown: () => Promise.resolve(),
  },
  maxQueueSize: 1_000_000,
  maxExportBatchSize: 1024,
});
let whole = Number.POSITIVE_INFINITY;
for (let round = 0; round < 7; round++) {
  const start = performance.now();
  for (const batch of posted) {
    for (const record of readBatch(batch)) {
      for (const span of buildSpans(record, 1.7e12, origin)) {
        processor.onEnd(span);
      }
    }
  }
  await processor.forceFlush();
  whole = Math.min(whole, ((performance.now() - start) * 1000) / spans);
}
console.log(`${"building, batching and serialising, a span".padEnd(64)} ${whole.toFixed(3).padStart(9)} µs`);
const total = (worker - base) / (HOOKS + 1) + clone + whole;
console.log(
  `${"all in, a span (budget 5)".padEnd(64)} ${total.toFixed(3).padStart(9)} µs; building alone ${build.toFixed(3)}`,
);
