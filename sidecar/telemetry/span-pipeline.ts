// Sends the spans of one queue to one collector, with the SDK's OTLP exporters: when there are enough for a request, or after
// a delay; one request at a time. Counts what becomes of them. Made by tracing.ts.

import { ExportResultCode } from "@opentelemetry/core";
import { OTLPExporterBase } from "@opentelemetry/otlp-exporter-base";
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from "@opentelemetry/otlp-exporter-base/node-http";
import { convertLegacyOtlpGrpcOptions, createOtlpGrpcExportDelegate } from "@opentelemetry/otlp-grpc-exporter-base";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { IExporterMetricsHelper, IExportTraceServiceResponse, ISerializer } from "@opentelemetry/otlp-transformer";
import type { Counter, StatsScope } from "../stats/scope.ts";
import type { ExportTarget } from "./export-target.ts";
import type { SpanPart } from "./span-batch.ts";
import type { SpanQueue, SpanRequest } from "./span-queue.ts";

export interface SpanPipelineOptions {
  readonly queue: SpanQueue;
  /** Where the collector is now; undefined while nobody knows. */
  readonly findTarget: () => ExportTarget | undefined;
  readonly stats: StatsScope;
  /** Called at the first failure after a success, and at the first success after a failure. */
  readonly onState: (isWorking: boolean, problem: string) => void;
  /** Spans of one request. */
  readonly maxExportBatchSize: number;
  /** How long a span waits for others. */
  readonly scheduledDelayMs: number;
  /** A request that has no answer by then has failed. */
  readonly exportTimeoutMs: number;
}

export class SpanPipeline {
  readonly #options: SpanPipelineOptions;
  readonly #sent: Counter;
  readonly #dropped: Counter;
  readonly #failures: Counter;
  #exporter: { readonly exporter: OTLPExporterBase<SpanRequest>; readonly url: string } | undefined = undefined;
  /** The request that has no answer yet. */
  #sending: SpanRequest | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #onSent: (() => void)[] = [];
  #isWorking = true;

  constructor(options: SpanPipelineOptions) {
    this.#options = options;
    this.#sent = options.stats.counter("tracing.opentelemetry.spans_sent");
    this.#dropped = options.stats.counter("tracing.opentelemetry.spans_dropped");
    this.#failures = options.stats.counter("tracing.opentelemetry.export_failures");
  }

  /** Takes a part; spans that find no room are dropped and counted. */
  add(part: SpanPart): void {
    const { queue } = this.#options;
    let from = 0;
    for (let added = -1; added !== 0 && from < part.ends.length; from += added) {
      added = queue.add(part, from);
      this.#sendFull();
    }
    this.#dropped.add(part.ends.length - from);
    this.#schedule();
  }

  /** Sends what waits now. */
  async flush(): Promise<void> {
    const { queue } = this.#options;
    // No more than waits now: spans may go on coming.
    let left = queue.size + (this.#sending?.count ?? 0);
    while (left > 0) {
      const waiting = queue.size;
      this.#send();
      const sending = this.#sending;
      if (sending === undefined) {
        // Where to is unknown: it failed at once.
        left -= Math.max(1, waiting - queue.size);
      } else {
        left -= sending.count;
        await new Promise<void>((resolve) => this.#onSent.push(resolve));
      }
    }
  }

  /** Sends what waits, and closes. */
  async shutdown(): Promise<void> {
    await this.flush();
    await this.#exporter?.exporter.shutdown();
  }

  /** What has not been sent is lost. */
  giveUp(): void {
    clearTimeout(this.#timer);
    this.#dropped.add(this.#options.queue.clear() + (this.#sending?.count ?? 0));
    this.#sending = undefined;
  }

  #schedule(): void {
    if (this.#timer === undefined && this.#sending === undefined && this.#options.queue.size > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#send();
      }, this.#options.scheduledDelayMs);
      this.#timer.unref();
    }
  }

  #sendFull(): void {
    while (this.#sending === undefined && this.#options.queue.size >= this.#options.maxExportBatchSize) {
      this.#send();
    }
  }

  #send(): void {
    if (this.#sending !== undefined) {
      return;
    }
    const request = this.#options.queue.take(this.#options.maxExportBatchSize);
    if (request === undefined) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const exporter = this.#current();
    if (exporter === undefined) {
      this.#count(request, new Error("the collector's cluster has no address"));
      return;
    }
    this.#sending = request;
    const { exportTimeoutMs } = this.#options;
    const late = setTimeout(() => {
      this.#finish(request, new Error(`no answer from the collector within ${exportTimeoutMs} ms`));
    }, exportTimeoutMs);
    late.unref();
    exporter.export(request, ({ code, error }) => {
      clearTimeout(late);
      this.#finish(request, code === ExportResultCode.SUCCESS ? undefined : (error ?? new Error("the export failed")));
    });
  }

  #finish(request: SpanRequest, error: Error | undefined): void {
    if (this.#sending !== request) {
      return;
    }
    this.#sending = undefined;
    if (error === undefined) {
      this.#options.queue.reuse(request);
    }
    this.#count(request, error);
    this.#sendFull();
    this.#schedule();
    for (const resolve of this.#onSent.splice(0)) {
      resolve();
    }
  }

  #count(request: SpanRequest, error: Error | undefined): void {
    if (error === undefined) {
      this.#sent.add(request.count);
    } else {
      this.#dropped.add(request.count);
      this.#failures.inc();
    }
    if (this.#isWorking !== (error === undefined)) {
      this.#isWorking = error === undefined;
      this.#options.onState(this.#isWorking, error?.message ?? "");
    }
  }

  #current(): OTLPExporterBase<SpanRequest> | undefined {
    const target = this.#options.findTarget();
    if (target === undefined) {
      return undefined;
    }
    if (this.#exporter?.url !== target.url) {
      this.#exporter?.exporter.shutdown().catch(() => undefined);
      this.#exporter = { exporter: buildExporter(target), url: target.url };
    }
    return this.#exporter.exporter;
  }
}

/** Our own bytes, the SDK's reading of the answer. */
const SERIALIZER: ISerializer<SpanRequest, IExportTraceServiceResponse> = {
  serializeRequest: ({ bytes }) => bytes,
  deserializeResponse: (data) => ProtobufTraceSerializer.deserializeResponse(data),
};
const COUNTING: IExporterMetricsHelper<SpanRequest> = { name: "span", countItems: ({ count }) => count };

/** The SDK's OTLP exporters over HTTP and gRPC. */
function buildExporter(target: ExportTarget): OTLPExporterBase<SpanRequest> {
  const { url, timeoutMs: timeoutMillis } = target;
  if (target.protocol === "http") {
    const contentType = { "Content-Type": "application/x-protobuf" };
    const config = { url, headers: { ...target.headers }, timeoutMillis };
    const options = convertLegacyHttpOptions(config, "TRACES", "v1/traces", contentType);
    return new OTLPExporterBase(
      createOtlpHttpExportDelegate(options, SERIALIZER, "otlp_http_span_exporter", COUNTING, undefined),
    );
  }
  // Headers of the environment reach gRPC's metadata inside the exporter; a provider has none.
  return new OTLPExporterBase(
    createOtlpGrpcExportDelegate(
      convertLegacyOtlpGrpcOptions({ url, timeoutMillis }, "TRACES"),
      SERIALIZER,
      "otlp_grpc_span_exporter",
      COUNTING,
      undefined,
      "TraceExportService",
      "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    ),
  );
}
