// What the embedder provides for the gRPC calls of plugins: it finds the cluster, frames messages and speaks HTTP/2.
// The host (grpc-callouts.ts) decides which callback an event becomes. Types only; part of ports.ts.
// Metadata is flat pairs, names in lower case, values one char a byte.

import type { ConnectionAccess, PluginIdentity, StreamAccess } from "./ports.ts";

/** One proxy_grpc_call or proxy_grpc_stream. All arrays and bytes belong to the embedder. */
export interface GrpcCall {
  readonly plugin: PluginIdentity;
  /** The token that the plugin gets; unique among the runtime's calls. Also in HookRecord.callTokens. */
  readonly token: number;
  /** The stream on whose behalf the call was made (effective context), undefined for a root context. For trace parents. */
  readonly stream: StreamAccess | ConnectionAccess | undefined;
  readonly cluster: string;
  /** Empty: the cluster's name, as Envoy has it. */
  readonly authority: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** No pseudo headers. */
  readonly metadata: readonly string[];
  /** The only message of a unary call; undefined: a stream, whose messages come by `send`. */
  readonly message: Uint8Array | undefined;
  /** Of a unary call; 0: no limit. */
  readonly timeoutMs: number;
  /** Largest message that may come, bytes; 0: the embedder's own limit. */
  readonly maxMessageBytes: number;
}

/**
 * Who hears of a call. Never called from inside `call`, `send`, `closeSend` or `cancel`, nor while a callback of the plugin
 * runs. Initial metadata come once and first, then messages, then trailing metadata, then `onClose`, once and last.
 */
export interface GrpcReceiver {
  /** The response's head, `:status` included; empty when there is none of its own (trailers only, or a failure). */
  onInitialMetadata(pairs: readonly string[]): void;
  /** One message, without its frame. The bytes belong to the receiver. */
  onMessage(message: Uint8Array): void;
  onTrailingMetadata(pairs: readonly string[]): void;
  /** `status`: 0 to 16, or what the server made up, as u32. The message is one char a byte, as it came. */
  onClose(status: number, message: string): void;
}

/** A call that was accepted. Its methods do nothing once it is over. */
export interface PendingGrpcCall {
  /** Sends a message of a stream. When there is no room the call ends, on a later turn, with ResourceExhausted. */
  send(message: Uint8Array, endStream: boolean): void;
  /** Nothing more will be sent. */
  closeSend(): void;
  /** Gives up; the receiver must not be called any more. */
  cancel(): void;
}

export interface GrpcCaller {
  /** Whether there is such a cluster now. */
  knows(cluster: string): boolean;
  /** Starts a call. "unavailable": the cluster is gone, or too many calls are under way. */
  call(call: GrpcCall, receiver: GrpcReceiver): PendingGrpcCall | "unavailable";
}
