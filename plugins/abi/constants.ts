// The numbers of the Proxy-Wasm ABI (0.1.0, 0.2.0, 0.2.1) as constant objects. Data only.
// Source: proxy-wasm/spec and proxy-wasm-cpp-host include/proxy-wasm/proxy_wasm_enums.h.

/** What a host function answers. */
export const Status = {
  Ok: 0,
  NotFound: 1,
  BadArgument: 2,
  SerializationFailure: 3,
  ParseFailure: 4,
  BadExpression: 5,
  InvalidMemoryAccess: 6,
  Empty: 7,
  CasMismatch: 8,
  ResultMismatch: 9,
  InternalFailure: 10,
  BrokenConnection: 11,
  Unimplemented: 12,
} as const;

/** Status names by number, for logs and transcripts. */
export const STATUS_NAMES: readonly string[] = Object.keys(Status);

export const LogLevel = { Trace: 0, Debug: 1, Info: 2, Warn: 3, Error: 4, Critical: 5 } as const;

export const MapType = {
  HttpRequestHeaders: 0,
  HttpRequestTrailers: 1,
  HttpResponseHeaders: 2,
  HttpResponseTrailers: 3,
  GrpcReceiveInitialMetadata: 4,
  GrpcReceiveTrailingMetadata: 5,
  HttpCallResponseHeaders: 6,
  HttpCallResponseTrailers: 7,
} as const;

export const BufferType = {
  HttpRequestBody: 0,
  HttpResponseBody: 1,
  DownstreamData: 2,
  UpstreamData: 3,
  HttpCallResponseBody: 4,
  GrpcReceiveBuffer: 5,
  VmConfiguration: 6,
  PluginConfiguration: 7,
  CallData: 8,
} as const;

export const StreamType = { HttpRequest: 0, HttpResponse: 1, Downstream: 2, Upstream: 3 } as const;

export const MetricType = { Counter: 0, Gauge: 1, Histogram: 2 } as const;

/** What HttpContext answers for a headers callback; Envoy's FilterHeadersStatus. */
export const HeadersStatus = {
  Continue: 0,
  /** Headers are held, body callbacks are still delivered. */
  StopIteration: 1,
  ContinueAndEndStream: 2,
  /** Everything is held; the body is buffered up to the limit. */
  StopAllIterationAndBuffer: 3,
  /** Everything is held; the sender is slowed down. */
  StopAllIterationAndWatermark: 4,
} as const;

/** What HttpContext answers for a body callback; Envoy's FilterDataStatus. */
export const DataStatus = {
  Continue: 0,
  /** Held and buffered: the next callback is offered everything so far. */
  StopIterationAndBuffer: 1,
  /** Held, the sender is slowed down. */
  StopIterationAndWatermark: 2,
  /** Held; this chunk is dropped from the stream. */
  StopIterationNoBuffer: 3,
} as const;

/** What HttpContext answers for a trailers callback; Envoy's FilterTrailersStatus. */
export const TrailersStatus = { Continue: 0, StopIteration: 1 } as const;

/** WASI errno values that the host answers (wasi_snapshot_preview1). */
export const Errno = {
  Success: 0,
  BadF: 8,
  NotDir: 20,
  Fault: 21,
  Inval: 28,
  NoEnt: 44,
  NoSys: 52,
  NotSup: 58,
  NotCapable: 76,
} as const;

/** proxy-wasm-cpp-host limits.h: more is refused. */
export const MAX_PAIRS_BYTES = 1024 * 1024;
export const MAX_PAIRS = 1024;
export const MAX_RANDOM_BYTES = 64 * 1024;

export type AbiVersion = "0.1.0" | "0.2.0" | "0.2.1";
