// Cost of tracing one request with eight hooks: on the worker unsampled and sampled (there the spans become OTLP bytes), and
// on the main thread from a posted batch to a collector's request. The budget is 5 µs for each span all in; an unsampled request costs a few stores.
// Processor time of the whole process, garbage collection included; the best of many short rounds, because machines are
// shared. Run: node test/bench/spans.ts

import { HeaderMap } from "../../sidecar/http/headers.ts";
import { RequestHead } from "../../sidecar/http/message.ts";
import { RandomSource } from "../../sidecar/random-id.ts";
import { RequestTracing } from "../../sidecar/telemetry/request-tracing.ts";
import { buffersOf } from "../../sidecar/telemetry/span-batch.ts";
import type { SpanBatch } from "../../sidecar/telemetry/span-batch.ts";
import { SpanQueue } from "../../sidecar/telemetry/span-queue.ts";
import { TraceRecorder } from "../../sidecar/telemetry/trace-recorder.ts";
import type { StreamTrace } from "../../sidecar/telemetry/stream-trace.ts";
import { ENVIRONMENT, fakeHook, fakeInfo, fakeStream, fakeTracing } from "../sidecar/telemetry/fake-requests.ts";

const HOOKS = 8;
const ROUNDS = 40;
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
  nodeId: "node",
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

/** Microseconds of processor time that `run` takes, divided by `per`; the best of 40 rounds of about 10 ms. */
function measure(name: string, run: () => void, per: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    batches = [];
    const start = process.cpuUsage();
    run();
    const used = process.cpuUsage(start);
    best = Math.min(best, (used.user + used.system) / per);
  }
  console.log(`${name.padEnd(64)} ${best.toFixed(3).padStart(9)} µs`);
  return best;
}

function repeat(times: number, run: () => void): () => void {
  return () => {
    for (let i = 0; i < times; i++) {
      run();
    }
  };
}

const sampled = new RequestTracing(recorder, random, fakeTracing(), ENVIRONMENT);
const unsampled = new RequestTracing(recorder, random, fakeTracing({ randomSampling: 0 }), ENVIRONMENT);
const base = measure("making the request's objects (to be taken off)", repeat(100_000, nothing), 100_000);
const N = 10_000;
measure(
  `request with ${HOOKS} hooks, tracing off (ring only)`,
  repeat(N, () => request(undefined)),
  N,
);
measure(
  `request with ${HOOKS} hooks, not sampled`,
  repeat(N, () => request(unsampled)),
  N,
);
const worker = measure(
  `request with ${HOOKS} hooks, sampled: worker side`,
  repeat(N, () => request(sampled)),
  N,
);

const REQUESTS = 500;
batches = [];
repeat(REQUESTS, () => request(sampled))();
recorder.flush();
const posted = batches;
const spans = REQUESTS * (HOOKS + 1);
const queue = new SpanQueue(100_000, new Uint8Array(300), new Uint8Array(30));
// A part's memory is given back when it has been sent: each round has its own.
const copies = Array.from({ length: ROUNDS }, () =>
  posted.flatMap((batch) => batch.parts.map((part) => ({ ...part, bytes: part.bytes.slice() }))),
);
const joining = measure(
  "joining to requests of 1,024, a span",
  () => {
    for (const part of copies.pop() ?? []) {
      queue.add(part, 0);
    }
    while (queue.take(1024) !== undefined) {
      // Each becomes a request to the collector.
    }
  },
  spans,
);
const bytes = posted.flatMap((batch) => batch.parts).reduce((sum, part) => sum + part.bytes.length, 0);
let handing = 0;
for (const batch of posted) {
  const start = process.cpuUsage();
  structuredClone(batch, { transfer: buffersOf(batch) });
  const used = process.cpuUsage(start);
  handing += (used.user + used.system) / spans;
}
console.log(`${"handing over to the main thread, a span".padEnd(64)} ${handing.toFixed(3).padStart(9)} µs`);
console.log(`bytes of a span: ${Math.round(bytes / spans)}`);
const total = (worker - base) / (HOOKS + 1) + handing + joining;
console.log(`${"all in but sending, a span (budget 5)".padEnd(64)} ${total.toFixed(3).padStart(9)} µs`);
