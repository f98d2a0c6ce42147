// Buffers: bodies of the stream (0, 1), body of a call's answer (4), a gRPC message (5), configurations (6, 7). ABI section
// "Buffers". Buffers of families that are not there (TCP 2 and 3, foreign calls 8) answer as Envoy does out of phase.

import { Callback } from "../abi/callbacks.ts";
import { BufferType, Status } from "../abi/constants.ts";
import type { StreamBody } from "../ports.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";

const NOTHING = new Uint8Array(0);
/** Bits of HttpContext.writable for the two bodies. */
const BODY_BITS: readonly number[] = [1 << 4, 1 << 5];

/** A buffer that is one block of bytes; undefined: not readable now. Bodies of streams are not handled here. */
function block(vm: Vm, type: number): Uint8Array | undefined {
  switch (type) {
    case BufferType.DownstreamData:
    case BufferType.UpstreamData:
      return NOTHING;
    case BufferType.HttpCallResponseBody:
      return vm.effective.root.answer?.body;
    case BufferType.GrpcReceiveBuffer:
      return vm.effective.root.grpc.message;
    case BufferType.VmConfiguration:
      return vm.vmConfiguration;
    case BufferType.PluginConfiguration:
      return vm.callback === Callback.OnConfigure ? vm.effective.root.plugin.spec.pluginConfiguration : undefined;
    default:
      return undefined;
  }
}

export function bufferFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  return {
    /** Gives at most `maxLength` bytes from `start`; beyond the end: Ok, pointer 0, size 0. */
    proxy_get_buffer_bytes(
      type: number,
      start: number,
      maxLength: number,
      pointerOut: number,
      sizeOut: number,
    ): number {
      const id = type >>> 0;
      const from = start >>> 0;
      if (id > BufferType.CallData) return Status.BadArgument;
      if (id <= BufferType.HttpResponseBody) {
        return getBody(vm, id as StreamBody, from, maxLength >>> 0, pointerOut >>> 0, sizeOut >>> 0);
      }
      const bytes = block(vm, id);
      if (bytes === undefined) return Status.NotFound;
      return vm.returnBytes(bytes.subarray(from, from + (maxLength >>> 0)), pointerOut >>> 0, sizeOut >>> 0);
    },

    /** Writes the buffer's length and its flags (always 0), u32 each. */
    proxy_get_buffer_status(type: number, lengthOut: number, flagsOut: number): number {
      const id = type >>> 0;
      if (id > BufferType.CallData) return Status.BadArgument;
      const isBody = id <= BufferType.HttpResponseBody;
      const length = isBody ? (vm.effective.http?.stream.bodyLength(id as StreamBody) ?? 0) : block(vm, id)?.length;
      if (length === undefined) return Status.NotFound;
      const isWritten = memory.putU32(lengthOut >>> 0, length) && memory.putU32(flagsOut >>> 0, 0);
      return isWritten ? Status.Ok : Status.InvalidMemoryAccess;
    },

    /**
     * Replaces [start, start + length) of a body: (0, 0) prepends, a start at or beyond the end appends, any other
     * range is cut to the body. Envoy refuses ranges in the middle; here they work.
     */
    proxy_set_buffer_bytes(type: number, start: number, length: number, pointer: number, size: number): number {
      const id = type >>> 0;
      const data = memory.copy(pointer >>> 0, size >>> 0);
      if (data === undefined) return Status.InvalidMemoryAccess;
      const http = vm.effective.http;
      if (id > BufferType.HttpResponseBody || http === undefined) return Status.BadArgument;
      if ((http.writable & (BODY_BITS[id] as number)) === 0) return Status.BadArgument;
      const total = http.stream.bodyLength(id as StreamBody);
      const from = Math.min(start >>> 0, total);
      const count = Math.min(length >>> 0, total - from);
      return http.stream.replaceBody(id as StreamBody, from, count, data) ? Status.Ok : Status.BadArgument;
    },

    /** ABI 0.1.0: the plugin configuration inside proxy_on_configure, else the VM configuration. */
    proxy_get_configuration(pointerOut: number, sizeOut: number): number {
      const bytes = block(vm, BufferType.PluginConfiguration) ?? vm.vmConfiguration;
      return vm.returnBytes(bytes, pointerOut >>> 0, sizeOut >>> 0);
    },
  };
}

function getBody(
  vm: Vm,
  body: StreamBody,
  start: number,
  maxLength: number,
  pointerOut: number,
  sizeOut: number,
): number {
  const memory = vm.memory;
  const stream = vm.effective.http?.stream;
  const total = stream?.bodyLength(body) ?? 0;
  const length = Math.min(maxLength, total - start);
  if (stream === undefined || length <= 0) return vm.returnLatin1("", pointerOut, sizeOut);
  if (!memory.contains(pointerOut, 4) || !memory.contains(sizeOut, 4)) return Status.InvalidMemoryAccess;
  const address = vm.allocate(length);
  if (address === 0) return Status.InvalidMemoryAccess;
  stream.copyBody(body, start, memory.bytes.subarray(address, address + length));
  memory.putU32(pointerOut, address);
  memory.putU32(sizeOut, length);
  return Status.Ok;
}
