// Header and trailer maps: seven functions over the maps of a stream (0..3), of a gRPC call (4, 5) and of an answer (6, 7).
// ABI section "HTTP fields". Guests read names in lower case, as from Envoy, and look them up in any case; what they
// write goes out in the case in which they wrote it (HTTP/1; Envoy lower-cases it). Values are bytes, latin1 here.
//
// Reading works in every later phase of the stream. Writing works while the part is still with this plugin, that is in
// its own callback and while paused after it; later it is BadArgument, as in Envoy. What could split a message
// (CR, LF, NUL) or is no field name is BadArgument too.

import { MapType, Status } from "../abi/constants.ts";
import { decodePairs, pairsByteLength, writePairs } from "../abi/pairs.ts";
import { V0_1_0 } from "../abi/v0-1-0.ts";
import { V0_2_1 } from "../abi/v0-2-1.ts";
import { isFieldName, isFieldValue, lowerName } from "../field-syntax.ts";
import type { HttpContext } from "../http-context.ts";
import type { KnownText } from "../known-texts.ts";
import type { HeaderAccess, StreamMap } from "../ports.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { MANY_FIELDS, Work } from "./work.ts";

const LAST_MAP = MapType.HttpCallResponseTrailers;
const COLON = 0x3a;
/** No plugin makes a map of more fields than this. Envoy has no bound. */
const MAX_FIELDS = 4096;

/** The map for reading; undefined when it does not exist now. */
function readable(vm: Vm, map: number): HeaderAccess | undefined {
  const context = vm.effective;
  if (map <= MapType.HttpResponseTrailers)
    return (context.http?.stream ?? context.root.logged)?.headers(map as StreamMap);
  // An answer belongs to the root context, whichever stream the plugin has chosen meanwhile.
  if (map === MapType.GrpcReceiveInitialMetadata) return context.root.grpc.initialMetadata;
  if (map === MapType.GrpcReceiveTrailingMetadata) return context.root.grpc.trailingMetadata;
  if (map === MapType.HttpCallResponseHeaders) return context.root.answer?.headers;
  if (map === MapType.HttpCallResponseTrailers) return context.root.answer?.trailers;
  return undefined;
}

/** The map for writing; undefined when this plugin may not write it now. */
function writable(vm: Vm, map: number): HeaderAccess | undefined {
  const http = vm.effective.http;
  if (http === undefined || map > MapType.HttpResponseTrailers) return undefined;
  const bit = 1 << map;
  if ((http.writable & bit) !== 0) return http.stream.headers(map as StreamMap);
  return http.atBodyEnd ? addedTrailers(http, map) : undefined;
}

/** At the end of a body without trailers, writing to its trailers makes them. */
function addedTrailers(http: HttpContext, map: number): HeaderAccess | undefined {
  const isOurs = map === (http.isInRequest ? MapType.HttpRequestTrailers : MapType.HttpResponseTrailers);
  if (!isOurs) return undefined;
  const trailers = http.stream.addTrailers(map as StreamMap);
  if (trailers !== undefined) http.writable |= 1 << map;
  return trailers;
}

/** Makes the guest pay for a map that it looks through when that is large. */
function payForLook(vm: Vm, headers: HeaderAccess | undefined, each: number = Work.Field): void {
  const size = headers?.size ?? 0;
  if (size > MANY_FIELDS) vm.memory.work += size * each;
}

/** Whether a map may have that many fields; counted when not. */
function mayHave(vm: Vm, fields: number): boolean {
  if (fields <= MAX_FIELDS) return true;
  vm.hit("headers");
  return false;
}

/** Envoy, ABI up to 0.2.1: after a plugin changed request headers the router looks for the route again. */
function onChanged(vm: Vm, map: number): void {
  if (map === MapType.HttpRequestHeaders) vm.effective.http?.stream.clearRouteCache();
}

/** The name to look up, in lower case. "host" is how people call what every request has as ":authority". */
function fieldName(raw: KnownText, map: number): string {
  const name = raw.lower;
  return name === "host" && map === MapType.HttpRequestHeaders ? ":authority" : name;
}

/** The name to write: the guest's own spelling, but for what is no line of its own. */
function writtenName(raw: string, map: number): string {
  if (raw.charCodeAt(0) === COLON) return lowerName(raw);
  const isHost = map === MapType.HttpRequestHeaders && raw.length === 4 && lowerName(raw) === "host";
  return isHost ? ":authority" : raw;
}

export function headerFunctions(vm: Vm): HostFunctions {
  return { ...readers(vm), ...writers(vm) };
}

function readers(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const abi = vm.module.abi === "0.1.0" ? V0_1_0 : V0_2_1;
  return {
    /** Writes the bytes of all names and values, u32, as Envoy does. BadArgument: no such map now. */
    proxy_get_header_map_size(map: number, sizeOut: number): number {
      const id = map >>> 0;
      const headers = id > LAST_MAP ? undefined : readable(vm, id);
      if (headers === undefined) return Status.BadArgument;
      payForLook(vm, headers);
      let size = 0;
      for (let i = 0; i < headers.size; i++) size += headers.nameAt(i).length + headers.valueAt(i).length;
      return memory.putU32(sizeOut >>> 0, size) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    /** Gives all pairs (abi/pairs.ts). A map that is absent or empty: Ok, pointer 0, size 0. */
    proxy_get_header_map_pairs(map: number, pointerOut: number, sizeOut: number): number {
      const id = map >>> 0;
      if (id > LAST_MAP) return Status.BadArgument;
      const headers = readable(vm, id);
      payForLook(vm, headers, Work.WrittenField);
      const length = headers === undefined ? 0 : pairsByteLength(headers);
      if (headers === undefined || length === 0) return vm.returnLatin1("", pointerOut >>> 0, sizeOut >>> 0);
      if (!memory.contains(pointerOut >>> 0, 4) || !memory.contains(sizeOut >>> 0, 4))
        return Status.InvalidMemoryAccess;
      const address = vm.allocate(length);
      if (address === 0) return Status.InvalidMemoryAccess;
      writePairs(memory, address, headers);
      memory.putU32(pointerOut >>> 0, address);
      memory.putU32(sizeOut >>> 0, length);
      return Status.Ok;
    },

    /** Gives the first value of a name. NotFound when it or the map is missing (ABI 0.1.0: Ok and empty). */
    proxy_get_header_map_value(
      map: number,
      key: number,
      keyLength: number,
      pointerOut: number,
      sizeOut: number,
    ): number {
      const id = map >>> 0;
      if (id > LAST_MAP) return Status.BadArgument;
      const name = memory.known(key >>> 0, keyLength >>> 0);
      if (name === undefined) return Status.InvalidMemoryAccess;
      const headers = readable(vm, id);
      payForLook(vm, headers);
      const value = headers?.get(fieldName(name, id));
      if (value === undefined && !abi.missingHeaderIsEmpty) return Status.NotFound;
      return vm.returnLatin1(value ?? "", pointerOut >>> 0, sizeOut >>> 0);
    },
  };
}

function writers(vm: Vm): HostFunctions {
  const memory = vm.memory;
  return {
    /** Replaces the whole map. A list that cannot be parsed leaves the map alone (Envoy empties it). */
    proxy_set_header_map_pairs(map: number, pointer: number, size: number): number {
      const id = map >>> 0;
      if (!memory.contains(pointer >>> 0, size >>> 0)) return Status.InvalidMemoryAccess;
      const headers = writable(vm, id);
      if (headers === undefined) return Status.BadArgument;
      const pairs = decodePairs(memory.bytes, pointer >>> 0, size >>> 0);
      if (pairs === undefined || !normalizePairs(pairs, id)) return Status.BadArgument;
      if (!mayHave(vm, pairs.length / 2)) return Status.BadArgument;
      const before = headers.size;
      headers.replaceAll(pairs);
      vm.scratch.headersReplaced += Math.min(before, pairs.length / 2);
      vm.scratch.headersAdded += Math.max(0, pairs.length / 2 - before);
      vm.scratch.headersRemoved += Math.max(0, before - pairs.length / 2);
      onChanged(vm, id);
      return Status.Ok;
    },

    /** Appends an entry. A pseudo header that is there is replaced: it can be only one. */
    proxy_add_header_map_value(
      map: number,
      key: number,
      keyLength: number,
      value: number,
      valueLength: number,
    ): number {
      const name = memory.known(key >>> 0, keyLength >>> 0);
      const text = memory.known(value >>> 0, valueLength >>> 0);
      if (name === undefined || text === undefined) return Status.InvalidMemoryAccess;
      const headers = writable(vm, map >>> 0);
      if (headers === undefined || !name.isFieldName || !text.isFieldValue) return Status.BadArgument;
      if (!mayHave(vm, headers.size + 1)) return Status.BadArgument;
      const field = writtenName(name.text, map);
      const isPseudo = field.charCodeAt(0) === COLON;
      if (isPseudo && headers.replace(field, text.text)) vm.scratch.headersReplaced++;
      else {
        if (!isPseudo) headers.add(field, text.text);
        vm.scratch.headersAdded++;
      }
      onChanged(vm, map);
      return Status.Ok;
    },

    /** Sets the only entry of a name, at the first one's place. */
    proxy_replace_header_map_value(
      map: number,
      key: number,
      keyLength: number,
      value: number,
      valueLength: number,
    ): number {
      const name = memory.known(key >>> 0, keyLength >>> 0);
      const text = memory.known(value >>> 0, valueLength >>> 0);
      if (name === undefined || text === undefined) return Status.InvalidMemoryAccess;
      const headers = writable(vm, map >>> 0);
      if (headers === undefined || !name.isFieldName || !text.isFieldValue) return Status.BadArgument;
      if (!mayHave(vm, headers.size + 1)) return Status.BadArgument;
      payForLook(vm, headers);
      if (headers.replace(writtenName(name.text, map), text.text)) vm.scratch.headersReplaced++;
      else vm.scratch.headersAdded++;
      onChanged(vm, map);
      return Status.Ok;
    },

    /** Removes all entries of a name; a missing one is Ok. */
    proxy_remove_header_map_value(map: number, key: number, keyLength: number): number {
      const name = memory.known(key >>> 0, keyLength >>> 0);
      if (name === undefined) return Status.InvalidMemoryAccess;
      const headers = writable(vm, map >>> 0);
      if (headers === undefined) return Status.BadArgument;
      payForLook(vm, headers);
      if (headers.remove(fieldName(name, map))) vm.scratch.headersRemoved++;
      onChanged(vm, map);
      return Status.Ok;
    },
  };
}

/** Gives pseudo headers their names in place; false when a name or value must not go on the wire. */
function normalizePairs(pairs: string[], map: number): boolean {
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    if (!isFieldName(name) || !isFieldValue(pairs[i + 1] as string)) return false;
    pairs[i] = writtenName(name, map);
  }
  return true;
}
