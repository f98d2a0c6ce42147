// Endpoints kept as the bytes they came in, and read when somebody needs them. In a large mesh a sidecar has thousands of
// clusters and calls a few: what the others' endpoints cost is one walk over their bytes, which makes nothing.
//
//   walk without a sink: are these bytes plain? ─ yes ─► EndpointBytes ─ to a worker, as they are ─► PlainEndpoints
//   walk with a sink:    the model's objects      ◄──────── `localities`, when a request needs a host ───┘
//
// Plain: localities of socket addresses by IP, with weights, priorities, health, host names and metadata; each field once and in
// the order of its number, as encoders write them. What is not plain is no error: decode/resource.ts decodes it, and words what is
// wrong. Called by decode/plain-endpoints.ts and by the program's workers, which need no protobuf library for it.
// Source: envoy/config/endpoint/v3/endpoint_components.proto, envoy/config/core/v3/{address,base}.proto.

import { isIP } from "node:net";
import type { Address } from "./model/address.ts";
import type {
  ClusterLoadAssignment,
  Endpoint,
  EndpointBytes,
  EndpointMetadata,
  HealthStatus,
  Locality,
  LocalityEndpoints,
} from "./model/endpoints.ts";

/** Tags: number of the field × 8 + wire type (0 a number, 2 bytes of a length). */
const ASSIGNMENT = { clusterName: 0x0a, endpoints: 0x12 };
const GROUP = { locality: 0x0a, lbEndpoints: 0x12, weight: 0x1a, priority: 0x28 };
const LOCALITY = { region: 0x0a, zone: 0x12, subZone: 0x1a };
const LB_ENDPOINT = { endpoint: 0x0a, health: 0x10, metadata: 0x1a, weight: 0x22 };
const ENDPOINT = { address: 0x0a, hostname: 0x1a };
const ADDRESS = { socketAddress: 0x0a };
const SOCKET_ADDRESS = { address: 0x12, portValue: 0x18 };
const WRAPPER = { value: 0x08 };

const HEALTH: readonly HealthStatus[] = ["unknown", "healthy", "unhealthy", "draining", "timeout", "degraded"];
const UNHEALTHY = new Set([2, 3, 4]);
const DEGRADED = 5;

const MAX_WEIGHT_SUM = 0xffffffff;
const MAX_PRIORITY = 128;
const MAX_PORT = 65_535;
/** Of one assignment; more are decoded at once, and the cluster says how many it takes. */
const MAX_ENDPOINTS = 65_536;
const OVERPROVISIONING = 140;

/** What an endpoint's metadata comes to; undefined: it is not plain. The key is its bytes, as Latin-1. */
export type MetadataOf = (key: string) => EndpointMetadata | undefined;

/** An assignment that reads its localities each time it is asked for them. */
export class PlainEndpoints implements ClusterLoadAssignment, EndpointBytes {
  readonly clusterName: string;
  readonly wire: string;
  readonly metadata: readonly EndpointMetadata[];
  readonly counted: EndpointBytes["counted"];

  constructor({ clusterName, wire, metadata, counted }: EndpointBytes) {
    this.clusterName = clusterName;
    this.wire = wire;
    this.metadata = metadata;
    this.counted = counted;
  }

  get localities(): readonly LocalityEndpoints[] {
    const known = new Map<string, EndpointMetadata>();
    const walk = new EndpointWalk(Buffer.from(this.wire, "latin1"), (key) => {
      const metadata = known.get(key) ?? this.metadata[known.size];
      if (metadata !== undefined) known.set(key, metadata);
      return metadata;
    });
    return walk.read() ?? [];
  }

  get overprovisioningFactor(): number {
    return OVERPROVISIONING;
  }

  get dropOverloads(): readonly [] {
    return [];
  }
}

/** Reads the bytes of one ClusterLoadAssignment, once. */
export class EndpointWalk {
  readonly #bytes: Buffer;
  readonly #metadataOf: MetadataOf;
  /** Localities, when objects are to be made. */
  #groups: LocalityEndpoints[] | undefined = undefined;
  #endpoints: Endpoint[] = [];
  #at = 0;
  /** Addresses met, as bytes: one that stands twice is not plain. */
  readonly #addresses = new Set<string>();
  #weights = 0;
  #groupWeights = 0;
  #address: Address | undefined = undefined;
  clusterName = "";
  healthy = 0;
  degraded = 0;
  unhealthy = 0;

  constructor(bytes: Uint8Array, metadataOf: MetadataOf) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#metadataOf = metadataOf;
  }

  /** Whether everything in it is plain; what can be said without objects is known then. */
  check(): boolean {
    return this.#assignment() && this.clusterName !== "";
  }

  /** The localities; undefined when they are not plain. */
  read(): readonly LocalityEndpoints[] | undefined {
    this.#groups = [];
    return this.check() ? this.#groups : undefined;
  }

  #assignment(): boolean {
    const end = this.#bytes.length;
    for (let last = 0; this.#at < end;) {
      const tag = this.#bytes[this.#at++] as number;
      const until = this.#end(end);
      if (until < 0 || tag < last || (tag === last && tag !== ASSIGNMENT.endpoints)) return false;
      last = tag;
      if (tag === ASSIGNMENT.endpoints) {
        if (!this.#group(until)) return false;
      } else if (tag === ASSIGNMENT.clusterName) {
        const name = this.#text(until);
        if (name === undefined) return false;
        this.clusterName = name;
      } else return false;
    }
    return true;
  }

  /** LocalityLbEndpoints. */
  #group(end: number): boolean {
    let locality: Locality = NO_LOCALITY;
    let weight = 0;
    let priority = 0;
    this.#weights = 0;
    for (let last = 0; this.#at < end;) {
      const tag = this.#bytes[this.#at++] as number;
      if (tag < last || (tag === last && tag !== GROUP.lbEndpoints)) return false;
      last = tag;
      if (tag === GROUP.priority) {
        priority = this.#number(end, MAX_PRIORITY);
        if (priority < 0) return false;
        continue;
      }
      const until = this.#end(end);
      if (until < 0) return false;
      if (tag === GROUP.lbEndpoints) {
        if (!this.#lbEndpoint(until)) return false;
      } else if (tag === GROUP.locality) {
        const read = this.#locality(until);
        if (read === undefined) return false;
        locality = read;
      } else if (tag === GROUP.weight) {
        weight = this.#weight(until);
        if (weight < 0) return false;
      } else return false;
    }
    // Over all priorities: what only the sum of one would allow is left to the decoder.
    this.#groupWeights += weight;
    if (this.#weights > MAX_WEIGHT_SUM || this.#groupWeights > MAX_WEIGHT_SUM) return false;
    if (this.#groups !== undefined) {
      this.#groups.push({ locality, weight, priority, metadata: undefined, endpoints: this.#endpoints });
      this.#endpoints = [];
    }
    return true;
  }

  #locality(end: number): Locality | undefined {
    let [region, zone, subZone] = ["", "", ""];
    for (let last = 0; this.#at < end;) {
      const tag = this.#bytes[this.#at++] as number;
      const until = this.#end(end);
      const text = until < 0 || tag <= last ? undefined : this.#text(until);
      if (text === undefined) return undefined;
      last = tag;
      if (tag === LOCALITY.region) region = text;
      else if (tag === LOCALITY.zone) zone = text;
      else if (tag === LOCALITY.subZone) subZone = text;
      else return undefined;
    }
    return { region, zone, subZone };
  }

  #lbEndpoint(end: number): boolean {
    let hostname: string | undefined = undefined;
    let health = 0;
    let weight = 1;
    let metadata: EndpointMetadata | undefined = undefined;
    for (let last = 0; this.#at < end;) {
      const tag = this.#bytes[this.#at++] as number;
      if (tag <= last) return false;
      last = tag;
      if (tag === LB_ENDPOINT.health) {
        health = this.#number(end, HEALTH.length - 1);
        if (health < 0) return false;
        continue;
      }
      const until = this.#end(end);
      if (until < 0) return false;
      if (tag === LB_ENDPOINT.endpoint) {
        hostname = this.#endpoint(until);
        if (hostname === undefined) return false;
      } else if (tag === LB_ENDPOINT.metadata) {
        metadata = this.#metadataOf(this.#bytes.toString("latin1", this.#at, until));
        if (metadata === undefined) return false;
        this.#at = until;
      } else if (tag === LB_ENDPOINT.weight) {
        weight = this.#weight(until);
        if (weight < 0) return false;
      } else return false;
    }
    if (hostname === undefined || this.#addresses.size > MAX_ENDPOINTS) return false;
    this.#weights += weight;
    if (UNHEALTHY.has(health)) this.unhealthy++;
    else if (health === DEGRADED) this.degraded++;
    else this.healthy++;
    if (this.#groups !== undefined && this.#address !== undefined) {
      this.#endpoints.push({
        address: this.#address,
        hostname,
        health: HEALTH[health] ?? "unknown",
        weight,
        metadata: metadata?.bytes,
        socketMatch: metadata?.socketMatch,
      });
    }
    return true;
  }

  /** Its host name; undefined: not plain, or without an address. */
  #endpoint(end: number): string | undefined {
    let hostname = "";
    let hasAddress = false;
    for (let last = 0; this.#at < end;) {
      const tag = this.#bytes[this.#at++] as number;
      const until = this.#end(end);
      if (until < 0 || tag <= last) return undefined;
      last = tag;
      if (tag === ENDPOINT.address) {
        if (this.#bytes[this.#at++] !== ADDRESS.socketAddress || this.#end(until) !== until) return undefined;
        if (!this.#socketAddress(until)) return undefined;
        hasAddress = true;
      } else if (tag === ENDPOINT.hostname) {
        const text = this.#text(until);
        if (text === undefined) return undefined;
        hostname = text;
      } else return undefined;
    }
    return hasAddress ? hostname : undefined;
  }

  /** An address and a port, both. */
  #socketAddress(end: number): boolean {
    const start = this.#at;
    if (this.#bytes[this.#at++] !== SOCKET_ADDRESS.address) return false;
    const until = this.#end(end);
    if (until < 0) return false;
    const from = this.#at;
    const isV4 = isDotted(this.#bytes, from, until);
    this.#at = until;
    if (!isV4 && isIP(this.#bytes.toString("latin1", from, until)) === 0) return false;
    if (this.#at >= end || this.#bytes[this.#at++] !== SOCKET_ADDRESS.portValue) return false;
    const port = this.#number(end, MAX_PORT);
    if (port < 0 || this.#at !== end) return false;
    const key = this.#bytes.toString("latin1", start, end);
    if (this.#addresses.has(key)) return false;
    this.#addresses.add(key);
    if (this.#groups !== undefined) {
      this.#address = { kind: "tcp", host: this.#bytes.toString("latin1", from, until), port };
    }
    return true;
  }

  /** UInt32Value, at least 1; -1: not plain. */
  #weight(end: number): number {
    if (this.#at >= end || this.#bytes[this.#at++] !== WRAPPER.value) return -1;
    const weight = this.#number(end, MAX_WEIGHT_SUM);
    return this.#at === end && weight > 0 ? weight : -1;
  }

  /** Where the field that has its length next ends; -1 when that is beyond `limit`. */
  #end(limit: number): number {
    const length = this.#number(limit, limit);
    return length < 0 || this.#at + length > limit ? -1 : this.#at + length;
  }

  /** A varint as short as it can be; -1 when it is none, ends beyond `limit` or is more than `most`. */
  #number(limit: number, most: number): number {
    let value = 0;
    for (let scale = 1; this.#at < limit && scale < MAX_WEIGHT_SUM; scale *= 128) {
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value > most || (byte === 0 && scale > 1) ? -1 : value;
    }
    return -1;
  }

  /** ASCII up to `end`; undefined when it is not. */
  #text(end: number): string | undefined {
    const start = this.#at;
    for (let at = start; at < end; at++) {
      if ((this.#bytes[at] as number) >= 0x80) return undefined;
    }
    this.#at = end;
    return this.#bytes.toString("latin1", start, end);
  }
}

const NO_LOCALITY: Locality = { region: "", zone: "", subZone: "" };

/** Four numbers up to 255 without leading zeros. */
function isDotted(bytes: Uint8Array, from: number, end: number): boolean {
  let parts = 1;
  let value = -1;
  for (let at = from; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x2e) {
      if (value < 0 || ++parts > 4) return false;
      value = -1;
    } else {
      if (byte < 0x30 || byte > 0x39 || value === 0) return false;
      value = (value < 0 ? 0 : value * 10) + byte - 0x30;
      if (value > 255) return false;
    }
  }
  return parts === 4 && value >= 0;
}
