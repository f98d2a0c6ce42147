// The flags of `outrigger iptables`, with the names, letters and environment variables of Istio's istio-iptables, so that
// what an injector makes of annotations fits. A flag counts before its variable, and that before the default.
// Defaults are those that Istio's injector passes: without flags everything is captured.

import { readFileSync } from "node:fs";
import {
  type CaptureSettings,
  type ListResult,
  nameServers,
  parseCidrs,
  parseInterfaces,
  parseOwners,
  parsePorts,
  selection,
} from "../../interception/capture-settings.ts";
import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import type { CliIo } from "../verb.ts";

export interface IptablesOptions {
  readonly settings: CaptureSettings;
  readonly backend: "nft" | "iptables";
  /** False: the backend was not named, so that `clean` may look at both. */
  readonly backendGiven: boolean;
  readonly dryRun: boolean;
  readonly skipApply: boolean;
  readonly validateAfter: boolean;
  readonly probePort: number;
  readonly probeTimeoutMs: number;
}

export type OptionsResult =
  | { readonly ok: true; readonly options: IptablesOptions; readonly inert: readonly string[] }
  | { readonly ok: false; readonly problem: string };

interface EnvFlag extends Flag {
  readonly env?: readonly string[];
  readonly fallback: string;
}

function list(short: string, name: string, env: readonly string[], fallback: string, help: string): EnvFlag {
  return { name, short, kind: "string", value: "LIST", env, fallback, help };
}

function text(
  name: string,
  value: string,
  env: readonly string[],
  fallback: string,
  help: string,
  short = "",
): EnvFlag {
  return { name, kind: "string", value, env, fallback, help, ...(short === "" ? {} : { short }) };
}

function choice(name: string, env: readonly string[], help: string, short = ""): EnvFlag {
  return { name, kind: "boolean", env, fallback: "false", help, ...(short === "" ? {} : { short }) };
}

const FLAGS: readonly EnvFlag[] = [
  text("envoy-port", "PORT", ["ENVOY_PORT"], "15001", "where outbound connections go", "p"),
  text("inbound-capture-port", "PORT", ["INBOUND_CAPTURE_PORT"], "15006", "where inbound connections go", "z"),
  text("inbound-tunnel-port", "PORT", ["INBOUND_TUNNEL_PORT"], "15008", "never captured inbound", "e"),
  list("u", "proxy-uid", ["PROXY_UID"], "1337", "users whose traffic is the sidecar's own"),
  list("g", "proxy-gid", ["PROXY_GID"], "", "groups whose traffic is the sidecar's own (default as --proxy-uid)"),
  {
    ...text("istio-inbound-interception-mode", "MODE", ["ISTIO_INBOUND_INTERCEPTION_MODE"], "REDIRECT", "", "m"),
    help: "REDIRECT, or TPROXY, which keeps the client's address and needs CAP_NET_ADMIN in the sidecar",
  },
  list("b", "istio-inbound-ports", ["ISTIO_INBOUND_PORTS"], "*", "inbound ports to capture; * is all, empty none"),
  {
    ...list("d", "istio-local-exclude-ports", ["ISTIO_LOCAL_EXCLUDE_PORTS"], "15020,15021,15090", ""),
    help: "inbound ports not to capture, when all are",
  },
  list("i", "istio-service-cidr", ["ISTIO_SERVICE_CIDR"], "*", "outbound ranges to capture; * is all, empty none"),
  list("x", "istio-service-exclude-cidr", ["ISTIO_SERVICE_EXCLUDE_CIDR"], "", "outbound ranges not to capture"),
  list("q", "istio-outbound-ports", ["ISTIO_OUTBOUND_PORTS"], "", "outbound ports to capture whatever the address"),
  {
    ...list("o", "istio-local-outbound-ports-exclude", ["ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE"], "", ""),
    help: "outbound ports not to capture",
  },
  {
    ...list("c", "istio-exclude-interfaces", ["ISTIO_EXCLUDE_INTERFACES", "EXCLUDE_INTERFACES"], "", ""),
    help: "interfaces whose traffic is not captured in either direction",
  },
  {
    ...list("k", "kube-virt-interfaces", ["KUBE_VIRT_INTERFACES"], "", ""),
    help: "interfaces of virtual machines: what comes in there is captured as outbound",
  },
  {
    ...text("outbound-owner-groups", "LIST", ["ISTIO_OUTBOUND_OWNER_GROUPS"], "*", ""),
    help: "groups whose outbound traffic is captured",
  },
  {
    ...text("outbound-owner-groups-exclude", "LIST", ["ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"], "", ""),
    help: "groups whose outbound traffic is not captured",
  },
  text("istio-inbound-tproxy-mark", "NUMBER", ["ISTIO_INBOUND_TPROXY_MARK"], "1337", "the mark of TPROXY", "t"),
  {
    ...text("istio-inbound-tproxy-route-table", "NUMBER", ["ISTIO_INBOUND_TPROXY_ROUTE_TABLE"], "133", "", "r"),
    help: "the routing table of TPROXY",
  },
  choice("redirect-dns", ["REDIRECT_DNS", "ISTIO_META_DNS_CAPTURE"], "captures DNS of the servers in /etc/resolv.conf"),
  choice("capture-all-dns", ["CAPTURE_ALL_DNS"], "with --redirect-dns: captures port 53 of all servers"),
  text("dns-port", "PORT", ["DNS_CAPTURE_PORT"], "15053", "where DNS goes"),
  choice("drop-invalid", ["INVALID_DROP"], "drops packets of no connection instead of resetting it"),
  { ...text("backend", "NAME", [], "nft", "nft, or iptables for old nodes"), allowed: ["nft", "iptables"] },
  choice("dry-run", ["DRY_RUN"], "apply and clean only print what they would do", "n"),
  choice("skip-rule-apply", [], "apply changes nothing (with --run-validation)"),
  choice("run-validation", [], "apply validates afterwards"),
  text("iptables-probe-port", "PORT", ["IPTABLES_PROBE_PORT"], "15002", "the port that validate connects to"),
  text("probe-timeout", "DURATION", ["PROBE_TIMEOUT"], "5s", "how long validate waits for one connection"),
];

/** Istio's, without a meaning here. */
const INERT: readonly Flag[] = [
  ...["iptables-trace-logging", "force-apply", "dual-stack", "cni-mode", "native-nftables"].map((name): Flag => ({
    name,
    kind: "boolean",
    help: "",
    inert: true,
  })),
  { name: "restore-format", short: "f", kind: "boolean", help: "", inert: true },
  { name: "log_output_level", kind: "string", help: "", inert: true },
  { name: "iptables-version", kind: "string", help: "", inert: true },
];

export const CAPTURE_FLAGS: readonly Flag[] = [...FLAGS, ...INERT];

export function captureFlagsHelp(): string {
  const shown = FLAGS.map((flag) => ({
    ...flag,
    help: flag.env === undefined || flag.env.length === 0 ? flag.help : `${flag.help} [$${flag.env.join(", $")}]`,
    ...(flag.kind === "boolean" || flag.fallback === "" ? {} : { defaultText: flag.fallback }),
  }));
  return describeFlags([...shown, ...INERT]);
}

/** Flags and environment → options, or the first problem with its flag's name. */
export function parseIptablesOptions(argv: readonly string[], env: CliIo["env"]): OptionsResult {
  const parsed = parseFlags(CAPTURE_FLAGS, argv);
  if (!parsed.ok) {
    return parsed;
  }
  if (parsed.positionals.length > 0) {
    return { ok: false, problem: `unexpected argument "${parsed.positionals[0]}"` };
  }
  const reader = new OptionReader(parsed.values, env);
  const options = readOptions(reader);
  return reader.problem === undefined
    ? { ok: true, options, inert: parsed.inert }
    : { ok: false, problem: reader.problem };
}

function readOptions(reader: OptionReader): IptablesOptions {
  const proxyUids = reader.list("proxy-uid", parseOwners);
  const proxyGids = reader.list("proxy-gid", parseOwners);
  const redirectDns = reader.boolean("redirect-dns");
  const settings: CaptureSettings = {
    mode: reader.choice("istio-inbound-interception-mode", ["REDIRECT", "TPROXY"]),
    outboundPort: reader.number("envoy-port", 1, 65_535),
    inboundPort: reader.number("inbound-capture-port", 1, 65_535),
    tunnelPort: reader.number("inbound-tunnel-port", 1, 65_535),
    proxyUids,
    proxyGids: proxyGids.length === 0 ? proxyUids : proxyGids,
    inboundPorts: reader.selection("istio-inbound-ports", parsePorts),
    inboundPortsExclude: reader.list("istio-local-exclude-ports", parsePorts),
    outboundCidrs: reader.selection("istio-service-cidr", parseCidrs),
    outboundCidrsExclude: reader.list("istio-service-exclude-cidr", parseCidrs),
    outboundPorts: reader.list("istio-outbound-ports", parsePorts),
    outboundPortsExclude: reader.list("istio-local-outbound-ports-exclude", parsePorts),
    ownerGroups: reader.selection("outbound-owner-groups", parseOwners),
    ownerGroupsExclude: reader.list("outbound-owner-groups-exclude", parseOwners),
    excludeInterfaces: reader.list("istio-exclude-interfaces", parseInterfaces),
    rerouteInterfaces: reader.list("kube-virt-interfaces", parseInterfaces),
    tproxyMark: reader.number("istio-inbound-tproxy-mark", 1, 0x7fff_ffff),
    tproxyTable: reader.number("istio-inbound-tproxy-route-table", 1, 0x7fff_ffff),
    dns: redirectDns ? dnsSelection(reader.boolean("capture-all-dns")) : undefined,
    dnsPort: reader.number("dns-port", 1, 65_535),
    dropInvalid: reader.boolean("drop-invalid"),
  };
  return {
    settings,
    backend: reader.choice("backend", ["nft", "iptables"]),
    backendGiven: reader.isGiven("backend"),
    dryRun: reader.boolean("dry-run"),
    skipApply: reader.boolean("skip-rule-apply"),
    validateAfter: reader.boolean("run-validation"),
    probePort: reader.number("iptables-probe-port", 1, 65_535),
    probeTimeoutMs: reader.duration("probe-timeout"),
  };
}

function dnsSelection(all: boolean): "all" | readonly string[] {
  if (all) {
    return "all";
  }
  try {
    return nameServers(readFileSync("/etc/resolv.conf", "utf8"));
  } catch {
    return [];
  }
}

/** Reads one option after the other; keeps the first problem. */
class OptionReader {
  readonly #values: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly #env: CliIo["env"];
  problem: string | undefined = undefined;

  constructor(values: Readonly<Record<string, string | number | boolean | undefined>>, env: CliIo["env"]) {
    this.#values = values;
    this.#env = env;
  }

  isGiven(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  boolean(name: string): boolean {
    return this.choice(name, ["true", "false", "1", "0"]).match(/true|1/) !== null;
  }

  number(name: string, least: number, most: number): number {
    const text = this.#text(name);
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= least && number <= most)) {
      this.#fail(name, `${JSON.stringify(text)} is not a number from ${least} to ${most}`);
    }
    return number;
  }

  /** Go's durations of one unit: `500ms`, `5s`, `1m`. In milliseconds. */
  duration(name: string): number {
    const text = this.#text(name);
    const [, amount, unit] = /^(\d{1,6})(ms|s|m)$/.exec(text) ?? [];
    if (amount === undefined) {
      this.#fail(name, `${JSON.stringify(text)} is not a duration such as 5s`);
    }
    return Number(amount ?? 0) * (unit === "ms" ? 1 : unit === "s" ? 1000 : 60_000);
  }

  choice<T extends string>(name: string, allowed: readonly T[]): T {
    const text = this.#text(name);
    const found = allowed.find((each) => each === text);
    if (found === undefined) {
      this.#fail(name, `${JSON.stringify(text)} is not one of ${allowed.join(", ")}`);
    }
    return found ?? (allowed[0] as T);
  }

  list<T>(name: string, parse: (text: string) => ListResult<readonly T[]>): readonly T[] {
    return this.#parsed(name, parse(this.#text(name)), []);
  }

  selection<T>(name: string, parse: (text: string) => ListResult<readonly T[]>): "all" | readonly T[] {
    return this.#parsed<"all" | readonly T[]>(name, selection(this.#text(name), parse), []);
  }

  #parsed<T>(name: string, result: ListResult<T>, fallback: T): T {
    if ("value" in result) {
      return result.value;
    }
    this.#fail(name, result.problem);
    return fallback;
  }

  #text(name: string): string {
    const flag = FLAGS.find((each) => each.name === name);
    const given = this.#values[name] ?? flag?.env?.map((key) => this.#env[key]).find((value) => value !== undefined);
    // An injector passes an empty mode or user for "as usual"; an empty list means what it says.
    const text = given === undefined ? undefined : String(given);
    const isList = flag?.value === "LIST" && name !== "proxy-uid";
    return text === undefined || (text === "" && !isList) ? (flag?.fallback ?? "") : text;
  }

  #fail(name: string, problem: string): void {
    this.problem ??= `flag --${name}: ${problem}`;
  }
}
