// What a plugin does with the stream and with contexts: continue, close, local reply, effective context, done.
// ABI sections "HTTP streams" and "Context lifecycle". Everything that could lead to a callback is only noted here and
// done after the running callback returned (HttpContext, Vm.defer).

import { LogLevel, Status, StreamType } from "../abi/constants.ts";
import { decodePairs } from "../abi/pairs.ts";
import { isFieldName, isFieldValue } from "../field-syntax.ts";
import type { LocalReply } from "../ports.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";

const NO_GRPC_STATUS = -1;
const LAST_GRPC_STATUS = 16;

export function streamControlFunctions(vm: Vm): HostFunctions {
  return { ...flowFunctions(vm), ...contextFunctions(vm), ...replyFunctions(vm) };
}

function flowFunctions(vm: Vm): HostFunctions {
  const proceed = (direction: 1 | 2): number => {
    vm.effective.http?.askContinue(direction);
    return Status.Ok;
  };
  return {
    /**
     * Ok whether or not the direction is paused, and when the context is of the other kind; BadArgument for an unknown
     * type. Upstream: Envoy answers Unimplemented, and a direction that a plugin paused stays so.
     */
    proxy_continue_stream(type: number): number {
      if (type === StreamType.HttpRequest) return proceed(1);
      if (type === StreamType.HttpResponse) return proceed(2);
      if (type >>> 0 > StreamType.Upstream) return Status.BadArgument;
      vm.effective.tcp?.askContinue(type === StreamType.Downstream ? 1 : 2);
      return Status.Ok;
    },
    /** ABI 0.1.0. */
    proxy_continue_request: () => proceed(1),
    proxy_continue_response: () => proceed(2),

    /** Resets the stream; closes the connection, both sides whichever is named, as Envoy. */
    proxy_close_stream(type: number): number {
      if (type >>> 0 > StreamType.Upstream) return Status.BadArgument;
      if (type >>> 0 <= StreamType.HttpResponse) vm.effective.http?.askClose();
      else vm.effective.tcp?.askClose();
      return Status.Ok;
    },

    /** ABI 0.1.0; in 0.2 it is a foreign function. */
    proxy_clear_route_cache(): number {
      vm.effective.http?.stream.clearRouteCache();
      return Status.Ok;
    },
  };
}

function contextFunctions(vm: Vm): HostFunctions {
  return {
    /**
     * Host calls act on that context until the callback returns. BadArgument: the plugin has no such context. Ids can be
     * guessed, so another plugin's context in a shared VM is out of reach (Envoy lets every plugin of the VM have it).
     */
    proxy_set_effective_context(id: number): number {
      const context = vm.contexts.get(id >>> 0);
      if (context === undefined || context.root.plugin !== vm.active.root.plugin) return Status.BadArgument;
      vm.effective = context;
      if (!context.isRoot && vm.active.isRoot) {
        vm.scratch.effectiveStream = context.http?.stream ?? context.tcp?.connection;
      }
      return Status.Ok;
    },

    /** A root context that answered false to proxy_on_done is ready. NotFound: nobody waits. */
    proxy_done(): number {
      const root = vm.effective.root;
      if (!root.isDonePending) return Status.NotFound;
      vm.defer({ kind: "root-done", root });
      return Status.Ok;
    },
  };
}

function replyFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  return {
    /**
     * Answers the client after the callback returned; the stream stops here whatever the callback returns. Ok always,
     * but for bad memory: the Rust SDK traps on anything else. Odd status codes are clamped, bad headers left out.
     */
    proxy_send_local_response(
      status: number,
      details: number,
      detailsLength: number,
      body: number,
      bodyLength: number,
      headers: number,
      headersLength: number,
      grpcStatus: number,
    ): number {
      const text = memory.utf8(details >>> 0, detailsLength >>> 0);
      const bytes = memory.copy(body >>> 0, bodyLength >>> 0);
      if (text === undefined || bytes === undefined) return Status.InvalidMemoryAccess;
      if (!memory.contains(headers >>> 0, headersLength >>> 0)) return Status.InvalidMemoryAccess;
      const pairs = decodePairs(memory.bytes, headers >>> 0, headersLength >>> 0);
      const http = vm.effective.http;
      if (http === undefined) return Status.Ok;
      if (pairs === undefined) vm.warn("proxy_send_local_response: the list of headers is malformed: left out");
      const reply: LocalReply = {
        status: clampStatus(vm, status >>> 0),
        details: text.replaceAll(" ", "_"),
        body: bytes,
        headers: usableHeaders(vm, pairs ?? []),
        grpcStatus: grpcStatus >= 0 && grpcStatus <= LAST_GRPC_STATUS ? grpcStatus : NO_GRPC_STATUS,
      };
      http.askReply(reply);
      return Status.Ok;
    },
  };
}

function clampStatus(vm: Vm, status: number): number {
  const clamped = Math.min(Math.max(status, 200), 599);
  if (clamped !== status)
    vm.warn(`proxy_send_local_response: status ${status} is not in 200..599: answered ${clamped}`);
  return clamped;
}

/** The pairs that may go on the wire, names as the guest wrote them. Pseudo headers are the reply's own business. */
function usableHeaders(vm: Vm, pairs: readonly string[]): string[] {
  const usable: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    const value = pairs[i + 1] as string;
    if (isFieldName(name) && isFieldValue(value) && !name.startsWith(":")) usable.push(name, value);
    else if (vm.host.ports.log.level(vm.effective.root.plugin.identity) <= LogLevel.Warn) {
      vm.warn(`proxy_send_local_response: header ${JSON.stringify(name)} cannot be sent: left out`);
    }
  }
  return usable;
}
