// How single properties are made from a stream's facts: header maps, addresses, paths, response flags.
// Used by stream-properties.ts only.

import type { PropertyValue } from "../../plugins/property-value.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { StreamInfo } from "./stream-info.ts";

export type HeaderMapName = "request" | "response" | "requestTrailers" | "responseTrailers";

/** The properties that are whole maps; one more segment picks a field. */
export const HEADER_MAP_PROPERTIES: ReadonlyMap<string, HeaderMapName> = new Map([
  ["request\0headers", "request"],
  ["response\0headers", "response"],
  ["request\0trailers", "requestTrailers"],
  ["response\0trailers", "responseTrailers"],
]);

/** The whole map when `name` is empty, else all values of one field joined by commas. */
export function headerProperty(info: StreamInfo, map: HeaderMapName, name: string): PropertyValue | undefined {
  const headers = mapOf(info, map);
  if (headers === undefined) {
    return undefined;
  }
  const pseudo = pseudoFields(info, map);
  if (name !== "") {
    return pseudo.find(([key]) => key === name)?.[1] ?? headers.getJoined(name);
  }
  const entries: [string, PropertyValue][] = [...pseudo];
  for (const [key, value] of headers) {
    const lower = key.toLowerCase();
    if (lower !== "host") {
      entries.push([lower, value]);
    }
  }
  return { kind: "map", entries };
}

function mapOf(info: StreamInfo, map: HeaderMapName): HeaderMap | undefined {
  switch (map) {
    case "request":
      return info.requestHead.headers;
    case "response":
      return info.responseHead?.headers;
    case "requestTrailers":
      return info.requestTrailers;
    case "responseTrailers":
      return info.responseTrailers;
  }
}

function pseudoFields(info: StreamInfo, map: HeaderMapName): [string, string][] {
  if (map === "request") {
    const head = info.requestHead;
    return [
      [":authority", head.authority],
      [":path", head.path],
      [":method", head.method],
      [":scheme", head.scheme],
    ];
  }
  return map === "response" && info.responseHead !== undefined ? [[":status", String(info.responseHead.status)]] : [];
}

export function urlPath(path: string): string {
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}

export function queryOf(path: string): string {
  const query = path.indexOf("?");
  return query < 0 ? "" : path.slice(query + 1);
}

/** `address:port`, with brackets around IPv6. */
export function hostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
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
