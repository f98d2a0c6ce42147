// Ranges of addresses, asked which of them hold an address: one look into a table for each length of prefix that is there,
// however many ranges there are. Used by match-tree.ts.

import { isIP } from "node:net";
import type { CidrRange } from "../../xds/model/address.ts";

interface Length<T> {
  /** Bits that do not count. */
  readonly shift: bigint;
  /** By the bits that count. */
  readonly values: Map<bigint, T[]>;
}

export class IpRanges<T> {
  /** The longest prefix first. */
  readonly #v4: readonly Length<T>[];
  readonly #v6: readonly Length<T>[];

  constructor(entries: readonly (readonly [range: CidrRange, value: T])[]) {
    this.#v4 = lengthsOf(entries, 4);
    this.#v6 = lengthsOf(entries, 6);
  }

  /** What the ranges have that hold the address, the longest prefix first, then in their order. undefined: it is no address. */
  find(address: string): readonly T[] | undefined {
    const family = isIP(address);
    if (family === 0) {
      return undefined;
    }
    const bits = family === 4 ? bitsOfV4(address) : bitsOfV6(address);
    return (family === 4 ? this.#v4 : this.#v6).flatMap(({ shift, values }) => values.get(bits >> shift) ?? []);
  }
}

function lengthsOf<T>(entries: readonly (readonly [range: CidrRange, value: T])[], family: 4 | 6): Length<T>[] {
  const lengths = new Map<number, Length<T>>();
  for (const [{ address, prefixLength }, value] of entries) {
    if (isIP(address) !== family) {
      continue;
    }
    const shift = BigInt((family === 4 ? 32 : 128) - prefixLength);
    const length = lengths.get(prefixLength) ?? { shift, values: new Map<bigint, T[]>() };
    lengths.set(prefixLength, length);
    const key = (family === 4 ? bitsOfV4(address) : bitsOfV6(address)) >> shift;
    const values = length.values.get(key);
    if (values === undefined) {
      length.values.set(key, [value]);
    } else {
      values.push(value);
    }
  }
  return [...lengths].toSorted(([a], [b]) => b - a).map(([, length]) => length);
}

function bitsOfV4(address: string): bigint {
  return address.split(".").reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

/** Without its zone. The last 32 bits may stand as an IPv4 address. */
function bitsOfV6(address: string): bigint {
  const [text = ""] = address.split("%");
  const [before = "", after] = text.split("::");
  const head = groupsOf(before);
  const tail = after === undefined ? [] : groupsOf(after);
  const missing = Array.from({ length: 8 - head.length - tail.length }, () => 0n);
  return [...head, ...missing, ...tail].reduce((bits, group) => (bits << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  return text.split(":").flatMap((group): bigint[] => {
    if (group.includes(".")) {
      const bits = bitsOfV4(group);
      return [bits >> 16n, bits & 0xffffn];
    }
    return group === "" ? [] : [BigInt(`0x${group}`)];
  });
}
