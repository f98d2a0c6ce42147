// Sends spans from the main thread: what workers encoded (span-batch.ts) waits in a queue for each place where spans go, and
// span-pipeline.ts has it carried there. Made by supervisor.ts. Nothing here is on a request's way.
// Bounded: a full queue and an absent collector drop spans and count them.

import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import type { TracingProvider } from "../../xds/model/tracing.ts";
import type { Counter, StatsScope } from "../stats/scope.ts";
import { resourceAttributes, targetFromEnvironment, targetOfProvider } from "./export-target.ts";
import type { CollectorEndpoint, Environment, ExportTarget } from "./export-target.ts";
import { AttributeKey, OtlpWriter } from "./otlp-writer.ts";
import type { SpanBatch } from "./span-batch.ts";
import { SpanPipeline } from "./span-pipeline.ts";
import { SpanQueue } from "./span-queue.ts";

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
  readonly version: string;
}

/** Spans that wait for one exporter; OTEL_BSP_MAX_QUEUE_SIZE. The SDK's 2,048 are little more than one worker's batch. */
const MAX_QUEUE_SIZE = 16_384;
/** Spans in one request to the collector; OTEL_BSP_MAX_EXPORT_BATCH_SIZE. About 500 KB, below gRPC's 4 MiB. */
const MAX_EXPORT_BATCH_SIZE = 1024;
/** OTEL_BSP_SCHEDULE_DELAY; a second, so that somebody who looks for a trace finds it. */
const SCHEDULE_DELAY_MS = 1000;
const EXPORT_TIMEOUT_MS = 30_000;
/** Places that spans can go to at once; more are dropped. */
const MAX_PIPELINES = 16;

export class SpanExports {
  readonly #options: SpanExportsOptions;
  readonly #dropped: Counter;
  /** By provider as JSON; empty for the environment's. */
  readonly #pipelines = new Map<string, SpanPipeline | undefined>();
  /** By thread, then by the provider's number there. */
  readonly #owners = new Map<string, Map<number, SpanPipeline | undefined>>();
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
    for (const part of batch.parts) {
      const pipeline = providers.get(part.provider);
      if (pipeline === undefined || this.#isShutDown) {
        this.#dropped.add(part.ends.length);
      } else {
        pipeline.add(part);
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
    await Promise.allSettled(this.#active().map((pipeline) => pipeline.flush()));
  }

  /** Sends what is waiting and closes; what is not sent after `deadlineMs` is lost and counted. Never rejects. */
  async shutdown(deadlineMs: number): Promise<void> {
    this.#isShutDown = true;
    const closing = Promise.allSettled(this.#active().map((pipeline) => pipeline.shutdown()));
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([closing, deadline]);
    clearTimeout(timer);
    for (const pipeline of this.#active()) {
      pipeline.giveUp();
    }
  }

  #active(): SpanPipeline[] {
    return [...this.#pipelines.values()].filter((pipeline) => pipeline !== undefined);
  }

  #pipelineOf(provider: TracingProvider | undefined): SpanPipeline | undefined {
    const key = JSON.stringify(provider) ?? "";
    if (this.#pipelines.has(key)) {
      return this.#pipelines.get(key);
    }
    const pipeline = this.#pipelines.size < MAX_PIPELINES ? this.#newPipeline(provider) : undefined;
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  #newPipeline(provider: TracingProvider | undefined): SpanPipeline | undefined {
    const { environment, resolveCluster, serviceName, version } = this.#options;
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
    const resource = defaultResource().merge(
      resourceFromAttributes(resourceAttributes(environment, provider, serviceName)),
    );
    return new SpanPipeline({
      queue: new SpanQueue(maxQueueSize, encodeResource(resource.attributes), encodeScope("outrigger", version)),
      findTarget,
      stats: this.#options.stats,
      onState: this.#options.onState,
      maxExportBatchSize: Math.min(
        maxQueueSize,
        positive(environment["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], MAX_EXPORT_BATCH_SIZE),
      ),
      scheduledDelayMs: positive(environment["OTEL_BSP_SCHEDULE_DELAY"], SCHEDULE_DELAY_MS),
      exportTimeoutMs: positive(environment["OTEL_BSP_EXPORT_TIMEOUT"], EXPORT_TIMEOUT_MS),
    });
  }
}

/** Whether the environment names a collector: what workers must know to trace without a provider. */
export function environmentExports(environment: Environment): boolean {
  return targetFromEnvironment(environment) !== undefined;
}

/** Field 1 of ResourceSpans. Attributes of other types than text, number and boolean do not occur. */
function encodeResource(attributes: Readonly<Record<string, unknown>>): Uint8Array {
  const to = new OtlpWriter(new Uint8Array(1024));
  const resource = to.open(0x0a);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      to.attribute(0x0a, new AttributeKey(name), value);
    }
  }
  to.close(resource);
  return to.buffer.slice(0, to.at);
}

/** Field 1 of ScopeSpans. */
function encodeScope(name: string, version: string): Uint8Array {
  const to = new OtlpWriter(new Uint8Array(64));
  const scope = to.open(0x0a);
  to.text(0x0a, name);
  to.text(0x12, version);
  to.close(scope);
  return to.buffer.slice(0, to.at);
}

function positive(text: string | undefined, otherwise: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : otherwise;
}
