// What is captured and what is not, checked: the lists of flags and environment variables become values that may stand in a rule.
// Names and meanings are those of Istio's istio-iptables. Pure; cli/iptables/ reads flags, capture-rules.ts makes rules of it.

import { isIP } from "node:net";

/** Everything ("*"), or a list that may be empty. */
export type Selection<T> = "all" | readonly T[];

export interface CaptureSettings {
  readonly mode: "REDIRECT" | "TPROXY";
  /** Where outbound connections go. */
  readonly outboundPort: number;
  /** Where inbound ones go. */
  readonly inboundPort: number;
  /** Never captured inbound: the sidecar listens there itself. */
  readonly tunnelPort: number;
  /** Whose traffic is the sidecar's own: numbers or names. */
  readonly proxyUids: readonly string[];
  readonly proxyGids: readonly string[];
  readonly inboundPorts: Selection<number>;
  /** Counts only when all inbound ports are captured, as in Istio. */
  readonly inboundPortsExclude: readonly number[];
  readonly outboundCidrs: Selection<string>;
  readonly outboundCidrsExclude: readonly string[];
  /** Captured whatever their address. */
  readonly outboundPorts: readonly number[];
  readonly outboundPortsExclude: readonly number[];
  /** Only these groups' traffic is captured outbound. */
  readonly ownerGroups: Selection<string>;
  readonly ownerGroupsExclude: readonly string[];
  readonly excludeInterfaces: readonly string[];
  /** What comes in there is treated as going out (virtual machines in the pod). */
  readonly rerouteInterfaces: readonly string[];
  readonly tproxyMark: number;
  readonly tproxyTable: number;
  /** Undefined: DNS is not captured. "all": port 53 of everybody; else of these servers. */
  readonly dns: Selection<string> | undefined;
  readonly dnsPort: number;
  /** Drops packets that belong to no connection, instead of letting the kernel reset them. */
  readonly dropInvalid: boolean;
}

export type ListResult<T> = { readonly value: T } | { readonly problem: string };

/** Longest list of any kind: a rule each, and the kernel walks them for each connection. */
const MAX_ITEMS = 1024;

/** Splits at commas; spaces around items and empty items do not count. */
export function splitList(text: string): readonly string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

export function parsePorts(text: string): ListResult<readonly number[]> {
  return each(
    text,
    (item) => {
      const port = /^\d{1,5}$/.test(item) ? Number(item) : 0;
      return port >= 1 && port <= 65_535 ? port : undefined;
    },
    "a port from 1 to 65535",
  );
}

/** `10.0.0.0/8`, `fd00::/8`, or an address for itself alone. */
export function parseCidrs(text: string): ListResult<readonly string[]> {
  return each(text, parseCidr, "an address range such as 10.0.0.0/8 or fd00::/8");
}

function parseCidr(item: string): string | undefined {
  const slash = item.indexOf("/");
  const address = slash < 0 ? item : item.slice(0, slash);
  const family = isIP(address);
  if (family === 0 || address.includes("%")) {
    return undefined;
  }
  const longest = family === 4 ? 32 : 128;
  const length = slash < 0 ? String(longest) : item.slice(slash + 1);
  return /^\d{1,3}$/.test(length) && Number(length) <= longest ? `${address}/${Number(length)}` : undefined;
}

export function parseOwners(text: string): ListResult<readonly string[]> {
  return each(
    text,
    (item) => (/^(\d{1,10}|[a-z_][a-z0-9_-]{0,31})$/.test(item) ? item : undefined),
    "a number or a name of a user or group",
  );
}

/** A "+" at the end stands for any rest, as in iptables. */
export function parseInterfaces(text: string): ListResult<readonly string[]> {
  return each(
    text,
    (item) => (/^[A-Za-z0-9_.:@-]{1,15}\+?$/.test(item) ? item : undefined),
    "the name of a network interface",
  );
}

/** "*" is everything. */
export function selection<T>(
  text: string,
  parse: (text: string) => ListResult<readonly T[]>,
): ListResult<Selection<T>> {
  return text.trim() === "*" ? { value: "all" } : parse(text);
}

/** The addresses of the `nameserver` lines of a resolv.conf. */
export function nameServers(resolvConf: string): readonly string[] {
  return resolvConf
    .split("\n")
    .flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((address) => isIP(address) !== 0 && !address.includes("%"));
}

function each<T>(text: string, parse: (item: string) => T | undefined, wanted: string): ListResult<readonly T[]> {
  const items = splitList(text);
  if (items.length > MAX_ITEMS) {
    return { problem: `has ${items.length} items, at most ${MAX_ITEMS} are allowed` };
  }
  const values = new Set<T>();
  for (const item of items) {
    const value = parse(item);
    if (value === undefined) {
      return { problem: `${JSON.stringify(item)} is not ${wanted}` };
    }
    values.add(value);
  }
  return { value: [...values] };
}
