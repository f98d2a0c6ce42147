// The shape of a discovery response, before any resource is decoded: what makes it wrong as a whole, and the name
// inside an encoded resource without decoding it. Pure. Called by intake.ts.

import type { DiscoveryResponse } from "./discovery-messages.ts";

/** What is wrong with the response as a whole; undefined when nothing is. */
export function shapeProblem(response: DiscoveryResponse): string | undefined {
  for (const [index, resource] of response.resources.entries()) {
    if (resource.bytes === undefined) continue;
    if (resource.typeUrl !== response.typeUrl) {
      return `resources[${index}] is of type ${JSON.stringify(resource.typeUrl)}, not ${JSON.stringify(response.typeUrl)}`;
    }
    if (response.kind === "delta" && resource.name === "") return `resources[${index}] has no name`;
  }
  if (response.kind === "sotw") return undefined;
  const names = new Set<string>();
  for (const name of [...response.resources.map((resource) => resource.name), ...response.removed]) {
    if (names.has(name)) return `the resource ${JSON.stringify(name)} is in the response twice`;
    names.add(name);
  }
  return undefined;
}

const NAME_TAG = 0x0a;

/**
 * The name of an encoded resource. Every xDS resource type has its name in field 1 (cluster_name for endpoints), and
 * encoders write fields in order, so it is at the start; empty when it is not, and then decoding finds it.
 */
export function peekName(bytes: Uint8Array): string {
  if (bytes[0] !== NAME_TAG) return "";
  let length = 0;
  let offset = 1;
  for (let shift = 0; shift <= 21; shift += 7) {
    const byte = bytes[offset];
    if (byte === undefined) return "";
    offset += 1;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (offset + length > bytes.length) return "";
      return Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString("utf8");
    }
  }
  return "";
}
