// Settings → rules, in words that both nftables and iptables can say (nft-script.ts, restore-script.ts).
// Six hooks, each a flat list: the first rule that fits and ends decides. What Istio's rules do, in fewer of them.
// Pure; test/sidecar/interception/ has the cases, and integration tests run them in network namespaces.
//
//   inbound   REDIRECT: nat_prerouting    → 15006        TPROXY: mangle_prerouting → 15006, marks keep replies on their way
//   outbound  nat_output → 15001          own traffic (by uid or gid) is left alone, except to the pod itself: → 15006
//   DNS       nat_output → 15053, and raw_* keep the two halves apart in conntrack

import { isIPv6 } from "node:net";
import type { CaptureSettings } from "./capture-settings.ts";

export const HOOKS = [
  "raw_prerouting",
  "raw_output",
  "mangle_prerouting",
  "mangle_output",
  "nat_prerouting",
  "nat_output",
] as const;
export type Hook = (typeof HOOKS)[number];

/** All that is given must fit. Addresses are CIDRs and make the rule one of their family. */
export interface Match {
  readonly input?: string;
  readonly output?: string;
  readonly protocol?: "tcp" | "udp";
  readonly destinationPort?: number;
  readonly exceptDestinationPorts?: readonly number[];
  readonly sourcePort?: number;
  readonly source?: string;
  readonly destination?: string;
  readonly exceptDestination?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly exceptGids?: readonly string[];
  readonly mark?: number;
  readonly exceptMark?: number;
  readonly connectionMark?: number;
  readonly state?: "established" | "invalid";
}

export type Verdict =
  | { readonly kind: "return" | "drop" }
  | { readonly kind: "redirect"; readonly port: number }
  | { readonly kind: "tproxy"; readonly port: number; readonly mark: number }
  /** Marks the packet, so that it is routed to the sidecar, and ends. */
  | { readonly kind: "divert"; readonly mark: number }
  /** These three go on with the next rule. */
  | { readonly kind: "set_mark"; readonly mark: number }
  | { readonly kind: "save_mark" | "restore_mark" }
  | { readonly kind: "zone"; readonly zone: number };

export interface Rule {
  readonly hook: Hook;
  readonly match: Match;
  readonly verdict: Verdict;
}

/** Hops of the sidecar to the application come from there, and are left alone. */
export const INBOUND_SOURCES = ["127.0.0.6/32", "::6/128"] as const;
const LOOPBACKS = ["127.0.0.1/32", "::1/128"] as const;
/** Set on what the sidecar sends to its own pod in TPROXY mode, so that it is captured inbound; Istio's number. */
const SELF_MARK = 1338;
const DNS = 53;

const RETURN: Verdict = { kind: "return" };

export function captureRules(settings: CaptureSettings): readonly Rule[] {
  return [
    ...dnsZones(settings),
    ...(settings.dropInvalid
      ? [rule("mangle_prerouting", { protocol: "tcp", state: "invalid" }, { kind: "drop" })]
      : []),
    ...(settings.mode === "TPROXY" && settings.inboundPorts.length > 0 ? transparentInbound(settings) : []),
    ...natPrerouting(settings),
    ...natOutput(settings),
  ];
}

function rule(hook: Hook, match: Match, verdict: Verdict): Rule {
  return { hook, match, verdict };
}

function owners(settings: CaptureSettings): readonly Match[] {
  return [...settings.proxyUids.map((uid) => ({ uid })), ...settings.proxyGids.map((gid) => ({ gid }))];
}

function natPrerouting(settings: CaptureSettings): readonly Rule[] {
  const hook = "nat_prerouting";
  const redirectOut: Verdict = { kind: "redirect", port: settings.outboundPort };
  const rules: Rule[] = settings.excludeInterfaces.map((input) => rule(hook, { input }, RETURN));
  for (const input of settings.rerouteInterfaces) {
    const cidrs = settings.outboundCidrs;
    const wanted = cidrs === "all" ? [{ input }] : cidrs.map((destination) => ({ input, destination }));
    rules.push(...wanted.map((match) => rule(hook, { ...match, protocol: "tcp" }, redirectOut)));
    rules.push(rule(hook, { input }, RETURN));
  }
  if (settings.mode === "REDIRECT") {
    rules.push(...inbound(settings, hook, {}, { kind: "redirect", port: settings.inboundPort }));
  }
  return rules;
}

/** What is captured inbound gets `verdict`. */
function inbound(settings: CaptureSettings, hook: Hook, also: Match, verdict: Verdict): readonly Rule[] {
  const { inboundPorts } = settings;
  if (inboundPorts !== "all") {
    return inboundPorts.map((destinationPort) => rule(hook, { protocol: "tcp", destinationPort, ...also }, verdict));
  }
  const left = [settings.tunnelPort, ...settings.inboundPortsExclude];
  return [
    ...left.map((destinationPort) => rule(hook, { protocol: "tcp", destinationPort }, RETURN)),
    rule(hook, { protocol: "tcp", ...also }, verdict),
  ];
}

function natOutput(settings: CaptureSettings): readonly Rule[] {
  const hook = "nat_output";
  const { outboundCidrs } = settings;
  const rules: Rule[] = settings.excludeInterfaces.map((output) => rule(hook, { output }, RETURN));
  for (const destinationPort of settings.outboundPortsExclude) {
    rules.push(rule(hook, { protocol: "tcp", destinationPort }, RETURN));
    rules.push(rule(hook, { protocol: "udp", destinationPort }, RETURN));
  }
  rules.push(...INBOUND_SOURCES.map((source) => rule(hook, { output: "lo", source }, RETURN)));
  if (settings.mode === "REDIRECT" && settings.inboundPorts.length > 0) {
    rules.push(...ownCalls(settings));
  }
  // All else of the sidecar goes straight out, whatever the protocol.
  rules.push(...owners(settings).map((owner) => rule(hook, owner, RETURN)));
  rules.push(...settings.ownerGroupsExclude.map((gid) => rule(hook, { gid }, RETURN)));
  if (settings.ownerGroups !== "all") {
    rules.push(rule(hook, { exceptGids: settings.ownerGroups }, RETURN));
  }
  rules.push(...dnsRedirects(settings));
  const wantsLoopback =
    outboundCidrs !== "all" && outboundCidrs.some((cidr) => cidr.startsWith("127.") || cidr.startsWith("::1/"));
  if (!wantsLoopback) {
    // The application calling itself, by whatever address.
    rules.push(rule(hook, { output: "lo" }, RETURN));
  }
  rules.push(...LOOPBACKS.map((destination) => rule(hook, { destination }, RETURN)));
  rules.push(...settings.outboundCidrsExclude.map((destination) => rule(hook, { destination }, RETURN)));
  const out: Verdict = { kind: "redirect", port: settings.outboundPort };
  rules.push(...settings.outboundPorts.map((destinationPort) => rule(hook, { protocol: "tcp", destinationPort }, out)));
  if (outboundCidrs === "all") {
    rules.push(rule(hook, { protocol: "tcp" }, out));
  } else {
    rules.push(...outboundCidrs.map((destination) => rule(hook, { protocol: "tcp", destination }, out)));
  }
  return rules;
}

/** The application called itself by its service's address, and the sidecar chose its own pod: that comes in like any other call. */
function ownCalls(settings: CaptureSettings): readonly Rule[] {
  const exceptDestinationPorts = settings.dns === undefined ? [settings.tunnelPort] : [DNS, settings.tunnelPort];
  return owners(settings).flatMap((owner) =>
    LOOPBACKS.map((exceptDestination) =>
      rule(
        "nat_output",
        { output: "lo", exceptDestination, protocol: "tcp", exceptDestinationPorts, ...owner },
        { kind: "redirect", port: settings.inboundPort },
      ),
    ),
  );
}

/** Keeps addresses as they are. Marks bring replies of the application to a client's address back to the sidecar. */
function transparentInbound(settings: CaptureSettings): readonly Rule[] {
  const { tproxyMark: mark } = settings;
  const hook = "mangle_prerouting";
  const tcp = { protocol: "tcp" } as const;
  const rules: Rule[] = settings.excludeInterfaces.map((input) => rule(hook, { input }, RETURN));
  rules.push(rule(hook, { ...tcp, mark }, { kind: "save_mark" }));
  rules.push(rule(hook, { ...tcp, mark }, RETURN));
  rules.push(...INBOUND_SOURCES.map((source) => rule(hook, { ...tcp, input: "lo", source }, RETURN)));
  rules.push(rule(hook, { ...tcp, input: "lo", exceptMark: SELF_MARK }, RETURN));
  if (settings.inboundPorts === "all") {
    const left = [settings.tunnelPort, ...settings.inboundPortsExclude];
    rules.push(...left.map((destinationPort) => rule(hook, { ...tcp, destinationPort }, RETURN)));
  }
  const ports = settings.inboundPorts === "all" ? [undefined] : settings.inboundPorts;
  for (const destinationPort of ports) {
    const wanted = destinationPort === undefined ? tcp : { ...tcp, destinationPort };
    rules.push(rule(hook, { ...wanted, state: "established" }, { kind: "divert", mark }));
    rules.push(
      ...LOOPBACKS.map((exceptDestination) =>
        rule(hook, { ...wanted, exceptDestination }, { kind: "tproxy", port: settings.inboundPort, mark }),
      ),
    );
  }
  rules.push(...settings.excludeInterfaces.map((output) => rule("mangle_output", { output }, RETURN)));
  rules.push(rule("mangle_output", { ...tcp, output: "lo", mark }, RETURN));
  for (const owner of owners(settings)) {
    for (const exceptDestination of LOOPBACKS) {
      const match = { ...tcp, output: "lo", exceptDestination, ...owner };
      rules.push(rule("mangle_output", match, { kind: "set_mark", mark: SELF_MARK }));
    }
  }
  rules.push(rule("mangle_output", { ...tcp, connectionMark: mark }, { kind: "restore_mark" }));
  return rules;
}

function dnsServers({ dns }: CaptureSettings): readonly (string | undefined)[] {
  return dns === undefined
    ? []
    : dns === "all"
      ? [undefined]
      : dns.map((server) => `${server}/${isIPv6(server) ? 128 : 32}`);
}

function dnsRedirects(settings: CaptureSettings): readonly Rule[] {
  return dnsServers(settings).flatMap((destination) =>
    (["tcp", "udp"] as const).map((protocol) =>
      rule(
        "nat_output",
        { protocol, destinationPort: DNS, ...(destination === undefined ? {} : { destination }) },
        { kind: "redirect", port: settings.dnsPort },
      ),
    ),
  );
}

/** The application's question and the sidecar's own may use the same ports at the same time: each half has a zone of its own. */
function dnsZones(settings: CaptureSettings): readonly Rule[] {
  const servers = dnsServers(settings);
  if (servers.length === 0) {
    return [];
  }
  const udp = { protocol: "udp" } as const;
  const own = owners(settings).flatMap((owner) => [
    rule("raw_output", { ...udp, destinationPort: DNS, ...owner }, { kind: "zone", zone: 1 }),
    rule("raw_output", { ...udp, sourcePort: settings.dnsPort, ...owner }, { kind: "zone", zone: 2 }),
  ]);
  const others = servers.flatMap((server) => [
    rule(
      "raw_output",
      { ...udp, destinationPort: DNS, ...(server === undefined ? {} : { destination: server }) },
      { kind: "zone", zone: 2 },
    ),
    rule(
      "raw_prerouting",
      { ...udp, sourcePort: DNS, ...(server === undefined ? {} : { source: server }) },
      { kind: "zone", zone: 1 },
    ),
  ]);
  return [...own, ...others];
}

/** The family that a rule is for, by the addresses in it; undefined: both. */
export function familyOf({ source, destination, exceptDestination }: Match): 4 | 6 | undefined {
  const address = source ?? destination ?? exceptDestination;
  return address === undefined ? undefined : address.includes(":") ? 6 : 4;
}
