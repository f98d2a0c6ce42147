// The operators of Envoy's substitution format strings, by name: whether they take arguments and a length, and how their
// value is read from StreamFacts. Source: Envoy's "Access logging" page. format.ts parses the strings and calls this table.
// Reading is the hot path of access logs: no allocation besides the text itself.

import { randomUUID } from "node:crypto";

import { ABSENT_OPERATORS } from "./absent-operators.ts";
import type { FieldRead, Operator } from "./format-operator.ts";
import { compileStartTime } from "./start-time.ts";
import { STATE_OPERATORS } from "./state-operators.ts";
import type { StreamFacts } from "./stream-facts.ts";

const RESPONSE_FLAG_NAMES: Readonly<Record<string, string>> = {
  DC: "DownstreamConnectionTermination",
  DF: "DnsResolutionFailed",
  DI: "DelayInjected",
  DO: "DropOverload",
  DPE: "DownstreamProtocolError",
  DR: "DownstreamRemoteReset",
  DT: "DurationTimeout",
  FI: "FaultInjected",
  IH: "InvalidEnvoyRequestHeaders",
  LH: "FailedLocalHealthCheck",
  LR: "LocalReset",
  NC: "NoClusterFound",
  NFCF: "NoFilterConfigFound",
  NR: "NoRouteFound",
  OM: "OverloadManagerTerminated",
  RFCF: "ResponseFromCacheFilter",
  RL: "RateLimited",
  RLSE: "RateLimitServiceError",
  SI: "StreamIdleTimeout",
  UAEX: "UnauthorizedExternalService",
  UC: "UpstreamConnectionTermination",
  UDO: "UnconditionalDropOverload",
  UF: "UpstreamConnectionFailure",
  UH: "NoHealthyUpstream",
  UMSDR: "UpstreamMaxStreamDurationReached",
  UO: "UpstreamOverflow",
  UPE: "UpstreamProtocolError",
  UR: "UpstreamRemoteReset",
  URX: "UpstreamRetryLimitExceeded",
  UT: "UpstreamRequestTimeout",
};

function field(read: FieldRead): Operator {
  return { args: "none", length: false, compile: () => read };
}

function headers(read: (facts: StreamFacts, name: string) => string | undefined): Operator {
  return {
    args: "required",
    length: true,
    compile(args) {
      const names = args.toLowerCase().split("?");
      const [main, alternative] = names;
      if (names.length > 2 || main === undefined || main === "" || alternative === "") {
        return "takes a header name and at most one alternative after ?";
      }
      if (alternative === undefined) {
        return (facts) => read(facts, main);
      }
      return (facts) => read(facts, main) ?? read(facts, alternative);
    },
  };
}

function requestField({ requestHead: request }: StreamFacts, name: string): string | undefined {
  switch (name) {
    case ":method":
      return text(request.method);
    case ":path":
      return text(request.path);
    case ":authority":
    case "host":
      return text(request.authority);
    case ":scheme":
      return text(request.scheme);
    default:
      return request.headers.get(name);
  }
}

function responseField({ responseHead: response }: StreamFacts, name: string): string | undefined {
  return name === ":status" ? response && String(response.status) : response?.headers.get(name);
}

function text(value: string): string | undefined {
  return value === "" ? undefined : value;
}

/** Whole milliseconds; undefined when `to` has not come. */
function between(from: number, to: number): number | undefined {
  return to === 0 ? undefined : Math.max(0, Math.floor(to - from));
}

/** Start until the request had gone upstream: the later of its head going out and its end coming in. */
function requestTxDuration({ startedAt, upstreamSentAt, requestEndedAt }: StreamFacts): number | undefined {
  return upstreamSentAt === 0 || requestEndedAt === 0
    ? undefined
    : between(startedAt, Math.max(upstreamSentAt, requestEndedAt));
}

/** A plugin's reply may have none, which is a value too, as in Envoy. */
function detailsOf({ responseCodeDetails, status }: StreamFacts): string | undefined {
  return responseCodeDetails === "" && status === 0 ? undefined : responseCodeDetails;
}

/** Whole milliseconds, until now for a stream that is not over. */
export function durationOf({ startedAt, endedAt }: StreamFacts): number {
  return Math.max(0, Math.floor((endedAt === 0 ? performance.now() : endedAt) - startedAt));
}

function hostPort(address: string, port: number): string | undefined {
  if (address === "") {
    return undefined;
  }
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `address` of `address:port`; the brackets of IPv6 go too. */
function addressOf(endpoint: string): string | undefined {
  const colon = endpoint.lastIndexOf(":");
  const address = colon < 0 ? endpoint : endpoint.slice(0, colon);
  return text(address.startsWith("[") ? address.slice(1, -1) : address);
}

function portOf(endpoint: string): number | undefined {
  const colon = endpoint.lastIndexOf(":");
  return colon < 0 ? undefined : Number(endpoint.slice(colon + 1));
}

function longFlags(flags: string): string {
  return flags === ""
    ? "-"
    : flags
        .split(",")
        .map((flag) => RESPONSE_FLAG_NAMES[flag] ?? flag)
        .join(",");
}

/** Names that Envoy writes for a flag, for checking configuration; the short ones are the keys. */
export function isResponseFlag(flag: string): boolean {
  return Object.hasOwn(RESPONSE_FLAG_NAMES, flag);
}

function timeOperator(args: string, timeOf: (facts: StreamFacts) => number): FieldRead | string {
  const write = compileStartTime(args);
  return write === undefined ? "holds a time directive that is not supported" : (facts) => write(timeOf(facts));
}

const startTime: Operator = {
  args: "optional",
  length: false,
  compile: (args) => timeOperator(args, (facts) => performance.timeOrigin + facts.startedAt),
};

/** An address without its port. Envoy's argument, a mask, is not supported. */
function address(read: FieldRead): Operator {
  return {
    args: "optional",
    length: false,
    compile: (args) => (args === "" ? read : "cannot mask addresses: leave the argument out"),
  };
}

const GRPC_STATUS_NAMES: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

/** From the trailers, else from a response without any. */
function grpcStatus({ responseTrailers, responseHead }: StreamFacts): number | undefined {
  const status = responseTrailers?.get("grpc-status") ?? responseHead?.headers.get("grpc-status");
  return status !== undefined && /^\d{1,5}$/.test(status) ? Number(status) : undefined;
}

function compileGrpcStatus(args: string): FieldRead | string {
  switch (args) {
    case "NUMBER":
      return grpcStatus;
    case "":
    case "CAMEL_STRING":
    case "SNAKE_STRING": {
      const names = args === "SNAKE_STRING" ? GRPC_STATUS_NAMES.map(snakeCase) : GRPC_STATUS_NAMES;
      return (facts) => {
        const status = grpcStatus(facts);
        return status === undefined ? undefined : (names[status] ?? String(status));
      };
    }
    default:
      return "takes CAMEL_STRING, SNAKE_STRING or NUMBER";
  }
}

function snakeCase(name: string): string {
  return name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

function originalPath({ requestHead }: StreamFacts): string {
  return requestHead.headers.get("x-envoy-original-path") ?? requestHead.path;
}

/** WQ or NQ (with or without query), then ORIG, PATH or ORIG_OR_PATH. */
function compilePathOperator(args: string): FieldRead | string {
  const found = /^(WQ|NQ)?(?::(ORIG|PATH|ORIG_OR_PATH))?$/.exec(args);
  if (found === null) {
    return "takes WQ or NQ, then perhaps :ORIG, :PATH or :ORIG_OR_PATH";
  }
  const read: (facts: StreamFacts) => string =
    found[2] === "PATH"
      ? (facts) => facts.requestHead.path
      : found[2] === "ORIG"
        ? (facts) => facts.requestHead.headers.get("x-envoy-original-path") ?? ""
        : originalPath;
  return found[1] === "NQ" ? (facts) => text(read(facts).split("?", 1)[0] ?? "") : (facts) => text(read(facts));
}

/** SNI_ONLY, SNI_FIRST or HOST_FIRST, then ORIG, HOST or ORIG_OR_HOST. */
function compileServerName(args: string): FieldRead | string {
  const found = /^(?:|(SNI_ONLY|SNI_FIRST|HOST_FIRST)(?::(|ORIG|HOST|ORIG_OR_HOST))?)$/.exec(args);
  if (found === null) {
    return "takes SNI_ONLY, SNI_FIRST or HOST_FIRST, then perhaps :ORIG, :HOST or :ORIG_OR_HOST";
  }
  const [, order = "SNI_ONLY", from] = found;
  const server: FieldRead = (facts) => text(facts.requestedServerName);
  const original: FieldRead = ({ requestHead }) => requestHead.headers.get("x-envoy-original-host");
  const own: FieldRead = ({ requestHead }) => text(requestHead.authority);
  const host: FieldRead = from === "ORIG" ? original : from === "HOST" ? own : (facts) => original(facts) ?? own(facts);
  if (order === "SNI_ONLY") {
    return server;
  }
  const [first, second] = order === "SNI_FIRST" ? [server, host] : [host, server];
  return (facts) => first(facts) ?? second(facts);
}

function queryOf(facts: StreamFacts): string | undefined {
  const path = originalPath(facts);
  const query = path.indexOf("?");
  return query < 0 ? undefined : text(path.slice(query + 1));
}

function withoutQuery(value: string | undefined): string | undefined {
  const query = value?.indexOf("?") ?? -1;
  return query < 0 ? value : value?.slice(0, query);
}

function parameterOf(query: string | undefined, name: string): string | undefined {
  for (const part of query?.split("&") ?? []) {
    const equals = part.indexOf("=");
    if ((equals < 0 ? part : part.slice(0, equals)) === name) {
      return equals < 0 ? undefined : text(part.slice(equals + 1));
    }
  }
  return undefined;
}

export const OPERATORS: Readonly<Record<string, Operator>> = {
  REQ: headers(requestField),
  RESP: headers(responseField),
  TRAILER: headers((facts, name) => facts.responseTrailers?.get(name)),
  REQUEST_HEADER: headers(requestField),
  // Of Envoy's formatter extension of that name; here without it, too.
  REQ_WITHOUT_QUERY: headers((facts, name) => withoutQuery(requestField(facts, name))),
  RESPONSE_HEADER: headers(responseField),
  RESPONSE_TRAILER: headers((facts, name) => facts.responseTrailers?.get(name)),

  START_TIME: startTime,
  START_TIME_LOCAL: startTime,
  EMIT_TIME: {
    args: "optional",
    length: false,
    compile: (args) => timeOperator(args, () => performance.timeOrigin + performance.now()),
  },
  PROTOCOL: field((facts) => text(facts.protocol)),
  // Until the head is sent: what is to be sent. A stream that is over has what was sent.
  RESPONSE_CODE: field((facts) =>
    facts.status === 0 && facts.endedAt === 0 ? (facts.responseHead?.status ?? 0) : facts.status,
  ),
  RESPONSE_CODE_DETAILS: {
    args: "optional",
    length: false,
    compile: (args) => (args === "ALLOW_WHITESPACES" ? detailsOf : (facts) => detailsOf(facts)?.replaceAll(/\s/g, "_")),
  },
  CONNECTION_TERMINATION_DETAILS: field((facts) => text(facts.connectionTerminationDetails)),
  // No flag is a value too, as in Envoy.
  RESPONSE_FLAGS: field((facts) => text(facts.responseFlags) ?? "-"),
  RESPONSE_FLAGS_LONG: field((facts) => longFlags(facts.responseFlags)),

  BYTES_RECEIVED: field((facts) => facts.requestBodyBytes),
  BYTES_SENT: field((facts) => facts.responseBodyBytes),
  REQUEST_HEADERS_BYTES: field((facts) => facts.requestHeaderBytes),
  RESPONSE_HEADERS_BYTES: field((facts) => facts.responseHeaderBytes),
  RESPONSE_TRAILERS_BYTES: field((facts) => facts.responseTrailers?.byteSize ?? 0),
  DOWNSTREAM_HEADER_BYTES_RECEIVED: field((facts) => facts.requestHeaderBytes),
  DOWNSTREAM_HEADER_BYTES_SENT: field((facts) => facts.responseHeaderBytes),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: field((facts) => facts.requestHeaderBytes + facts.requestBodyBytes),
  DOWNSTREAM_WIRE_BYTES_SENT: field((facts) => facts.responseHeaderBytes + facts.responseBodyBytes),

  DURATION: field(durationOf),
  REQUEST_DURATION: field((facts) => between(facts.startedAt, facts.requestEndedAt)),
  REQUEST_TX_DURATION: field(requestTxDuration),
  RESPONSE_DURATION: field((facts) => between(facts.startedAt, facts.upstreamFirstByteAt)),
  RESPONSE_TX_DURATION: field((facts) =>
    facts.upstreamFirstByteAt === 0 ? undefined : between(facts.upstreamFirstByteAt, facts.endedAt),
  ),

  UPSTREAM_HOST: field((facts) => text(facts.upstreamAddress)),
  UPSTREAM_HOST_NAME: field((facts) => text(facts.upstreamAddress)),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: field((facts) => addressOf(facts.upstreamAddress)),
  UPSTREAM_REMOTE_ADDRESS: field((facts) => text(facts.upstreamAddress)),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: address((facts) => addressOf(facts.upstreamAddress)),
  UPSTREAM_REMOTE_PORT: field((facts) => portOf(facts.upstreamAddress)),
  UPSTREAM_LOCAL_ADDRESS: field((facts) => text(facts.upstreamLocalAddress)),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: address((facts) => addressOf(facts.upstreamLocalAddress)),
  UPSTREAM_LOCAL_PORT: field((facts) => portOf(facts.upstreamLocalAddress)),
  UPSTREAM_CLUSTER: field((facts) => text(facts.clusterName)),
  UPSTREAM_CLUSTER_RAW: field((facts) => text(facts.clusterName)),
  UPSTREAM_TRANSPORT_FAILURE_REASON: field((facts) => text(facts.upstreamFailure.replaceAll(/\s/g, "_"))),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: field((facts) => facts.attempts),

  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: field(({ connection: { direct, localAddress, localPort } }) =>
    hostPort(direct?.address ?? localAddress, direct?.port ?? localPort),
  ),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: address(({ connection: { direct, localAddress } }) =>
    text(direct?.address ?? localAddress),
  ),
  DOWNSTREAM_DIRECT_LOCAL_PORT: field(({ connection: { direct, localPort } }) => direct?.port ?? localPort),
  DOWNSTREAM_REMOTE_ADDRESS: field((facts) => hostPort(facts.remoteAddress, facts.remotePort)),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: address((facts) => text(facts.remoteAddress)),
  DOWNSTREAM_REMOTE_PORT: field((facts) => facts.remotePort),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: field(({ connection }) =>
    hostPort(connection.remoteAddress, connection.remotePort),
  ),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: address((facts) => text(facts.connection.remoteAddress)),
  DOWNSTREAM_DIRECT_REMOTE_PORT: field((facts) => facts.connection.remotePort),
  DOWNSTREAM_LOCAL_ADDRESS: field(({ connection }) => hostPort(connection.localAddress, connection.localPort)),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: address((facts) => text(facts.connection.localAddress)),
  DOWNSTREAM_LOCAL_PORT: field((facts) => facts.connection.localPort),
  CONNECTION_ID: field((facts) => facts.connection.id),
  REQUESTED_SERVER_NAME: { args: "optional", length: false, compile: compileServerName },

  ROUTE_NAME: field((facts) => text(facts.routeName)),
  STREAM_ID: field((facts) => facts.requestHead.headers.get("x-request-id")),
  TRACE_ID: field((facts) => text(facts.traceId)),
  SPAN_ID: field((facts) => text(facts.spanId)),
  ACCESS_LOG_TYPE: field((facts) => facts.accessLogType ?? "DownstreamEnd"),

  HOSTNAME: { args: "none", length: false, compile: (_, context) => () => text(context.hostname) },
  ENVIRONMENT: {
    args: "required",
    length: true,
    compile: (args, context) => () => context.environment[args],
  },
  GRPC_STATUS: {
    args: "optional",
    length: false,
    compile: compileGrpcStatus,
  },
  GRPC_STATUS_NUMBER: field(grpcStatus),
  LOCAL_REPLY_BODY: { args: "none", length: false, verbatim: true, compile: () => (facts) => facts.localReplyBody },
  LISTENER_NAME: field((facts) => text(facts.listenerName)),
  FILTER_CHAIN_NAME: field((facts) => text(facts.filterChainName)),
  UNIQUE_ID: field(() => randomUUID()),
  PATH: { args: "optional", length: true, compile: compilePathOperator },
  QUERY_PARAMS: {
    args: "optional",
    length: true,
    compile: (args) => (args === "" || args === "ORIG" ? queryOf : "takes ORIG or nothing"),
  },
  QUERY_PARAM: {
    args: "required",
    length: true,
    compile: (args) => (facts) => parameterOf(queryOf(facts), args),
  },
  ...STATE_OPERATORS,
  ...ABSENT_OPERATORS,
};
