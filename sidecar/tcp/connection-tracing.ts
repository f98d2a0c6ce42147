// The trace of a TCP connection that has plugins: one span for the connection, with those of its callbacks under it. Which
// connections are sampled and where spans go says the OTEL_* environment: no filter before HTTP has a tracing configuration.
// Made once by worker.ts.

import type { StreamInfo } from "../filter/stream-info.ts";
import { HeaderMap } from "../http/headers.ts";
import { RequestHead } from "../http/message.ts";
import type { RequestTracing } from "../telemetry/request-tracing.ts";
import { CONNECTION_METHOD, type StreamTrace } from "../telemetry/stream-trace.ts";
import type { TraceRecorder } from "../telemetry/trace-recorder.ts";

const HEAD = new RequestHead(CONNECTION_METHOD, "", "", "", new HeaderMap());

export class ConnectionTracing {
  readonly #recorder: TraceRecorder;
  readonly #tracing: RequestTracing;

  constructor(recorder: TraceRecorder, tracing: RequestTracing) {
    this.#recorder = recorder;
    this.#tracing = tracing;
  }

  /** Milliseconds of `performance.now()`. The trace is the caller's until `finish`. */
  begin(startedAt: number): StreamTrace {
    const trace = this.#recorder.begin(HEAD, startedAt);
    this.#tracing.start(trace, HEAD.headers, false);
    return trace;
  }

  /** The connection is over, and its plugins' last callbacks have run. */
  finish(trace: StreamTrace, info: StreamInfo): void {
    this.#recorder.finish(trace, info);
  }
}
