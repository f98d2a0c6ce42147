// What plugins name as the target of a gRPC call: envoy.config.core.v3.GrpcService, serialized, or a cluster's bare name.
// Guests write it, so everything is checked. Called by hostcalls/grpc-call.ts.

import { Buffer } from "node:buffer";
import { MAX_PAIRS } from "./abi/constants.ts";
import { isFieldName, isFieldValue, lowerName } from "./field-syntax.ts";
import { readFields, repeatedBytes } from "./proto-fields.ts";

export interface GrpcTarget {
  readonly cluster: string;
  /** Empty: none given. */
  readonly authority: string;
  /** Flat pairs, before the plugin's own. */
  readonly metadata: readonly string[];
  /** 0: none given. */
  readonly maxMessageBytes: number;
}

/** Field numbers of the messages below. */
const GrpcService = { envoyGrpc: 1, googleGrpc: 2, initialMetadata: 5 } as const;
const EnvoyGrpc = { clusterName: 1, authority: 2, maxReceiveMessageLength: 4 } as const;
const HeaderValue = { key: 1, value: 2, rawValue: 3 } as const;
const UInt32Value = { value: 1 } as const;

const NOTHING = new Uint8Array(0);

/**
 * The target, or why there is none. "not-a-service": the bytes are no GrpcService that names a target, so that they may be a
 * cluster's name (Envoy 1.40 ends its process on those that parse and name none, like "h1"). "unsupported": google_grpc.
 */
export function readGrpcService(bytes: Uint8Array): GrpcTarget | "not-a-service" | "unsupported" {
  const service = readFields(bytes);
  const pairs = service === undefined ? undefined : repeatedBytes(bytes, GrpcService.initialMetadata);
  if (service === undefined || pairs === undefined) return "not-a-service";
  const envoyGrpc = service.bytes.get(GrpcService.envoyGrpc);
  if (envoyGrpc === undefined) return service.bytes.has(GrpcService.googleGrpc) ? "unsupported" : "not-a-service";
  const fields = readFields(envoyGrpc);
  const limit = readFields(fields?.bytes.get(EnvoyGrpc.maxReceiveMessageLength) ?? NOTHING);
  const metadata = readMetadata(pairs);
  if (fields === undefined || limit === undefined || metadata === undefined) return "not-a-service";
  const authority = text(fields.bytes.get(EnvoyGrpc.authority));
  if (!isFieldValue(authority)) return "not-a-service";
  return {
    cluster: Buffer.from(fields.bytes.get(EnvoyGrpc.clusterName) ?? NOTHING).toString("utf8"),
    authority,
    metadata,
    maxMessageBytes: limit.numbers.get(UInt32Value.value) ?? 0,
  };
}

function readMetadata(messages: readonly Uint8Array[]): string[] | undefined {
  if (messages.length > MAX_PAIRS) return undefined;
  const pairs: string[] = [];
  for (const message of messages) {
    const fields = readFields(message);
    if (fields === undefined) return undefined;
    const name = text(fields.bytes.get(HeaderValue.key));
    const value = text(fields.bytes.get(HeaderValue.value) ?? fields.bytes.get(HeaderValue.rawValue));
    if (!isFieldName(name) || !isFieldValue(value)) return undefined;
    pairs.push(lowerName(name), value);
  }
  return pairs;
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? NOTHING).toString("latin1");
}
