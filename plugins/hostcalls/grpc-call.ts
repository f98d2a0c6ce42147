// gRPC calls: unary (proxy_grpc_call) and streams (proxy_grpc_stream, _send, _close, _cancel). ABI section "gRPC calls".
// Callbacks come on later turns on the caller's root context (grpc-callouts.ts), where maps 4 and 5, buffer 5 and
// proxy_get_status hold what came.
//
// Statuses are those that the Rust SDK takes without a trap: Ok, ParseFailure and InternalFailure for a start. The first
// plugins, and AssemblyScript's SDK still, know no initial metadata: their imports have two parameters less.

import { Buffer } from "node:buffer";
import { Status } from "../abi/constants.ts";
import { isFieldValue } from "../field-syntax.ts";
import { type GrpcTarget, readGrpcService } from "../grpc-service.ts";
import { CallKind } from "../runtime-host.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { decodeFields } from "./http-call.ts";
import { Work } from "./work.ts";

/** A service's or a method's name, as far as it may stand in a path. */
const PATH_PART = /^[\x21-\x7e]+$/;
const NO_METADATA: readonly string[] = [];

interface Start {
  readonly target: GrpcTarget;
  readonly path: string;
  readonly metadata: readonly string[];
}

export function grpcCallFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  return {
    /**
     * Starts a unary call and writes its token. ParseFailure: the target is neither a GrpcService nor a known cluster.
     * InternalFailure: google_grpc, an unknown cluster in a GrpcService, names or metadata that cannot be sent, or too many
     * calls under way. Twelve parameters; without initial metadata ten.
     */
    proxy_grpc_call(
      service: number,
      serviceLength: number,
      name: number,
      nameLength: number,
      method: number,
      methodLength: number,
      a: number,
      b: number,
      c: number,
      d: number,
      e?: number,
      f?: number,
    ): number {
      const hasMetadata = f !== undefined;
      const [message, messageLength, timeoutMs, tokenOut] = hasMetadata ? [c, d, e ?? 0, f] : [a, b, c, d];
      const bytes = memory.copy(message >>> 0, messageLength >>> 0);
      const metadata = hasMetadata ? [a >>> 0, b >>> 0] : [0, 0];
      const start = readStart(vm, [service, serviceLength, name, nameLength, method, methodLength, ...metadata]);
      if (bytes === undefined || !memory.contains(tokenOut >>> 0, 4)) return Status.InvalidMemoryAccess;
      if (typeof start === "number") return start;
      return startCall(vm, "proxy_grpc_call", start, { message: bytes, timeoutMs: timeoutMs >>> 0, tokenOut });
    },

    /** Opens a stream and writes its token; statuses as above. Nine parameters; without initial metadata seven. */
    proxy_grpc_stream(
      service: number,
      serviceLength: number,
      name: number,
      nameLength: number,
      method: number,
      methodLength: number,
      a: number,
      b?: number,
      c?: number,
    ): number {
      const hasMetadata = c !== undefined;
      const tokenOut = hasMetadata ? c : a;
      const metadata = hasMetadata ? [a >>> 0, (b ?? 0) >>> 0] : [0, 0];
      const start = readStart(vm, [service, serviceLength, name, nameLength, method, methodLength, ...metadata]);
      if (!memory.contains(tokenOut >>> 0, 4)) return Status.InvalidMemoryAccess;
      if (typeof start === "number") return start;
      return startCall(vm, "proxy_grpc_stream", start, { message: undefined, timeoutMs: 0, tokenOut });
    },

    /** Sends one message. BadArgument: no stream, or the plugin has closed it; NotFound: no such stream. */
    proxy_grpc_send(token: number, message: number, messageLength: number, endStream: number): number {
      const bytes = memory.copy(message >>> 0, messageLength >>> 0);
      if (bytes === undefined) return Status.InvalidMemoryAccess;
      memory.work += Work.SendGrpcMessage;
      return vm.effective.root.grpc.send(token >>> 0, bytes, endStream !== 0);
    },

    /** Nothing more is sent on a stream; a unary call is cancelled. NotFound (Envoy also BadArgument): no such call. */
    proxy_grpc_close: (token: number): number => vm.effective.root.grpc.close(token >>> 0),

    /** Ends a call or a stream, and no callback comes any more. NotFound (Envoy also BadArgument): no such call. */
    proxy_grpc_cancel: (token: number): number => vm.effective.root.grpc.cancel(token >>> 0),
  };
}

/** What both kinds of start have in common, from four pointers and lengths; or the status that says why not. */
function readStart(vm: Vm, args: readonly number[]): Start | number {
  const [service = 0, serviceLength = 0, name = 0, nameLength = 0, method = 0, methodLength = 0] = args;
  const [metadata = 0, metadataLength = 0] = args.slice(6);
  const memory = vm.memory;
  memory.work += Work.StartGrpcCall;
  const serviceBytes = memory.copy(service >>> 0, serviceLength >>> 0);
  const serviceName = memory.latin1(name >>> 0, nameLength >>> 0);
  const methodName = memory.latin1(method >>> 0, methodLength >>> 0);
  const isInside = memory.contains(metadata, metadataLength);
  if (serviceBytes === undefined || serviceName === undefined || methodName === undefined || !isInside) {
    return Status.InvalidMemoryAccess;
  }
  const target = targetOf(vm, serviceBytes);
  if (typeof target === "number") return target;
  const pairs = metadataLength === 0 ? NO_METADATA : decodeFields(vm, metadata, metadataLength);
  if (pairs === undefined || !PATH_PART.test(serviceName) || !PATH_PART.test(methodName)) {
    vm.warn("a gRPC call was refused: its service, its method or its metadata cannot be sent");
    return Status.InternalFailure;
  }
  const all = withoutPseudoHeaders([...target.metadata, ...pairs]);
  return { target, path: `/${serviceName}/${methodName}`, metadata: all };
}

function targetOf(vm: Vm, bytes: Uint8Array): GrpcTarget | number {
  const target = readGrpcService(bytes);
  if (target === "unsupported") {
    vm.warn("a gRPC call was refused: google_grpc is not supported, only envoy_grpc");
    return Status.InternalFailure;
  }
  if (target !== "not-a-service") return target;
  const cluster = Buffer.from(bytes).toString("utf8");
  if (!isFieldValue(cluster) || vm.host.ports.grpc?.knows(cluster) !== true) {
    vm.warn(`a gRPC call was refused: ${JSON.stringify(cluster.slice(0, 256))} is no GrpcService and no known cluster`);
    return Status.ParseFailure;
  }
  return { cluster, authority: "", metadata: [], maxMessageBytes: 0 };
}

function startCall(
  vm: Vm,
  name: string,
  { target, path, metadata }: Start,
  rest: { readonly message: Uint8Array | undefined; readonly timeoutMs: number; readonly tokenOut: number },
): number {
  const { root, http, tcp } = vm.effective;
  if (!root.grpc.canCall) {
    vm.hit("grpc_calls");
    return Status.InternalFailure;
  }
  const token = vm.host.nextCallToken(rest.message === undefined ? CallKind.GrpcStream : CallKind.Grpc);
  const isStarted = root.grpc.start({
    plugin: root.plugin.identity,
    token,
    stream: http?.stream ?? tcp?.connection,
    cluster: target.cluster,
    authority: target.authority,
    path,
    metadata,
    message: rest.message,
    timeoutMs: rest.timeoutMs,
    maxMessageBytes: target.maxMessageBytes,
  });
  if (!isStarted) {
    vm.warn(
      `${name}: cluster ${JSON.stringify(target.cluster.slice(0, 256))} is not there, or too many calls are under way`,
    );
    return Status.InternalFailure;
  }
  vm.memory.putU32(rest.tokenOut >>> 0, token);
  vm.scratch.callTokens.push(token);
  return Status.Ok;
}

/** What the embedder makes itself must not come from a guest. */
function withoutPseudoHeaders(pairs: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    if (!name.startsWith(":")) kept.push(name, pairs[i + 1] as string);
  }
  return kept;
}
