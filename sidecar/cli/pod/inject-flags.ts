// The settings of injection from the command line: the flags that `inject` and `webhook` share, and `--settings FILE`, which has the same names.
// A flag wins over the file.

import { readFileSync } from "node:fs";
import { isCidrList, isPortList, isQuantity } from "../../inject/annotation-values.ts";
import { isObject } from "../../inject/json-patch.ts";
import { isHostPort } from "../../inject/pod-settings.ts";
import { DEFAULT_SETTINGS as DEFAULTS, type InjectSettings } from "../../inject/settings.ts";
import { readYaml } from "../../inject/yaml-text.ts";
import { describeFlags, type Flag, parseFlags } from "../flags.ts";
import { type CliIo, wrongUsage } from "../verb.ts";

interface SettingFlag extends Flag {
  readonly isAllowed?: (text: string) => boolean;
  /** After "must be ". */
  readonly allowedText?: string;
}

const isPortsOrAll = (text: string): boolean => text === "*" || isPortList(text);
const PORTS_OR_ALL = "* or ports, comma-separated";
const PORTS = "ports, comma-separated";
const isEmptyOrQuantity = (text: string): boolean => text === "" || isQuantity(text);
const QUANTITY = "a quantity such as 100m or 128Mi, or empty";

export const SETTING_FLAGS: readonly SettingFlag[] = [
  { name: "settings", kind: "string", value: "FILE", help: "YAML file with these settings by the names of the flags" },
  {
    name: "image",
    kind: "string",
    value: "IMAGE",
    defaultText: DEFAULTS.image,
    help: "image of the sidecar and of its init container",
  },
  {
    name: "image-pull-policy",
    kind: "string",
    value: "POLICY",
    allowed: ["Always", "IfNotPresent", "Never"],
    defaultText: "the cluster's",
    help: "Always, IfNotPresent or Never",
  },
  { name: "image-pull-secret", kind: "string", value: "NAME", repeats: true, help: "Secret for the image's registry" },
  {
    name: "policy",
    kind: "string",
    value: "POLICY",
    allowed: ["enabled", "disabled"],
    defaultText: DEFAULTS.policy,
    help: "enabled: every pod that does not say no; disabled: only pods that say yes",
  },
  {
    name: "exclude-namespace",
    kind: "string",
    value: "NAME",
    repeats: true,
    defaultText: DEFAULTS.excludedNamespaces.join(", "),
    help: "namespace whose pods are left alone; replaces the default",
  },
  {
    name: "control-plane",
    kind: "string",
    value: "HOST:PORT",
    defaultText: DEFAULTS.controlPlane,
    help: "xDS server of the sidecars",
    isAllowed: isHostPort,
    allowedText: "host:port",
  },
  {
    name: "cluster-domain",
    kind: "string",
    value: "DOMAIN",
    defaultText: DEFAULTS.clusterDomain,
    help: "DNS domain of the cluster",
  },
  {
    name: "cluster-id",
    kind: "string",
    value: "NAME",
    defaultText: DEFAULTS.clusterId,
    help: "node metadata CLUSTER_ID",
  },
  { name: "mesh-id", kind: "string", value: "NAME", help: "node metadata MESH_ID" },
  { name: "network", kind: "string", value: "NAME", help: "node metadata NETWORK" },
  {
    name: "native-sidecar",
    kind: "boolean",
    defaultText: "true",
    help: "init container with restartPolicy: Always (Kubernetes 1.29; the webhook asks); false: a classic container",
  },
  {
    name: "hold-application",
    kind: "boolean",
    defaultText: "false",
    help: "classic sidecars: the application starts when the sidecar is ready",
  },
  {
    name: "rewrite-probes",
    kind: "boolean",
    defaultText: "true",
    help: "the application's probes go through the sidecar",
  },
  { name: "merge-metrics", kind: "boolean", defaultText: "true", help: "one scrape for application and sidecar" },
  {
    name: "init-container",
    kind: "boolean",
    defaultText: "true",
    help: "an init container sets the rules; false: something else does",
  },
  {
    name: "interception-mode",
    kind: "string",
    value: "MODE",
    allowed: ["REDIRECT", "TPROXY", "NONE"],
    defaultText: DEFAULTS.interceptionMode,
    help: "how connections come to the sidecar: REDIRECT, TPROXY or NONE",
  },
  {
    name: "include-inbound-ports",
    kind: "string",
    value: "PORTS",
    defaultText: "*",
    help: "inbound ports that are captured",
    isAllowed: isPortsOrAll,
    allowedText: PORTS_OR_ALL,
  },
  {
    name: "exclude-inbound-ports",
    kind: "string",
    value: "PORTS",
    help: "inbound ports that are not",
    isAllowed: isPortList,
    allowedText: PORTS,
  },
  {
    name: "include-outbound-ports",
    kind: "string",
    value: "PORTS",
    help: "outbound ports that are captured, whatever the range",
    isAllowed: isPortsOrAll,
    allowedText: PORTS_OR_ALL,
  },
  {
    name: "exclude-outbound-ports",
    kind: "string",
    value: "PORTS",
    help: "outbound ports that are not",
    isAllowed: isPortList,
    allowedText: PORTS,
  },
  {
    name: "include-outbound-ip-ranges",
    kind: "string",
    value: "CIDRS",
    defaultText: "*",
    help: "outbound ranges that are captured",
    isAllowed: (text) => text === "*" || isCidrList(text),
    allowedText: "* or CIDR ranges, comma-separated",
  },
  {
    name: "exclude-outbound-ip-ranges",
    kind: "string",
    value: "CIDRS",
    help: "outbound ranges that are not",
    isAllowed: isCidrList,
    allowedText: "CIDR ranges, comma-separated",
  },
  {
    name: "cpu-request",
    kind: "string",
    value: "QUANTITY",
    defaultText: DEFAULTS.resources.cpuRequest,
    help: "of the sidecar",
    isAllowed: isEmptyOrQuantity,
    allowedText: QUANTITY,
  },
  {
    name: "memory-request",
    kind: "string",
    value: "QUANTITY",
    defaultText: DEFAULTS.resources.memoryRequest,
    help: "of the sidecar",
    isAllowed: isEmptyOrQuantity,
    allowedText: QUANTITY,
  },
  {
    name: "cpu-limit",
    kind: "string",
    value: "QUANTITY",
    defaultText: DEFAULTS.resources.cpuLimit,
    help: "of the sidecar",
    isAllowed: isEmptyOrQuantity,
    allowedText: QUANTITY,
  },
  {
    name: "memory-limit",
    kind: "string",
    value: "QUANTITY",
    defaultText: DEFAULTS.resources.memoryLimit,
    help: "of the sidecar",
    isAllowed: isEmptyOrQuantity,
    allowedText: QUANTITY,
  },
  {
    name: "proxy-log-level",
    kind: "string",
    value: "LEVEL",
    allowed: ["trace", "debug", "info", "warning", "error", "critical", "off"],
    defaultText: DEFAULTS.logLevel,
    help: "of the sidecar",
  },
  { name: "proxy-component-log-level", kind: "string", value: "LIST", help: "of the sidecar, such as wasm:debug" },
  {
    name: "proxy-concurrency",
    kind: "number",
    value: "N",
    defaultText: "0, the CPUs that the container may use",
    help: "data workers of the sidecar",
  },
  {
    name: "token-audience",
    kind: "string",
    value: "NAME",
    defaultText: DEFAULTS.tokenAudience,
    help: "audience of the sidecar's identity token; empty: no token",
  },
  {
    name: "ca-config-map",
    kind: "string",
    value: "NAME",
    defaultText: DEFAULTS.caConfigMap,
    help: "ConfigMap with the mesh's root certificate, may be missing; empty: none",
  },
];

export const SETTING_FLAGS_HELP = describeFlags(SETTING_FLAGS);

export type ParsedSettings =
  | {
      readonly ok: true;
      readonly settings: InjectSettings;
      /** Names of settings that a flag or the file gave. */
      readonly given: ReadonlySet<string>;
      readonly values: Readonly<Record<string, string | number | boolean | undefined>>;
      readonly lists: Readonly<Record<string, readonly string[]>>;
    }
  | { readonly ok: false; readonly problem: string; readonly exitCode: 1 | 2 };

/** Says why settings were not taken; the exit code. */
export function refuseSettings(
  io: CliIo,
  verb: string,
  refused: Extract<ParsedSettings, { readonly ok: false }>,
): number {
  if (refused.exitCode === 2) {
    return wrongUsage(io, verb, refused.problem);
  }
  io.err(`${refused.problem}\n`);
  return 1;
}

/** Parses a verb's own flags together with those of the settings. */
export function parseSettings(ownFlags: readonly Flag[], argv: readonly string[]): ParsedSettings {
  const parsed = parseFlags([...ownFlags, ...SETTING_FLAGS], argv);
  if (!parsed.ok) {
    return { ok: false, problem: parsed.problem, exitCode: 2 };
  }
  const [extra] = parsed.positionals;
  if (extra !== undefined) {
    const hint = ownFlags.some(({ short }) => short === "f") ? `: a file comes after -f` : "";
    return { ok: false, problem: `unexpected argument "${extra}"${hint}`, exitCode: 2 };
  }
  const problem = valueProblem(parsed.values);
  if (problem !== undefined) {
    return { ok: false, problem, exitCode: 2 };
  }
  const path = parsed.values["settings"];
  const file = typeof path === "string" ? readSettingsFile(path) : { ok: true as const, values: {}, lists: {} };
  if (!file.ok) {
    return { ok: false, problem: file.problem, exitCode: 1 };
  }
  const values = { ...file.values, ...parsed.values };
  const given = Object.entries(parsed.lists).filter(([, list]) => list.length > 0);
  const lists = { ...parsed.lists, ...file.lists, ...Object.fromEntries(given) };
  return {
    ok: true,
    settings: settingsFrom(values, lists),
    given: new Set(Object.keys(values)),
    values: parsed.values,
    lists: parsed.lists,
  };
}

function valueProblem(values: Readonly<Record<string, unknown>>): string | undefined {
  for (const { name, isAllowed, allowedText } of SETTING_FLAGS) {
    const value = values[name];
    if (typeof value === "string" && isAllowed !== undefined && !isAllowed(value)) {
      return `flag --${name} got "${value}": must be ${allowedText}`;
    }
  }
  return undefined;
}

type FileResult =
  | {
      readonly ok: true;
      readonly values: Record<string, string | number | boolean>;
      readonly lists: Record<string, string[]>;
    }
  | { readonly ok: false; readonly problem: string };

/** `image: …`, `exclude-namespace: [a, b]`: names and values of the flags. */
function readSettingsFile(path: string): FileResult {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return { ok: false, problem: `${path}: ${error instanceof Error ? error.message : String(error)}` };
  }
  const yaml = readYaml(text);
  if (!yaml.ok) {
    return { ok: false, problem: `${path}:${yaml.line === undefined ? "" : `${yaml.line}:`} ${yaml.problem}` };
  }
  if (yaml.value !== null && !isObject(yaml.value)) {
    return { ok: false, problem: `${path}: must be a mapping of settings` };
  }
  const argv: string[] = [];
  for (const [name, value] of Object.entries(yaml.value ?? {})) {
    const flag = SETTING_FLAGS.find((each) => each.name === name && name !== "settings");
    if (flag === undefined) {
      return { ok: false, problem: `${path}: unknown setting "${name}"` };
    }
    for (const each of Array.isArray(value) && flag.repeats === true ? value : [value]) {
      if (typeof each === "object") {
        return {
          ok: false,
          problem: `${path}: ${name}: must be ${flag.repeats === true ? "a list of texts" : "one value"}`,
        };
      }
      argv.push(`--${name}=${each}`);
    }
  }
  const parsed = parseFlags(SETTING_FLAGS, argv);
  const problem = parsed.ok ? valueProblem(parsed.values) : parsed.problem;
  if (!parsed.ok || problem !== undefined) {
    return { ok: false, problem: `${path}: ${(problem ?? "").replace("flag --", "")}` };
  }
  const values = Object.entries(parsed.values).filter(
    (entry): entry is [string, string | number | boolean] => entry[1] !== undefined,
  );
  const lists = Object.entries(parsed.lists).filter(([, list]) => list.length > 0);
  return {
    ok: true,
    values: Object.fromEntries(values),
    lists: Object.fromEntries(lists.map(([name, list]) => [name, [...list]])),
  };
}

function settingsFrom(
  values: Readonly<Record<string, string | number | boolean | undefined>>,
  lists: Readonly<Record<string, readonly string[]>>,
): InjectSettings {
  const text = <T extends string>(name: string, fallback: T): T => (values[name] as T | undefined) ?? fallback;
  const flag = (name: string, fallback: boolean): boolean => (values[name] as boolean | undefined) ?? fallback;
  const excluded = lists["exclude-namespace"] ?? [];
  return {
    image: text("image", DEFAULTS.image),
    imagePullPolicy: text("image-pull-policy", DEFAULTS.imagePullPolicy),
    imagePullSecrets: lists["image-pull-secret"] ?? [],
    policy: text("policy", DEFAULTS.policy),
    excludedNamespaces: excluded.length === 0 ? DEFAULTS.excludedNamespaces : excluded,
    controlPlane: text("control-plane", DEFAULTS.controlPlane),
    clusterDomain: text("cluster-domain", DEFAULTS.clusterDomain),
    clusterId: text("cluster-id", DEFAULTS.clusterId),
    meshId: text("mesh-id", DEFAULTS.meshId),
    network: text("network", DEFAULTS.network),
    nativeSidecar: flag("native-sidecar", DEFAULTS.nativeSidecar),
    holdApplication: flag("hold-application", DEFAULTS.holdApplication),
    rewriteProbes: flag("rewrite-probes", DEFAULTS.rewriteProbes),
    mergeMetrics: flag("merge-metrics", DEFAULTS.mergeMetrics),
    initContainer: flag("init-container", DEFAULTS.initContainer),
    interceptionMode: text("interception-mode", DEFAULTS.interceptionMode),
    includeInboundPorts: text("include-inbound-ports", DEFAULTS.includeInboundPorts),
    excludeInboundPorts: text("exclude-inbound-ports", DEFAULTS.excludeInboundPorts),
    includeOutboundPorts: text("include-outbound-ports", DEFAULTS.includeOutboundPorts),
    excludeOutboundPorts: text("exclude-outbound-ports", DEFAULTS.excludeOutboundPorts),
    includeOutboundIpRanges: text("include-outbound-ip-ranges", DEFAULTS.includeOutboundIpRanges),
    excludeOutboundIpRanges: text("exclude-outbound-ip-ranges", DEFAULTS.excludeOutboundIpRanges),
    resources: {
      cpuRequest: text("cpu-request", DEFAULTS.resources.cpuRequest),
      memoryRequest: text("memory-request", DEFAULTS.resources.memoryRequest),
      cpuLimit: text("cpu-limit", DEFAULTS.resources.cpuLimit),
      memoryLimit: text("memory-limit", DEFAULTS.resources.memoryLimit),
    },
    logLevel: text("proxy-log-level", DEFAULTS.logLevel),
    componentLogLevel: text("proxy-component-log-level", DEFAULTS.componentLogLevel),
    concurrency: (values["proxy-concurrency"] as number | undefined) ?? DEFAULTS.concurrency,
    tokenAudience: text("token-audience", DEFAULTS.tokenAudience),
    caConfigMap: text("ca-config-map", DEFAULTS.caConfigMap),
  };
}
