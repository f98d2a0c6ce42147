// A route configuration that differs from its last good version in a few virtual hosts: only those are decoded, the others are
// the same objects as before, so that everything behind (references, workers, route tables) touches only what changed. With
// thousands of virtual hosts in one resource this is most of what a push costs. Called by resource.ts.
//
//   bytes ─► top-level fields ─► rest the same as before? ─► each virtual host: bytes known? ─ yes ─► its object
//                                 └ no: decode everything                                   └ no ──► decoded

import { fromBinary } from "@bufbuild/protobuf";
import {
  VirtualHostSchema,
  type VirtualHost as VirtualHostMessage,
} from "../gen/envoy/config/route/v3/route_components_pb.ts";
import type { RouteConfiguration, VirtualHost } from "../model/route.ts";
import { inspectMessage, type UnknownFieldPolicy } from "./inspect.ts";
import { item, type Findings } from "./issues.ts";
import { decodeVirtualHost } from "./route.ts";

/** The last good version: the bytes that were decoded, and what became of them. */
export interface PreviousRoutes {
  readonly bytes: Uint8Array;
  readonly value: RouteConfiguration;
}

/** RouteConfiguration.virtual_hosts, field 2, length-delimited. */
const HOSTS_TAG = 0x12;
const HOSTS_PATH = "virtual_hosts";
/** In place of a place: no host before is equal. */
const NEW = -1;

/** A resource taken apart: where each virtual host's bytes begin and end, and the bytes of all other fields in a row. */
interface Parts {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly rest: Uint8Array;
  /** Where each of the other fields begins and ends. */
  readonly restSpots: readonly (readonly [start: number, end: number])[];
}

/**
 * The new version, with the previous one's objects for all that did not change. undefined: more than virtual hosts differs,
 * or the bytes are not as encoders write them, or domains collide; then the whole is to be decoded. Issues go to `findings`.
 * Nothing of the result is a view into `bytes`.
 */
export function decodeChangedHosts(
  bytes: Uint8Array,
  previous: PreviousRoutes,
  findings: Findings,
  unknownFields: UnknownFieldPolicy,
): RouteConfiguration | undefined {
  const before = taken.get(previous.value) ?? partsOf(previous.bytes);
  const known = previous.value.virtualHosts;
  if (before === undefined || before.starts.length !== known.length) return undefined;
  const same = commonStart(previous.bytes, bytes);
  const now = partsOf(bytes, before, same);
  if (now === undefined || Buffer.compare(before.rest, now.rest) !== 0) return undefined;
  const places = match(previous.bytes, before, bytes, now, same);
  const fresh = new Map<number, VirtualHostMessage>();
  for (let index = places.indexOf(NEW); index !== -1; index = places.indexOf(NEW, index + 1)) {
    // A copy: fields of bytes are views into what they are read from, and a host outlives the version that it came with.
    const message = parseHost(new Uint8Array(bytes.subarray(now.starts[index], now.ends[index])));
    if (message === undefined) return undefined;
    fresh.set(index, message);
  }
  if (shareDomains(known, places, fresh.values())) return undefined;
  const { maxDirectResponseBodyBytes } = previous.value;
  // Mostly they stand where they stood.
  const virtualHosts = known.slice(0, places.length);
  for (let index = 0; index < places.length; index++) {
    virtualHosts[index] = known[places[index] as number] as VirtualHost;
  }
  for (const [index, message] of fresh) {
    const path = item(HOSTS_PATH, index);
    inspectMessage(VirtualHostSchema, message, path, findings, unknownFields);
    virtualHosts[index] = decodeVirtualHost(message, maxDirectResponseBodyBytes, path, findings);
  }
  const value = { ...previous.value, virtualHosts };
  taken.set(value, now);
  return value;
}

/**
 * Whether a new host has the domain of another. Hosts that stay share none among themselves, nor with those that went: mostly a new
 * host has the domains of the one in whose place it comes, and then nothing else is to be asked.
 */
function shareDomains(known: readonly VirtualHost[], places: Int32Array, fresh: Iterable<VirtualHostMessage>): boolean {
  const isKept = new Uint8Array(known.length);
  for (let index = 0; index < places.length; index++) {
    const place = places[index] as number;
    if (place === NEW) continue;
    // The same host twice.
    if (isKept[place] === 1) return true;
    isKept[place] = 1;
  }
  const gone = new Set<string>();
  for (let place = isKept.indexOf(0); place !== -1; place = isKept.indexOf(0, place + 1)) {
    known[place]?.domains.forEach((domain) => gone.add(domain));
  }
  const domains = new Set<string>();
  for (const message of fresh) {
    for (const domain of message.domains) {
      const lower = domain.toLowerCase();
      if (domains.has(lower)) return true;
      domains.add(lower);
    }
  }
  const isNew = domains.difference(gone);
  return isNew.size > 0 && known.some((host, at) => isKept[at] === 1 && host.domains.some((each) => isNew.has(each)));
}

/** For each new host the place of an equal one before, or NEW. `same`: number of bytes that both begin with. */
function match(bytesBefore: Uint8Array, before: Parts, bytes: Uint8Array, now: Parts, same: number): Int32Array {
  const [countBefore, count] = [before.starts.length, now.starts.length];
  const places = new Int32Array(count).fill(NEW);
  const shortest = Math.min(countBefore, count);
  let start = 0;
  // Equal bytes from the beginning have equal fields.
  while (start < shortest && (now.ends[start] as number) <= same && (before.ends[start] as number) <= same) {
    places[start] = start++;
  }
  const shift = bytesBefore.length - bytes.length;
  const firstSame = bytes.length - commonEnd(bytesBefore, bytes, Math.min(bytesBefore.length, bytes.length) - same);
  let end = 0;
  for (; end < shortest - start; end++) {
    const [at, atBefore] = [count - 1 - end, countBefore - 1 - end];
    const from = now.starts[at] as number;
    const isSame =
      from >= firstSame &&
      before.starts[atBefore] === from + shift &&
      before.ends[atBefore] === (now.ends[at] as number) + shift;
    if (!isSame) break;
    places[at] = atBefore;
  }
  const between = new Map<string, number>();
  for (let at = start; at < countBefore - end; at++) between.set(textOf(bytesBefore, before, at), at);
  for (let at = start; at < count - end; at++) places[at] = between.get(textOf(bytes, now, at)) ?? NEW;
  return places;
}

function textOf(bytes: Uint8Array, { starts, ends }: Parts, at: number): string {
  return viewOf(bytes).toString("latin1", starts[at], ends[at]);
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Number of bytes that both begin with. */
function commonStart(a: Uint8Array, b: Uint8Array): number {
  return longest(Math.min(a.length, b.length), (from, to) => viewOf(a).compare(b, from, to, from, to) === 0);
}

/** Number of bytes, at most `most`, that both end with. */
function commonEnd(a: Uint8Array, b: Uint8Array, most: number): number {
  return longest(
    most,
    (from, to) => viewOf(a).compare(b, b.length - to, b.length - from, a.length - to, a.length - from) === 0,
  );
}

/** The largest number up to `most` for which all of 0 … number - 1 is equal, asked in pieces that double and halve. */
function longest(most: number, isEqual: (from: number, to: number) => boolean): number {
  let known = 0;
  let step = 1 << 16;
  while (known < most) {
    const to = Math.min(most, known + step);
    if (isEqual(known, to)) known = to;
    else if (to - known === 1) break;
    else step = (to - known) >> 1;
  }
  return known;
}

function parseHost(bytes: Uint8Array): VirtualHostMessage | undefined {
  try {
    return fromBinary(VirtualHostSchema, bytes);
  } catch {
    return undefined;
  }
}

/** What was taken apart, by what became of it: its bytes are copied when it is accepted. */
const taken = new WeakMap<RouteConfiguration, Parts>();

/**
 * undefined: the bytes are not as encoders write this message. Only what it has: tags of one or two bytes, varints and length-delimited
 * fields. The first `same` bytes are those of `before`.
 */
function partsOf(bytes: Uint8Array, before?: Parts, same = 0): Parts | undefined {
  // Equal bytes from the beginning have equal fields, as far as these end in them.
  let count = before === undefined ? 0 : countUpTo(before.ends, same);
  const begin = before === undefined || count === 0 ? 0 : (before.ends[count - 1] as number);
  const restSpots = before === undefined ? [] : before.restSpots.filter(([, end]) => end <= begin);
  while (count > spots.starts.length) spots = { starts: doubled(spots.starts), ends: doubled(spots.ends) };
  if (before !== undefined) {
    spots.starts.set(before.starts.subarray(0, count));
    spots.ends.set(before.ends.subarray(0, count));
  }
  const varint = { number: 0, end: 0 };
  for (let at = begin; at < bytes.length;) {
    const tag = bytes[at] as number;
    if (tag >= 0x80 && (bytes[at + 1] ?? 0x80) >= 0x80) return undefined;
    const type = tag & 7;
    if ((type !== 0 && type !== 2) || !readVarint(bytes, at + (tag < 0x80 ? 1 : 2), varint)) return undefined;
    const end = type === 0 ? varint.end : varint.end + varint.number;
    if (end > bytes.length) return undefined;
    if (tag === HOSTS_TAG) {
      if (count === spots.starts.length) spots = { starts: doubled(spots.starts), ends: doubled(spots.ends) };
      spots.starts[count] = varint.end;
      spots.ends[count++] = end;
    } else restSpots.push([at, end]);
    at = end;
  }
  const rest = Buffer.concat(restSpots.map(([start, end]) => bytes.subarray(start, end)));
  return { starts: spots.starts.slice(0, count), ends: spots.ends.slice(0, count), rest, restSpots };
}

/** How many of the numbers, which rise, are at most `most`. */
function countUpTo(numbers: Int32Array, most: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] as number) <= most) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Filled anew by each message: lists that grow leave more behind than they are. */
let spots = { starts: new Int32Array(256), ends: new Int32Array(256) };

function doubled(list: Int32Array): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(2 * list.length);
  longer.set(list);
  return longer;
}

/** Into `result`; false when there is none. */
function readVarint(bytes: Uint8Array, at: number, result: { number: number; end: number }): boolean {
  let number = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return false;
    number += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      result.number = number;
      result.end = at + i + 1;
      return true;
    }
  }
  return false;
}
