// What format strings and access-log filters read of a stream: StreamInfo and what only they need.
// The proxy's stream implements it with plain fields; format-operators.ts reads it. Nothing is computed here. Types only.

import type { StreamInfo } from "../filter/stream-info.ts";

/** Empty strings mean "none" and are written as `-`. */
export interface StreamFacts extends StreamInfo {
  /** The client's address as far as it is trusted (x-forwarded-for); the peer's own when nothing else is known. */
  readonly remoteAddress: string;
  /** 0 when `remoteAddress` came from a header. */
  readonly remotePort: number;
  readonly requestedServerName: string;
  readonly connectionTerminationDetails: string;
  /** Lower-case hex. */
  readonly traceId: string;
  readonly spanId: string;
  /** Sampled for tracing. */
  readonly isTraced: boolean;
  /** `%ACCESS_LOG_TYPE%`; undefined: DownstreamEnd. */
  readonly accessLogType?: string | undefined;
  /** `%LOCAL_REPLY_BODY%`, as wire text: only while a body is made from it. */
  readonly localReplyBody?: string | undefined;
  /** A health check that the proxy answered or recognised. */
  readonly isHealthCheck: boolean;
}
