// proxy_http_call and proxy_get_status. ABI section "HTTP calls". The answer comes on a later turn as
// proxy_on_http_call_response on the caller's root context (contexts.ts), where maps 6 and 7 and buffer 4 hold it.

import { Status } from "../abi/constants.ts";
import { decodePairs } from "../abi/pairs.ts";
import { isFieldName, isFieldValue, lowerName } from "../field-syntax.ts";
import type { HttpCall } from "../ports.ts";
import { CallKind } from "../runtime-host.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";

const REQUIRED: readonly string[] = [":method", ":path", ":authority"];

export function httpCallFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  return {
    /**
     * Starts a request to a cluster and writes its token. BadArgument: unknown cluster, malformed or incomplete
     * headers, negative timeout. InternalFailure: cannot be sent now, or too many are under way.
     */
    proxy_http_call(
      upstream: number,
      upstreamLength: number,
      headers: number,
      headersLength: number,
      body: number,
      bodyLength: number,
      trailers: number,
      trailersLength: number,
      timeoutMs: number,
      tokenOut: number,
    ): number {
      const cluster = memory.utf8(upstream >>> 0, upstreamLength >>> 0);
      const bytes = memory.copy(body >>> 0, bodyLength >>> 0);
      const areInside =
        memory.contains(headers >>> 0, headersLength >>> 0) && memory.contains(trailers >>> 0, trailersLength >>> 0);
      if (cluster === undefined || bytes === undefined || !areInside || !memory.putU32(tokenOut >>> 0, 0)) {
        return Status.InvalidMemoryAccess;
      }
      const headerPairs = decodeFields(vm, headers >>> 0, headersLength >>> 0);
      const trailerPairs = decodeFields(vm, trailers >>> 0, trailersLength >>> 0);
      if (headerPairs === undefined || trailerPairs === undefined || timeoutMs < 0) return Status.BadArgument;
      if (!REQUIRED.every((name) => hasName(headerPairs, name))) return Status.BadArgument;
      const { root, http, tcp } = vm.effective;
      if (!root.canCall) {
        vm.hit("http_calls");
        return Status.InternalFailure;
      }
      const token = vm.host.nextCallToken(CallKind.Http);
      const status = startCall(vm, {
        plugin: root.plugin.identity,
        token,
        stream: http?.stream ?? tcp?.connection,
        cluster,
        headers: headerPairs,
        body: bytes,
        trailers: trailerPairs,
        timeoutMs,
      });
      if (status === Status.Ok) memory.putU32(tokenOut >>> 0, token);
      return status;
    },

    /** Writes the code of the last call (0 none) and gives its message. Always the root context's. */
    proxy_get_status(codeOut: number, messageOut: number, messageLengthOut: number): number {
      const root = vm.effective.root;
      if (!memory.putU32(codeOut >>> 0, root.statusCode)) return Status.InvalidMemoryAccess;
      return vm.returnLatin1(root.statusMessage, messageOut >>> 0, messageLengthOut >>> 0);
    },
  };
}

function startCall(vm: Vm, call: HttpCall): number {
  const root = vm.effective.root;
  const pending = vm.host.ports.http.call(call, (result) => root.onCallResult(call.token, result));
  if (pending === "unknown-cluster") {
    vm.warn(`proxy_http_call: unknown cluster ${JSON.stringify(call.cluster)}`);
    return Status.BadArgument;
  }
  if (pending === "unavailable") {
    vm.hit("http_calls");
    return Status.InternalFailure;
  }
  root.addCall(call.token, pending);
  vm.scratch.callTokens.push(call.token);
  return Status.Ok;
}

/** The pairs of a list in guest memory, names in lower case; undefined when one must not go on the wire. */
export function decodeFields(vm: Vm, pointer: number, length: number): string[] | undefined {
  const pairs = decodePairs(vm.memory.bytes, pointer, length);
  if (pairs === undefined) return undefined;
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    if (!isFieldName(name) || !isFieldValue(pairs[i + 1] as string)) return undefined;
    pairs[i] = lowerName(name);
  }
  return pairs;
}

function hasName(pairs: readonly string[], name: string): boolean {
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] === name) return true;
  }
  return false;
}
