// An OpenTelemetry collector that tests look into: OTLP over HTTP and gRPC on ports of its own, by @elastic/mockotlpserver.
// At most one of them in a process: the package tells every server about every request.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { EventLog } from "./events.ts";

/** A span as the package normalises it: ids in hex, 64-bit times as texts, attributes as an object. */
export interface CollectedSpan {
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status?: { readonly code?: unknown; readonly message?: string };
  readonly events?: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly resource: Readonly<Record<string, unknown>>;
}

interface MockServer {
  start(): Promise<void>;
  close(): Promise<void>;
  readonly httpUrl: URL | string;
  readonly grpcUrl: URL | string;
}

/** The part of the package that is used here; it has no types. */
interface MockPackage {
  readonly MockOtlpServer: new (options: object) => MockServer;
  readonly normalizeTrace: (trace: unknown) => {
    readonly resourceSpans: readonly {
      readonly resource: { readonly attributes: CollectedSpan["resource"] };
      readonly scopeSpans: readonly { readonly spans: readonly Omit<CollectedSpan, "resource">[] }[];
    }[];
  };
}

const mock = createRequire(import.meta.url)("@elastic/mockotlpserver") as MockPackage;

export class OtlpCollector implements AsyncDisposable {
  readonly spans = new EventLog<CollectedSpan>();
  readonly #server: MockServer;

  private constructor() {
    this.#server = new mock.MockOtlpServer({
      services: ["http", "grpc"],
      httpHostname: "127.0.0.1",
      grpcHostname: "127.0.0.1",
      httpPort: 0,
      grpcPort: 0,
      logLevel: "warn",
      onTrace: (trace: unknown) => {
        for (const { resource, scopeSpans } of mock.normalizeTrace(trace).resourceSpans) {
          for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
            this.spans.push({ ...span, resource: resource.attributes });
          }
        }
      },
    });
  }

  static async start(): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    await collector.#server.start();
    return collector;
  }

  get httpPort(): number {
    return Number(new URL(this.#server.httpUrl).port);
  }

  get grpcPort(): number {
    return Number(new URL(this.#server.grpcUrl).port);
  }

  /** The spans of one trace, once `count` of them have come. */
  async trace(traceId: string, count: number): Promise<readonly CollectedSpan[]> {
    const ofTrace = (): CollectedSpan[] => this.spans.all.filter((span) => span.traceId === traceId);
    await this.spans.first(`${count} spans of ${traceId}`, () => ofTrace().length >= count);
    return ofTrace();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.close();
  }
}

/** Fails when a span is not within its parent's times. */
export function assertWithin(child: CollectedSpan, parent: CollectedSpan): void {
  assert.equal(child.parentSpanId, parent.spanId, `${child.name} under ${parent.name}`);
  const [start, end, from, to] = [
    child.startTimeUnixNano,
    child.endTimeUnixNano,
    parent.startTimeUnixNano,
    parent.endTimeUnixNano,
  ].map(BigInt) as [bigint, bigint, bigint, bigint];
  assert.ok(start <= end, `${child.name} ends before it starts`);
  assert.ok(from <= start && end <= to, `${child.name} [${start}, ${end}] within ${parent.name} [${from}, ${to}]`);
}
