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
import { quoted } from "./constraint.ts";
import { inspectMessage, type UnknownFieldPolicy } from "./inspect.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeVirtualHost } from "./route.ts";

/** The last good version: the bytes that were decoded, and what became of them. */
export interface PreviousRoutes {
  readonly bytes: Uint8Array;
  readonly value: RouteConfiguration;
}

/** RouteConfiguration.virtual_hosts, field 2, length-delimited. */
const HOSTS_TAG = 0x12;
const HOSTS_PATH = "virtual_hosts";

/** A resource taken apart: each virtual host's bytes, and those of all other fields in a row. */
interface Parts {
  readonly hosts: readonly Uint8Array[];
  readonly rest: Uint8Array;
}

/**
 * The new version, with the previous one's objects for all that did not change. undefined: more than virtual hosts differs,
 * or the bytes are not as encoders write them; then the whole is to be decoded. Issues go to `findings`.
 */
export function decodeChangedHosts(
  bytes: Uint8Array,
  previous: PreviousRoutes,
  findings: Findings,
  unknownFields: UnknownFieldPolicy,
): RouteConfiguration | undefined {
  const [before, now] = [takeApart(previous.bytes), takeApart(bytes)];
  const known = previous.value.virtualHosts;
  if (before === undefined || now === undefined || before.hosts.length !== known.length) return undefined;
  if (Buffer.compare(before.rest, now.rest) !== 0) return undefined;
  const reused = match(before.hosts, now.hosts);
  const { maxDirectResponseBodyBytes } = previous.value;
  const fresh = new Map<number, VirtualHostMessage>();
  for (const [index, bytesOf] of now.hosts.entries()) {
    if (reused[index] !== -1) continue;
    const message = parseHost(bytesOf);
    if (message === undefined) return undefined;
    fresh.set(index, message);
  }
  const virtualHosts: VirtualHost[] = [];
  for (const index of now.hosts.keys()) {
    const message = fresh.get(index);
    const path = item(HOSTS_PATH, index);
    if (message === undefined) {
      virtualHosts.push(known[reused[index] as number] as VirtualHost);
    } else {
      inspectMessage(VirtualHostSchema, message, path, findings, unknownFields);
      virtualHosts.push(decodeVirtualHost(message, maxDirectResponseBodyBytes, path, findings));
    }
  }
  checkFreshDomains(virtualHosts, fresh, findings);
  return { ...previous.value, virtualHosts };
}

/** Unchanged hosts do not share a domain among themselves: only those that are new can. */
function checkFreshDomains(
  hosts: readonly VirtualHost[],
  fresh: ReadonlyMap<number, unknown>,
  findings: Findings,
): void {
  const places = new Map<string, string>();
  const check = (index: number, isFresh: boolean): void => {
    for (const [at, domain] of (hosts[index]?.domains ?? []).entries()) {
      const lower = domain.toLowerCase();
      const other = places.get(lower);
      if (other === undefined && !isFresh) continue;
      const path = item(child(item(HOSTS_PATH, index), "domains"), at);
      if (other === undefined) places.set(lower, path);
      else findings.issue(path, `${quoted(domain)} is already ${other}; domains must be unique`);
    }
  };
  if (fresh.size === 0) return;
  for (const index of fresh.keys()) check(index, true);
  for (const index of hosts.keys()) if (!fresh.has(index)) check(index, false);
}

/** For each new host the place of an equal one before, or -1. */
function match(before: readonly Uint8Array[], now: readonly Uint8Array[]): Int32Array {
  const places = new Int32Array(now.length).fill(-1);
  const shortest = Math.min(before.length, now.length);
  let start = 0;
  while (start < shortest && isEqual(before[start], now[start])) places[start] = start++;
  let end = 0;
  while (end < shortest - start && isEqual(before[before.length - 1 - end], now[now.length - 1 - end])) {
    places[now.length - 1 - end] = before.length - 1 - end;
    end++;
  }
  const between = new Map<string, number>();
  for (let at = start; at < before.length - end; at++) between.set(textOf(before[at] as Uint8Array), at);
  for (let at = start; at < now.length - end; at++) places[at] = between.get(textOf(now[at] as Uint8Array)) ?? -1;
  return places;
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && a.length === b.length && Buffer.compare(a, b) === 0;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function parseHost(bytes: Uint8Array): VirtualHostMessage | undefined {
  try {
    return fromBinary(VirtualHostSchema, bytes);
  } catch {
    return undefined;
  }
}

function takeApart(bytes: Uint8Array): Parts | undefined {
  const hosts: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const body = bodyOf(bytes, at);
    if (body === undefined) return undefined;
    if (bytes[at] === HOSTS_TAG) hosts.push(bytes.subarray(body.start, body.end));
    else rest.push(bytes.subarray(at, body.end));
    at = body.end;
  }
  return { hosts, rest: Buffer.concat(rest) };
}

/** The extent of the field at `at`; only what this message has: tags of one or two bytes, varints and length-delimited fields. */
function bodyOf(bytes: Uint8Array, at: number): { start: number; end: number } | undefined {
  const tag = bytes[at] as number;
  if (tag >= 0x80 && (bytes[at + 1] ?? 0x80) >= 0x80) return undefined;
  const start = at + (tag < 0x80 ? 1 : 2);
  const value = varint(bytes, start);
  if (value === undefined) return undefined;
  if ((tag & 7) === 0) return { start, end: value.end };
  if ((tag & 7) !== 2) return undefined;
  const end = value.end + value.number;
  return end > bytes.length ? undefined : { start: value.end, end };
}

function varint(bytes: Uint8Array, at: number): { number: number; end: number } | undefined {
  let number = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    number += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { number, end: at + i + 1 };
  }
  return undefined;
}
