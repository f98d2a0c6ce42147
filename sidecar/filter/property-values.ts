// How single properties are made from a stream's facts: header maps, addresses, paths, response flags.
// Used by stream-properties.ts only.

import type { PropertyMap } from "../../plugins/property-value.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";

/** Fields that Envoy keeps in the map and outrigger beside it. */
type PseudoFields = readonly (readonly [string, string])[];

/** A header or trailer map as a property: one entry a name, in lower case, its values joined by commas. */
class FieldsProperty implements PropertyMap {
  readonly kind = "map";
  readonly #headers: HeaderMap | undefined;
  /** Made when somebody asks for one, or for all. */
  readonly #pseudo: () => PseudoFields;

  constructor(headers: HeaderMap | undefined, pseudo: () => PseudoFields) {
    this.#headers = headers;
    this.#pseudo = pseudo;
  }

  get entries(): (readonly [string, string])[] {
    const values = new Map(this.#pseudo());
    const isRequest = values.has(":authority");
    for (const [name, value] of this.#headers ?? []) {
      const lower = name.toLowerCase();
      // `host` is there as `:authority`.
      if (lower !== "host" || !isRequest) {
        const before = values.get(lower);
        values.set(lower, before === undefined ? value : `${before},${value}`);
      }
    }
    return [...values];
  }

  get(name: string): string | undefined {
    const lower = name.toLowerCase();
    return lower.startsWith(":") ? this.#pseudo().find(([key]) => key === lower)?.[1] : this.#headers?.getJoined(lower);
  }
}

/** False on TCP. */
export function isRequest(head: RequestHead): boolean {
  return head.method !== "";
}

function requestPseudo(head: RequestHead): PseudoFields {
  if (!isRequest(head)) {
    return [];
  }
  return [
    [":authority", head.authority],
    [":path", head.path],
    [":method", head.method],
    [":scheme", head.scheme],
  ];
}

function responsePseudo(head: ResponseHead | undefined): PseudoFields {
  return head === undefined ? [] : [[":status", String(head.status)]];
}

export function requestFields(head: RequestHead): PropertyMap {
  return new FieldsProperty(head.headers, () => requestPseudo(head));
}

/** Empty as long as there is no response. */
export function responseFields(head: ResponseHead | undefined): PropertyMap {
  return new FieldsProperty(head?.headers, () => responsePseudo(head));
}

export function trailerFields(trailers: HeaderMap | undefined): PropertyMap {
  return new FieldsProperty(trailers, () => []);
}

/** Bytes of names and values, as Envoy counts a header map: pseudo-headers too, separators not. */
export function requestFieldBytes(head: RequestHead): number {
  return fieldBytes(head.headers, requestPseudo(head)) - hostBytes(head.headers);
}

export function responseFieldBytes(head: ResponseHead | undefined): number {
  return fieldBytes(head?.headers, responsePseudo(head));
}

export function trailerFieldBytes(trailers: HeaderMap | undefined): number {
  return fieldBytes(trailers, []);
}

function fieldBytes(headers: HeaderMap | undefined, pseudo: PseudoFields): number {
  let bytes = 0;
  for (const [name, value] of pseudo) {
    bytes += name.length + value.length;
  }
  for (const [name, value] of headers ?? []) {
    bytes += name.length + value.length;
  }
  return bytes;
}

function hostBytes(headers: HeaderMap): number {
  const host = headers.get("host");
  return host === undefined ? 0 : "host".length + host.length;
}

/** The request's size: what it says, else what has come. undefined: it says nonsense. */
export function requestSize(head: RequestHead, received: number): number | undefined {
  const length = head.headers.get("content-length");
  if (length === undefined) {
    return received;
  }
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

export function urlPath(path: string): string {
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}

export function queryOf(path: string): string {
  const query = path.indexOf("?");
  return query < 0 ? "" : (path.slice(query + 1).split("#", 1)[0] as string);
}

/** `address:port`, with brackets around IPv6. */
export function hostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The port of `address:port`; undefined when there is none. */
export function portOf(address: string): number | undefined {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return address !== "" && Number.isInteger(port) ? port : undefined;
}

// Envoy's CoreResponseFlag, in the order of its enumeration (stream_info.h).
const FLAGS = [
  "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH", "DPE",
  "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
]; // prettier-ignore

/** Envoy's bit mask for flag letters joined by commas. */
export function flagBits(letters: string): number {
  let bits = 0;
  for (const letter of letters === "" ? [] : letters.split(",")) {
    const index = FLAGS.indexOf(letter);
    if (index >= 0) {
      bits += 2 ** index;
    }
  }
  return bits;
}

/** gRPC's status of a response: what its trailers or head say, else what gRPC makes of the HTTP status. */
export function grpcStatus(head: ResponseHead | undefined, trailers: HeaderMap | undefined): number | undefined {
  const said = trailers?.get("grpc-status") ?? head?.headers.get("grpc-status");
  if (said !== undefined) {
    return /^\d{1,9}$/.test(said) ? Number(said) : INVALID_GRPC_STATUS;
  }
  return head === undefined ? undefined : (GRPC_OF_HTTP[head.status] ?? GRPC_UNKNOWN);
}

const INVALID_GRPC_STATUS = -1;
const GRPC_UNKNOWN = 2;
const GRPC_OF_HTTP: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};
