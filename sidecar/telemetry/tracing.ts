// Exports spans on the main thread: the workers' batches become finished spans (hook-spans.ts), which the SDK's
// BatchSpanProcessor and OTLP exporters send. One pipeline for each place where spans go. Made by supervisor.ts.
// Nothing here is on a request's way. Bounded: a full queue and an absent collector drop spans and count them.

import { ExportResultCode } from "@opentelemetry/core";
import type { ExportResult } from "@opentelemetry/core";
import { OTLPExporterBase } from "@opentelemetry/otlp-exporter-base";
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from "@opentelemetry/otlp-exporter-base/node-http";
import { convertLegacyOtlpGrpcOptions, createOtlpGrpcExportDelegate } from "@opentelemetry/otlp-grpc-exporter-base";
import { ProtobufTraceSerializer, TraceExporterMetricsHelper } from "@opentelemetry/otlp-transformer";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import type { TracingProvider } from "../../xds/model/tracing.ts";
import type { Counter, StatsScope } from "../stats/scope.ts";
import { resourceAttributes, targetFromEnvironment, targetOfProvider } from "./export-target.ts";
import type { CollectorEndpoint, Environment, ExportTarget } from "./export-target.ts";
import { buildSpans } from "./hook-spans.ts";
import type { FinishedSpan, SpanOrigin } from "./hook-spans.ts";
import { Field, readBatch } from "./span-record.ts";
import type { SpanBatch } from "./span-record.ts";
import { SpanSerializer } from "./span-serializer.ts";

export interface SpanExportsOptions {
  /** OTEL_* variables. */
  readonly environment: Environment;
  readonly stats: StatsScope;
  /** Called at the first failure after a success, and at the first success after a failure. */
  readonly onState: (isWorking: boolean, problem: string) => void;
  /** Where a cluster's collector listens; undefined while it is not known. Asked at every export. */
  readonly resolveCluster: (name: string) => CollectorEndpoint | undefined;
  /** service.name when neither provider nor environment names one: the bootstrap's node.cluster. */
  readonly serviceName: string;
  readonly nodeId: string;
  readonly version: string;
}

/** Spans that wait for one exporter; OTEL_BSP_MAX_QUEUE_SIZE. The SDK's 2,048 are less than one worker's batch. */
const MAX_QUEUE_SIZE = 16_384;
/** Spans in one request to the collector; OTEL_BSP_MAX_EXPORT_BATCH_SIZE. About 700 KB, below gRPC's 4 MiB. */
const MAX_EXPORT_BATCH_SIZE = 1024;
/** OTEL_BSP_SCHEDULE_DELAY; a second, so that somebody who looks for a trace finds it. */
const SCHEDULE_DELAY_MS = 1000;
const EXPORT_TIMEOUT_MS = 30_000;
/** Places that spans can go to at once; more are dropped. */
const MAX_PIPELINES = 16;

interface Pipeline {
  readonly exporter: CountingExporter;
  readonly processor: BatchSpanProcessor;
  readonly origin: SpanOrigin;
}

export class SpanExports {
  readonly #options: SpanExportsOptions;
  readonly #dropped: Counter;
  /** By provider as JSON; empty for the environment's. */
  readonly #pipelines = new Map<string, Pipeline | undefined>();
  /** By thread, then by the provider's number there. */
  readonly #owners = new Map<string, Map<number, Pipeline | undefined>>();
  #isShutDown = false;

  constructor(options: SpanExportsOptions) {
    this.#options = options;
    this.#dropped = options.stats.counter("tracing.opentelemetry.spans_dropped");
  }

  /** Takes a worker's batch. `owner` names the worker's life, as for statistics. */
  accept(owner: string, batch: SpanBatch): void {
    let providers = this.#owners.get(owner);
    if (providers === undefined) {
      providers = new Map();
      this.#owners.set(owner, providers);
    }
    for (const { id, provider } of batch.providers) {
      providers.set(id, this.#pipelineOf(provider));
    }
    for (const record of readBatch(batch)) {
      const pipeline = providers.get(record.field(Field.Provider));
      if (pipeline === undefined || this.#isShutDown) {
        this.#dropped.inc();
        continue;
      }
      for (const span of buildSpans(record, batch.timeOrigin, pipeline.origin)) {
        if (pipeline.exporter.admit()) {
          pipeline.processor.onEnd(span);
        }
      }
    }
    Atomics.add(new Int32Array(batch.credit), 0, 1);
  }

  /** A worker is gone; its provider numbers mean nothing any more. */
  retire(owner: string): void {
    this.#owners.delete(owner);
  }

  /** Sends what is waiting. Never rejects. */
  async flush(): Promise<void> {
    await Promise.allSettled(this.#active().map((pipeline) => pipeline.processor.forceFlush()));
  }

  /** Sends what is waiting and closes; what is not sent after `deadlineMs` is lost and counted. Never rejects. */
  async shutdown(deadlineMs: number): Promise<void> {
    this.#isShutDown = true;
    const closing = Promise.allSettled(this.#active().map((pipeline) => pipeline.processor.shutdown()));
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([closing, deadline]);
    clearTimeout(timer);
    for (const pipeline of this.#active()) {
      pipeline.exporter.giveUp();
    }
  }

  #active(): Pipeline[] {
    return [...this.#pipelines.values()].filter((pipeline) => pipeline !== undefined);
  }

  #pipelineOf(provider: TracingProvider | undefined): Pipeline | undefined {
    const key = JSON.stringify(provider) ?? "";
    if (this.#pipelines.has(key)) {
      return this.#pipelines.get(key);
    }
    const pipeline = this.#pipelines.size < MAX_PIPELINES ? this.#newPipeline(provider) : undefined;
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  #newPipeline(provider: TracingProvider | undefined): Pipeline | undefined {
    const { environment, resolveCluster, serviceName, nodeId, version } = this.#options;
    const fixed = provider === undefined ? targetFromEnvironment(environment) : undefined;
    if (provider === undefined && fixed === undefined) {
      return undefined;
    }
    const findTarget = (): ExportTarget | undefined => {
      if (provider === undefined) {
        return fixed;
      }
      const endpoint = resolveCluster(provider.export.cluster);
      return endpoint === undefined ? undefined : targetOfProvider(provider, endpoint);
    };
    const maxQueueSize = positive(environment["OTEL_BSP_MAX_QUEUE_SIZE"], MAX_QUEUE_SIZE);
    const exporter = new CountingExporter(this.#options, findTarget, maxQueueSize);
    const processor = new BatchSpanProcessor({
      exporter,
      maxQueueSize,
      maxExportBatchSize: Math.min(
        maxQueueSize,
        positive(environment["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], MAX_EXPORT_BATCH_SIZE),
      ),
      scheduledDelayMillis: positive(environment["OTEL_BSP_SCHEDULE_DELAY"], SCHEDULE_DELAY_MS),
      exportTimeoutMillis: positive(environment["OTEL_BSP_EXPORT_TIMEOUT"], EXPORT_TIMEOUT_MS),
    });
    const resource = defaultResource().merge(
      resourceFromAttributes(resourceAttributes(environment, provider, serviceName)),
    );
    return { exporter, processor, origin: { resource, scope: { name: "outrigger", version }, nodeId } };
  }
}

/** Whether the environment names a collector: what workers must know to trace without a provider. */
export function environmentExports(environment: Environment): boolean {
  return targetFromEnvironment(environment) !== undefined;
}

/** Sends to wherever the target is now, and counts what becomes of the spans. */
class CountingExporter implements SpanExporter {
  readonly #findTarget: () => ExportTarget | undefined;
  readonly #onState: SpanExportsOptions["onState"];
  readonly #maxWaiting: number;
  readonly #sent: Counter;
  readonly #dropped: Counter;
  readonly #failures: Counter;
  #inner: { readonly exporter: SpanExporter; readonly url: string } | undefined = undefined;
  #waiting = 0;
  #sending = 0;
  #isWorking = true;

  constructor(options: SpanExportsOptions, findTarget: () => ExportTarget | undefined, maxWaiting: number) {
    this.#findTarget = findTarget;
    this.#onState = options.onState;
    this.#maxWaiting = maxWaiting;
    this.#sent = options.stats.counter("tracing.opentelemetry.spans_sent");
    this.#dropped = options.stats.counter("tracing.opentelemetry.spans_dropped");
    this.#failures = options.stats.counter("tracing.opentelemetry.export_failures");
  }

  /** Whether the processor's queue has room for one more span; counts a span that finds none. */
  admit(): boolean {
    if (this.#waiting >= this.#maxWaiting) {
      this.#dropped.inc();
      return false;
    }
    this.#waiting++;
    return true;
  }

  /** What has not been sent is lost. */
  giveUp(): void {
    this.#dropped.add(this.#waiting + this.#sending);
    this.#waiting = 0;
    this.#sending = 0;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#waiting -= spans.length;
    this.#sending += spans.length;
    const exporter = this.#current();
    if (exporter === undefined) {
      this.#finish(spans.length, new Error("the collector's cluster has no address"));
      done({ code: ExportResultCode.FAILED });
      return;
    }
    exporter.export(spans, (result) => {
      const failed = result.code !== ExportResultCode.SUCCESS;
      this.#finish(spans.length, failed ? (result.error ?? new Error("export failed")) : undefined);
      done(result);
    });
  }

  async forceFlush(): Promise<void> {
    await this.#inner?.exporter.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    await this.#inner?.exporter.shutdown();
  }

  #current(): SpanExporter | undefined {
    const target = this.#findTarget();
    if (target === undefined) {
      return undefined;
    }
    if (this.#inner?.url !== target.url) {
      this.#inner?.exporter.shutdown().catch(() => undefined);
      this.#inner = { exporter: buildExporter(target), url: target.url };
    }
    return this.#inner.exporter;
  }

  #finish(count: number, error: Error | undefined): void {
    this.#sending = Math.max(0, this.#sending - count);
    if (error === undefined) {
      this.#sent.add(count);
    } else {
      this.#dropped.add(count);
      this.#failures.inc();
    }
    if (this.#isWorking !== (error === undefined)) {
      this.#isWorking = error === undefined;
      this.#onState(this.#isWorking, error?.message ?? "");
    }
  }
}

const spanSerializer = new SpanSerializer();
/** Our own bytes, the SDK's reading of the answer. */
const SERIALIZER: typeof ProtobufTraceSerializer = {
  // Only hook-spans.ts makes spans.
  serializeRequest: (spans) => spanSerializer.serialize(spans as FinishedSpan[]),
  deserializeResponse: (data) => ProtobufTraceSerializer.deserializeResponse(data),
};

/** The SDK's OTLP exporters over HTTP and gRPC, with our serializer. */
function buildExporter(target: ExportTarget): SpanExporter {
  const { url, timeoutMs: timeoutMillis } = target;
  if (target.protocol === "http") {
    const contentType = { "Content-Type": "application/x-protobuf" };
    const config = { url, headers: { ...target.headers }, timeoutMillis };
    const options = convertLegacyHttpOptions(config, "TRACES", "v1/traces", contentType);
    const helper = TraceExporterMetricsHelper;
    return new OTLPExporterBase(
      createOtlpHttpExportDelegate(options, SERIALIZER, "otlp_http_span_exporter", helper, undefined),
    );
  }
  // Headers of the environment reach gRPC's metadata inside the exporter; a provider has none.
  return new OTLPExporterBase(
    createOtlpGrpcExportDelegate(
      convertLegacyOtlpGrpcOptions({ url, timeoutMillis }, "TRACES"),
      SERIALIZER,
      "otlp_grpc_span_exporter",
      TraceExporterMetricsHelper,
      undefined,
      "TraceExportService",
      "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    ),
  );
}

function positive(text: string | undefined, otherwise: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : otherwise;
}
