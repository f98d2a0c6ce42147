// Buffers: bodies of the stream (0, 1), data of the connection (2, 3), body of a call's answer (4), a gRPC message (5),
// configurations (6, 7). ABI section "Buffers". That of foreign calls (8) answers as Envoy does out of phase.

import { Callback } from "../abi/callbacks.ts";
import { BufferType, Status } from "../abi/constants.ts";
import type { GuestContext } from "../contexts.ts";
import type { ConnectionData, StreamBody } from "../ports.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { Work } from "./work.ts";

const NOTHING = new Uint8Array(0);
/** Bits of HttpContext.writable for the two bodies, of TcpContext.writable for the two directions. */
const WRITABLE_BITS: readonly number[] = [1 << 4, 1 << 5, 1 << 0, 1 << 1];

/** What is offered or held of a stream's body or a connection's data (ids 0 to 3); 0 for contexts without it. */
function offered(context: GuestContext, id: number): number {
  return isBody(id)
    ? (context.http?.stream.bodyLength(id) ?? 0)
    : (context.tcp?.connection.dataLength(id as ConnectionData) ?? 0);
}

function isBody(id: number): id is StreamBody {
  return id <= BufferType.HttpResponseBody;
}

/** A buffer that is one block of bytes; undefined: not readable now. Bodies and data are not handled here. */
function block(vm: Vm, type: number): Uint8Array | undefined {
  switch (type) {
    case BufferType.HttpCallResponseBody:
      return vm.effective.root.answer?.body;
    case BufferType.GrpcReceiveBuffer:
      return vm.effective.root.grpc.message ?? NOTHING;
    case BufferType.CallData:
      return vm.effective.root.callData ?? NOTHING;
    case BufferType.VmConfiguration:
      return vm.vmConfiguration;
    case BufferType.PluginConfiguration:
      return vm.callback === Callback.OnConfigure ? vm.effective.root.plugin.spec.pluginConfiguration : undefined;
    default:
      return NOTHING;
  }
}

/** No plugin makes a body larger than this: it would be memory that no limit of the plugin's own counts. Envoy has no bound. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

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
      if (id <= BufferType.UpstreamData) {
        return getOffered(vm, id, from, maxLength >>> 0, pointerOut >>> 0, sizeOut >>> 0);
      }
      const bytes = block(vm, id);
      if (bytes === undefined) return Status.NotFound;
      return vm.returnBytes(bytes.subarray(from, from + (maxLength >>> 0)), pointerOut >>> 0, sizeOut >>> 0);
    },

    /** Writes the buffer's length and its flags (always 0), u32 each. */
    proxy_get_buffer_status(type: number, lengthOut: number, flagsOut: number): number {
      const id = type >>> 0;
      if (id > BufferType.CallData) return Status.BadArgument;
      const length = id <= BufferType.UpstreamData ? offered(vm.effective, id) : block(vm, id)?.length;
      if (length === undefined) return Status.NotFound;
      const isWritten = memory.putU32(lengthOut >>> 0, length) && memory.putU32(flagsOut >>> 0, 0);
      return isWritten ? Status.Ok : Status.InvalidMemoryAccess;
    },

    /**
     * Replaces [start, start + length) of a body or data: (0, 0) prepends, a start at or beyond the end appends, any other
     * range is cut to what is there. Envoy refuses ranges in the middle; here they work.
     */
    proxy_set_buffer_bytes(type: number, start: number, length: number, pointer: number, size: number): number {
      const id = type >>> 0;
      const data = memory.copy(pointer >>> 0, size >>> 0);
      if (data === undefined) return Status.InvalidMemoryAccess;
      const { http, tcp } = vm.effective;
      if (id > BufferType.UpstreamData) {
        return id <= BufferType.CallData && block(vm, id) === undefined ? Status.NotFound : Status.BadArgument;
      }
      const writable = (isBody(id) ? http?.writable : tcp?.writable) ?? 0;
      if ((writable & (WRITABLE_BITS[id] as number)) === 0) return Status.BadArgument;
      const total = offered(vm.effective, id);
      const from = Math.min(start >>> 0, total);
      const count = Math.min(length >>> 0, total - from);
      const after = total - count + data.length;
      if (after > total && after > MAX_BODY_BYTES) {
        vm.hit("body");
        return Status.BadArgument;
      }
      // At its end a body grows in place.
      if (from < total) memory.work += after * Work.MovedBodyByte;
      const isReplaced = isBody(id)
        ? http?.stream.replaceBody(id, from, count, data)
        : tcp?.connection.replaceData(id as ConnectionData, from, count, data);
      return isReplaced === true ? Status.Ok : Status.BadArgument;
    },

    /** ABI 0.1.0: the plugin configuration inside proxy_on_configure, else the VM configuration. */
    proxy_get_configuration(pointerOut: number, sizeOut: number): number {
      const bytes = block(vm, BufferType.PluginConfiguration) ?? vm.vmConfiguration;
      return vm.returnBytes(bytes, pointerOut >>> 0, sizeOut >>> 0);
    },
  };
}

function getOffered(vm: Vm, id: number, start: number, maxLength: number, pointerOut: number, sizeOut: number): number {
  const memory = vm.memory;
  const context = vm.effective;
  const length = Math.min(maxLength, offered(context, id) - start);
  if (length <= 0) return vm.returnLatin1("", pointerOut, sizeOut);
  if (!memory.contains(pointerOut, 4) || !memory.contains(sizeOut, 4)) return Status.InvalidMemoryAccess;
  const address = vm.allocate(length);
  if (address === 0) return Status.InvalidMemoryAccess;
  const target = memory.bytes.subarray(address, address + length);
  if (isBody(id)) context.http?.stream.copyBody(id, start, target);
  else context.tcp?.connection.copyData(id as ConnectionData, start, target);
  memory.putU32(pointerOut, address);
  memory.putU32(sizeOut, length);
  return Status.Ok;
}
