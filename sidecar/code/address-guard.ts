// Which hosts a fetch may reach that it was sent to by somebody else: a redirect, a token realm, a registry's name in DNS.
// Pure; http-fetch.ts asks before it connects and for each address that a name resolves to, so that a name that
// changes its mind between check and use gains nothing. Private networks stay reachable: registries live there.

import { BlockList, isIP, isIPv4 } from "node:net";

/** Never: this network, link-local (cloud metadata among it), multicast, broadcast. */
const NEVER = new BlockList();
NEVER.addSubnet("0.0.0.0", 8, "ipv4");
NEVER.addSubnet("169.254.0.0", 16, "ipv4");
NEVER.addSubnet("224.0.0.0", 3, "ipv4");
NEVER.addAddress("100.100.100.200", "ipv4");
NEVER.addAddress("192.0.0.192", "ipv4");
NEVER.addAddress("168.63.129.16", "ipv4");
NEVER.addAddress("::", "ipv6");
NEVER.addSubnet("fe80::", 10, "ipv6");
NEVER.addSubnet("ff00::", 8, "ipv6");
NEVER.addAddress("fd00:ec2::254", "ipv6");
NEVER.addAddress("fd20:ce::254", "ipv6");

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Whether `host` (a URL's host name, IPv6 in brackets or not) is the machine itself by its text alone. */
export function isLoopbackHost(host: string): boolean {
  const bare = withoutBrackets(host).toLowerCase();
  return bare === "localhost" || bare.endsWith(".localhost") || (isIP(bare) !== 0 && isIn(LOOPBACK, bare));
}

/** Why an IP address must not be reached, or undefined. */
export function addressProblem(address: string, loopbackAllowed: boolean): string | undefined {
  const bare = withoutBrackets(address);
  if (isIP(bare) === 0) {
    return `"${bare}" is no IP address`;
  }
  if (isIn(NEVER, bare)) {
    return `the address ${bare} is link-local, reserved or a cloud's metadata service`;
  }
  return !loopbackAllowed && isIn(LOOPBACK, bare) ? `the address ${bare} is this machine's own` : undefined;
}

/** IPv4 inside IPv6 counts as what it reaches: mapped, translated (NAT64), 6to4. */
function isIn(list: BlockList, address: string): boolean {
  if (isIPv4(address)) {
    return list.check(address, "ipv4");
  }
  const inner = innerIpv4(address);
  return list.check(address, "ipv6") || (inner !== undefined && list.check(inner, "ipv4"));
}

function innerIpv4(address: string): string | undefined {
  const groups = groupsOf(address);
  const high = (at: number): string => `${(groups[at] ?? 0) >> 8}.${(groups[at] ?? 0) & 0xff}`;
  const leading = groups.slice(0, 5).every((group) => group === 0);
  const isMapped = leading && (groups[5] === 0xffff || (groups[5] === 0 && (groups[6] ?? 0) > 0));
  const isNat64 = groups[0] === 0x64 && groups[1] === 0xff9b;
  if (isMapped || isNat64) {
    return `${high(6)}.${high(7)}`;
  }
  return groups[0] === 0x2002 ? `${high(1)}.${high(2)}` : undefined;
}

/** The eight groups of an IPv6 address that is known to be one. */
function groupsOf(address: string): number[] {
  const plain = (address.split("%")[0] ?? "").replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const group = (x: string, y: string): string => (Number(x) * 256 + Number(y)).toString(16);
    return `${group(String(a), String(b))}:${group(String(c), String(d))}`;
  });
  const [head = "", tail] = plain.split("::");
  const parse = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((part) => Number.parseInt(part, 16));
  const [before, after] = [parse(head), parse(tail ?? "")];
  return [...before, ...Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => 0), ...after];
}

function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
