// The settings for one pod: what was given from outside, changed by the pod's annotations. Names and meanings are Istio's
// (https://istio.io/latest/docs/reference/config/annotations/). A value that makes no sense is a problem, and all are reported together.

import { isObject, type JsonObject } from "./json-patch.ts";
import type { Pod } from "./pod.ts";
import { isCidrList, isInterfaceList, isPort, isPortList, isQuantity, isWholeNumber } from "./annotation-values.ts";
import { type InjectSettings, type InterceptionMode, PORTS } from "./settings.ts";

export interface PodSettings extends InjectSettings {
  /** Where the sidecar answers probes and scrapes; 0: nowhere, and nothing is rewritten or merged. */
  readonly statusPort: number;
  readonly readiness: Readonly<{ initialDelaySeconds: number; periodSeconds: number; failureThreshold: number }>;
  readonly excludeInterfaces: string;
  readonly rerouteInterfaces: string;
  /** ConfigMap with a bootstrap instead of the one that is made here. */
  readonly bootstrapConfigMap: string;
  /** May bind ports below 1024. */
  readonly bindsLowPorts: boolean;
  /** How long the sidecar drains, in seconds; undefined: by the pod's grace period. */
  readonly drainSeconds: number | undefined;
  /** Environment of the sidecar, over what is made here. */
  readonly environment: Readonly<Record<string, string>>;
  readonly userVolumes: Readonly<Record<string, JsonObject>>;
  readonly userVolumeMounts: Readonly<Record<string, JsonObject>>;
}

export interface PodSettingsResult {
  readonly settings: PodSettings;
  readonly problems: readonly string[];
  readonly remarks: readonly string[];
}

const MODES: readonly string[] = ["REDIRECT", "TPROXY", "NONE"] satisfies InterceptionMode[];

/** `readYaml` parses the text of `proxy.istio.io/config`. */
export function settingsOfPod(
  pod: Pod,
  base: InjectSettings,
  readYaml: (
    text: string,
  ) => { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string },
): PodSettingsResult {
  const reader = new AnnotationReader(pod.annotations);
  const config = proxyConfigOf(reader, readYaml);
  const excludeInbound = reader.text(
    "traffic.sidecar.istio.io/excludeInboundPorts",
    base.excludeInboundPorts,
    isPortList,
    "ports, comma-separated",
  );
  const settings: PodSettings = {
    ...base,
    image: reader.text("sidecar.istio.io/proxyImage", base.image, (text) => text !== "", "an image"),
    nativeSidecar: reader.flag("sidecar.istio.io/nativeSidecar", base.nativeSidecar),
    holdApplication: config.holdApplication ?? base.holdApplication,
    rewriteProbes: reader.flag("sidecar.istio.io/rewriteAppHTTPProbers", base.rewriteProbes),
    mergeMetrics: reader.flag("prometheus.istio.io/merge-metrics", base.mergeMetrics),
    controlPlane: config.controlPlane ?? base.controlPlane,
    concurrency: config.concurrency ?? base.concurrency,
    interceptionMode: reader.text(
      "sidecar.istio.io/interceptionMode",
      config.interceptionMode ?? base.interceptionMode,
      (text) => MODES.includes(text),
      "REDIRECT, TPROXY or NONE",
    ) as InterceptionMode,
    includeInboundPorts: reader.text(
      "traffic.sidecar.istio.io/includeInboundPorts",
      base.includeInboundPorts,
      isPortsOrAll,
      "* or ports, comma-separated",
    ),
    excludeInboundPorts: excludeInbound,
    includeOutboundPorts: reader.text(
      "traffic.sidecar.istio.io/includeOutboundPorts",
      base.includeOutboundPorts,
      isPortsOrAll,
      "* or ports, comma-separated",
    ),
    excludeOutboundPorts: reader.text(
      "traffic.sidecar.istio.io/excludeOutboundPorts",
      base.excludeOutboundPorts,
      isPortList,
      "ports, comma-separated",
    ),
    includeOutboundIpRanges: reader.text(
      "traffic.sidecar.istio.io/includeOutboundIPRanges",
      base.includeOutboundIpRanges,
      isRangesOrAll,
      "* or CIDR ranges, comma-separated",
    ),
    excludeOutboundIpRanges: reader.text(
      "traffic.sidecar.istio.io/excludeOutboundIPRanges",
      base.excludeOutboundIpRanges,
      isCidrList,
      "CIDR ranges, comma-separated",
    ),
    excludeInterfaces: reader.text(
      "traffic.sidecar.istio.io/excludeInterfaces",
      "",
      isInterfaceList,
      "interfaces, comma-separated",
    ),
    rerouteInterfaces: reader.text(
      "istio.io/reroute-virtual-interfaces",
      reader.text("traffic.sidecar.istio.io/kubevirtInterfaces", "", isInterfaceList, "interfaces, comma-separated"),
      isInterfaceList,
      "interfaces, comma-separated",
    ),
    resources: resourcesOf(reader, base),
    logLevel: reader.text(
      "sidecar.istio.io/logLevel",
      base.logLevel,
      (text) => LEVELS.test(text),
      "trace, debug, info, warning, error, critical or off",
    ),
    componentLogLevel: reader.text(
      "sidecar.istio.io/componentLogLevel",
      base.componentLogLevel,
      (text) => /^[\w:,-]*$/.test(text),
      "component:level, comma-separated",
    ),
    statusPort: reader.number(
      "status.sidecar.istio.io/port",
      config.statusPort ?? PORTS.status,
      (text) => text === "0" || isPort(text),
      "a port, or 0",
    ),
    readiness: {
      initialDelaySeconds: reader.number(
        "readiness.status.sidecar.istio.io/initialDelaySeconds",
        0,
        isWholeNumber,
        "a whole number of seconds",
      ),
      periodSeconds: reader.number(
        "readiness.status.sidecar.istio.io/periodSeconds",
        15,
        isAtLeastOne,
        "a whole number of seconds of at least 1",
      ),
      failureThreshold: reader.number(
        "readiness.status.sidecar.istio.io/failureThreshold",
        4,
        isAtLeastOne,
        "a whole number of at least 1",
      ),
    },
    bootstrapConfigMap: reader.text(
      "sidecar.istio.io/bootstrapOverride",
      "",
      (text) => /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(text),
      "the name of a ConfigMap",
    ),
    bindsLowPorts: reader.flag("sidecar.istio.io/capNetBindService", false),
    drainSeconds: config.drainSeconds,
    environment: config.environment,
    userVolumes: reader.objects("sidecar.istio.io/userVolume"),
    userVolumeMounts: reader.objects("sidecar.istio.io/userVolumeMount"),
  };
  const problems = [...reader.problems, ...limitProblems(settings)];
  return { settings, problems, remarks: config.remarks };
}

const LEVELS = /^(?:trace|debug|info|warning|warn|error|critical|off)$/;

function isPortsOrAll(text: string): boolean {
  return text === "*" || isPortList(text);
}

function isRangesOrAll(text: string): boolean {
  return text === "*" || isCidrList(text);
}

function isAtLeastOne(text: string): boolean {
  return isWholeNumber(text) && Number(text) >= 1;
}

/** As in Istio: one annotation about resources, and none of the defaults is used any more. */
function resourcesOf(reader: AnnotationReader, base: InjectSettings): InjectSettings["resources"] {
  const read = (key: string): string =>
    reader.text(`sidecar.istio.io/${key}`, "", isQuantity, "a quantity such as 100m or 128Mi");
  const own = {
    cpuRequest: read("proxyCPU"),
    memoryRequest: read("proxyMemory"),
    cpuLimit: read("proxyCPULimit"),
    memoryLimit: read("proxyMemoryLimit"),
  };
  return Object.values(own).some((text) => text !== "") ? own : base.resources;
}

function limitProblems({ nativeSidecar, statusPort, holdApplication }: PodSettings): string[] {
  return statusPort === 0 && holdApplication && !nativeSidecar
    ? [
        'status.sidecar.istio.io/port: "0" leaves nothing to wait for, and holdApplicationUntilProxyStarts wants to wait',
      ]
    : [];
}

interface ProxyConfig {
  holdApplication?: boolean;
  controlPlane?: string;
  concurrency?: number;
  statusPort?: number;
  interceptionMode?: string;
  drainSeconds?: number;
  environment: Record<string, string>;
  remarks: readonly string[];
}

/** Istio's ProxyConfig as far as it means something here; the rest is a remark. */
function proxyConfigOf(reader: AnnotationReader, readYaml: Parameters<typeof settingsOfPod>[2]): ProxyConfig {
  const key = "proxy.istio.io/config";
  const text = reader.raw(key);
  const config: ProxyConfig = { environment: {}, remarks: [] };
  if (text === undefined) {
    return config;
  }
  const parsed = readYaml(text);
  if (!parsed.ok) {
    reader.problem(key, parsed.problem);
    return config;
  }
  if (!isObject(parsed.value)) {
    reader.problem(key, "must be a mapping of ProxyConfig's fields");
    return config;
  }
  const unknown: string[] = [];
  for (const [field, value] of Object.entries(parsed.value)) {
    const set = PROXY_CONFIG_FIELDS[field];
    if (set === undefined) {
      unknown.push(field);
    } else {
      const problem = set(config, value);
      if (problem !== undefined) {
        reader.problem(`${key}: ${field}`, problem);
      }
    }
  }
  return { ...config, remarks: unknown.length === 0 ? [] : [`${key}: ${unknown.join(", ")} has no meaning here`] };
}

const PROXY_CONFIG_FIELDS: Readonly<Record<string, (config: ProxyConfig, value: unknown) => string | undefined>> = {
  // A wrapper in protobuf; JSON has the plain value.
  holdApplicationUntilProxyStarts: (config, value) =>
    typeof value === "boolean" ? void (config.holdApplication = value) : "must be true or false",
  discoveryAddress: (config, value) =>
    typeof value === "string" && isHostPort(value) ? void (config.controlPlane = value) : "must be host:port",
  concurrency: (config, value) =>
    typeof value === "number" && isWholeNumber(String(value))
      ? void (config.concurrency = value)
      : "must be a whole number",
  statusPort: (config, value) =>
    typeof value === "number" && isPort(String(value)) ? void (config.statusPort = value) : "must be a port",
  interceptionMode: (config, value) =>
    typeof value === "string" && MODES.includes(value)
      ? void (config.interceptionMode = value)
      : "must be REDIRECT, TPROXY or NONE",
  terminationDrainDuration: (config, value) => {
    const seconds = typeof value === "string" ? durationSeconds(value) : undefined;
    return seconds === undefined ? "must be a duration such as 20s" : void (config.drainSeconds = seconds);
  },
  proxyMetadata: (config, value) => {
    if (!isObject(value)) {
      return "must be a mapping of environment variables";
    }
    for (const [name, text] of Object.entries(value)) {
      if (!/^[A-Za-z_][\w.-]*$/.test(name)) {
        return `"${name}" is no name of an environment variable`;
      }
      config.environment[name] = typeof text === "string" ? text : JSON.stringify(text);
    }
    return undefined;
  },
};

export function isHostPort(text: string): boolean {
  const match = /^(?:[\w.-]+|\[[\da-fA-F:.]+\]):(\d+)$/.exec(text);
  return match !== null && isPort(match[1] ?? "");
}

/** `20s`, `1m30s`, `500ms` in whole seconds, at least 1. */
function durationSeconds(text: string): number | undefined {
  const match = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$/.exec(text);
  if (match === null || text === "") {
    return undefined;
  }
  const [, hours = "0", minutes = "0", seconds = "0", milliseconds = "0"] = match;
  return Math.max(
    1,
    Math.round(Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds) + Number(milliseconds) / 1_000),
  );
}

/** Reads annotations and collects what is wrong with them. */
class AnnotationReader {
  readonly problems: string[] = [];
  readonly #annotations: Pod["annotations"];

  constructor(annotations: Pod["annotations"]) {
    this.#annotations = annotations;
  }

  raw(key: string): string | undefined {
    return this.#annotations[key];
  }

  text(key: string, fallback: string, isAllowed: (text: string) => boolean, allowed: string): string {
    const text = this.#annotations[key];
    if (text === undefined) {
      return fallback;
    }
    if (!isAllowed(text)) {
      this.problem(key, `got "${text}": must be ${allowed}`);
      return fallback;
    }
    return text;
  }

  number(key: string, fallback: number, isAllowed: (text: string) => boolean, allowed: string): number {
    return Number(this.text(key, String(fallback), isAllowed, allowed));
  }

  flag(key: string, fallback: boolean): boolean {
    return (
      this.text(key, String(fallback), (text) => /^(?:true|false)$/i.test(text), "true or false").toLowerCase() ===
      "true"
    );
  }

  /** A JSON object of objects: `{"name": {…}}`. */
  objects(key: string): Record<string, JsonObject> {
    const text = this.#annotations[key];
    if (text === undefined) {
      return {};
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      value = undefined;
    }
    if (!isObject(value) || !Object.values(value).every(isObject)) {
      this.problem(key, 'must be JSON of the form {"name": {…}}');
      return {};
    }
    return value as Record<string, JsonObject>;
  }

  problem(key: string, problem: string): void {
    this.problems.push(`annotation ${key}: ${problem}`);
  }
}
