// What a filter chain decides about its HTTP/1 connections, compiled once from the connection manager's configuration.
// Made by whoever compiles listeners, read by connection.ts and request-head.ts.

import type { HttpConnectionManager } from "../../xds/model/listener.ts";
import type { AuthorityOptions } from "../http/authority.ts";
import type { H1Limits } from "../http/h1-parser.ts";
import type { BuiltReply } from "../http/local-reply.ts";
import type { PathOptions } from "../http/path.ts";
import type { ConnectionInfo, DownstreamStream, RequestSink } from "../http/stream.ts";
import type { TimerWheel } from "../http/timer-wheel.ts";
import type { DownstreamStats } from "./downstream-stats.ts";
import type { Rejection } from "./rejection.ts";

/** What all connections of a worker share. */
export interface WorkerContext {
  readonly wheel: TimerWheel;
  /** Every socket of the worker reads into it; its content lasts until the read callback returns. */
  readonly readBuffer: Buffer;
}

/** Where requests go. */
export interface StreamHandler {
  /**
   * A request has begun. The answer may be given before this returns. Nothing reaches the returned sink before that.
   */
  onStream(stream: DownstreamStream): RequestSink;
  /** The answer to a request that is refused before there is a stream, all its fields but Connection; undefined: the usual one. */
  rejectionReply?(rejection: Rejection, connection: ConnectionInfo): BuiltReply | undefined;
  /** A request was refused before there was a stream; for access logs. The reply has been sent. */
  onRejected?(rejection: Rejection, connection: ConnectionInfo): void;
}

export interface ConnectionOptions extends PathOptions, AuthorityOptions {
  readonly limits: H1Limits;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly enableTrailers: boolean;
  readonly allowAbsoluteUrl: boolean;
  /** Any token is a method; Envoy's `allow_custom_methods`. */
  readonly allowCustomMethods: boolean;
  readonly proxy100Continue: boolean;
  readonly headersWithUnderscores: "allow" | "reject_request" | "drop_header";
  /** Upgrade types (lower case) that are passed on; all others are ignored (RFC 9110 §7.8). */
  readonly upgrades: ReadonlySet<string>;
  /** Value of Server in replies to requests that never became a stream. */
  readonly serverName: string;
  /** Milliseconds; 0 turns a timeout off. */
  readonly idleTimeoutMs: number;
  /** From a request's first byte to the end of its head. */
  readonly headersTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  /** How long a closed connection is still read, so that the client can read its last response. */
  readonly delayedCloseTimeoutMs: number;
  /** 0 means unlimited. */
  readonly maxRequestsPerConnection: number;
  /** Unsent bytes from which the response's source is asked to wait. */
  readonly bufferLimitBytes: number;
  /** A client that has shut its sending side down still gets its response. Envoy takes that for a disconnect. */
  readonly keepsHalfClosed: boolean;
  readonly stats: DownstreamStats;
  readonly handler: StreamHandler;
}

const MAX_CHUNK_EXTENSION_BYTES = 16_384;

/** The options of a configured HTTP connection manager. */
export function connectionOptions(
  manager: HttpConnectionManager,
  bufferLimitBytes: number,
  stats: DownstreamStats,
  handler: StreamHandler,
): ConnectionOptions {
  return {
    normalizePath: manager.normalizePath,
    mergeSlashes: manager.mergeSlashes,
    escapedSlashes: manager.escapedSlashes,
    stripMatchingHostPort: manager.stripMatchingHostPort,
    stripAnyHostPort: manager.stripAnyHostPort,
    stripTrailingHostDot: manager.stripTrailingHostDot,
    limits: {
      maxHeadBytes: manager.maxRequestHeadersBytes,
      maxFields: manager.maxHeadersCount,
      maxChunkExtensionBytes: MAX_CHUNK_EXTENSION_BYTES,
    },
    acceptHttp10: manager.acceptHttp10,
    defaultHostForHttp10: manager.defaultHostForHttp10,
    enableTrailers: manager.enableTrailers,
    allowAbsoluteUrl: manager.allowAbsoluteUrl,
    allowCustomMethods: false,
    proxy100Continue: manager.proxy100Continue,
    headersWithUnderscores: manager.headersWithUnderscores,
    upgrades: new Set(
      manager.upgrades.filter((upgrade) => upgrade.enabled).map((upgrade) => upgrade.type.toLowerCase()),
    ),
    serverName: manager.serverName,
    idleTimeoutMs: manager.idleTimeoutMs,
    // Envoy's stream begins with the first byte, so without a timeout of its own the idle timeout of streams bounds a head.
    headersTimeoutMs:
      manager.requestHeadersTimeoutMs > 0 ? manager.requestHeadersTimeoutMs : manager.streamIdleTimeoutMs,
    maxConnectionDurationMs: manager.maxConnectionDurationMs,
    delayedCloseTimeoutMs: manager.delayedCloseTimeoutMs,
    maxRequestsPerConnection: manager.maxRequestsPerConnection,
    bufferLimitBytes,
    keepsHalfClosed: false,
    stats,
    handler,
  };
}
