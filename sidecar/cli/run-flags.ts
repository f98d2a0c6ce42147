// The flags of `run` (and of no verb at all): Envoy's own, with Envoy's meaning, so that a launcher made for Envoy starts us.
// Source: envoy --help of 1.40 (source/server/options_impl.cc). The result is RunOptions; every default stands here.

import { availableParallelism } from "node:os";
import { resourceLimits, workersFor } from "../resource-limits.ts";
import { describeFlags, type Flag, parseFlags } from "./flags.ts";

export interface RunOptions {
  readonly configPath: string | undefined;
  /** Merged over the file. */
  readonly configYaml: string | undefined;
  readonly mode: "serve" | "validate";
  readonly serviceNode: string | undefined;
  readonly serviceCluster: string | undefined;
  readonly serviceZone: string | undefined;
  readonly concurrency: number;
  readonly logLevel: string;
  readonly componentLogLevel: string;
  readonly logFormat: "json" | "text";
  readonly logPath: string | undefined;
  readonly restartEpoch: number;
  readonly drainTimeMs: number;
  readonly drainStrategy: "gradual" | "immediate";
  readonly minDrainTimeMs: number;
  /** 0: no such port. */
  readonly statusPort: number;
  readonly healthPort: number;
  readonly exitWithApplication: boolean;
  readonly parentShutdownTimeMs: number;
  readonly localAddressIpVersion: "v4" | "v6";
  readonly allowUnknownStaticFields: boolean;
  readonly rejectUnknownDynamicFields: boolean;
  readonly ignoreUnknownDynamicFields: boolean;
  readonly fileFlushIntervalMs: number;
  readonly adminAddressPath: string | undefined;
  /** Flags that Envoy has and that have no meaning here. */
  readonly inert: readonly string[];
}

export const LOG_LEVELS = ["trace", "debug", "info", "warning", "warn", "error", "critical", "off"] as const;

export const RUN_FLAGS: readonly Flag[] = [
  { name: "config-path", short: "c", kind: "string", value: "FILE", help: "Envoy v3 bootstrap, YAML or JSON" },
  { name: "config-yaml", kind: "string", value: "TEXT", help: "bootstrap text, merged over the file" },
  { name: "mode", kind: "string", value: "MODE", allowed: ["serve", "validate"], defaultText: "serve", help: "serve, or validate the configuration and exit" },
  { name: "service-node", kind: "string", value: "ID", help: "node.id, over the bootstrap's" },
  { name: "service-cluster", kind: "string", value: "NAME", help: "node.cluster, over the bootstrap's" },
  { name: "service-zone", kind: "string", value: "ZONE", help: "node.locality.zone, over the bootstrap's" },
  { name: "concurrency", kind: "number", value: "N", defaultText: "by the CPUs and the memory that the process may use", help: "data workers" },
  { name: "log-level", short: "l", kind: "string", value: "LEVEL", allowed: LOG_LEVELS, defaultText: "info", help: "trace, debug, info, warning, error, critical or off" },
  { name: "component-log-level", kind: "string", value: "LIST", help: "levels by component: wasm:debug,upstream:info" },
  { name: "log-format", kind: "string", value: "FORMAT", defaultText: "json", help: "json, or text for people; Envoy's own patterns mean text" },
  { name: "log-path", kind: "string", value: "FILE", help: "log there instead of stderr" },
  { name: "restart-epoch", kind: "number", value: "N", defaultText: "0", help: "reported by /server_info" },
  { name: "drain-time-s", kind: "number", value: "SECONDS", defaultText: "600", help: "longest time that connections get to finish" },
  { name: "drain-strategy", kind: "string", value: "STRATEGY", allowed: ["gradual", "immediate"], defaultText: "gradual", help: "how fast keep-alive is discouraged while draining" },
  { name: "min-drain-time-s", kind: "number", value: "SECONDS", defaultText: "0", help: "in a pod: at SIGTERM inbound listeners still accept for so long, and outbound ones until the application holds no connection; 0: all stop at once" },
  { name: "status-port", kind: "number", value: "PORT", defaultText: "0, none", help: "in a pod: the application's probes, merged metrics, /quitquitquit; Istio's is 15020" },
  { name: "health-port", kind: "number", value: "PORT", defaultText: "0, none", help: "in a pod: /healthz/ready; Istio's is 15021" },
  { name: "exit-with-application", kind: "boolean", help: "in a pod that shares its process namespace: end when the processes of the other containers are gone; one that lives for less than 50 ms may not be seen: then use a native sidecar, or POST /quitquitquit at its end" },
  { name: "parent-shutdown-time-s", kind: "number", value: "SECONDS", defaultText: "900", help: "reported by /server_info" },
  { name: "local-address-ip-version", kind: "string", value: "VERSION", allowed: ["v4", "v6"], defaultText: "v4", help: "family of addresses chosen here" },
  { name: "allow-unknown-static-fields", kind: "boolean", help: "warn of unknown bootstrap fields instead of refusing them" },
  { name: "allow-unknown-fields", kind: "boolean", help: "the same under its old name" },
  { name: "reject-unknown-dynamic-fields", kind: "boolean", help: "refuse xDS resources with unknown fields" },
  { name: "ignore-unknown-dynamic-fields", kind: "boolean", help: "do not even warn of them" },
  { name: "file-flush-interval-msec", kind: "number", value: "MS", defaultText: "10000", help: "longest time that an access log line waits" },
  { name: "admin-address-path", kind: "string", value: "FILE", help: "write the admin address there once it is bound" },
  { name: "base-id", kind: "number", value: "N", help: "", inert: true },
  { name: "use-dynamic-base-id", kind: "boolean", help: "", inert: true },
  { name: "base-id-path", kind: "string", help: "", inert: true },
  { name: "disable-hot-restart", kind: "boolean", help: "", inert: true },
  { name: "skip-deprecated-logs", kind: "boolean", help: "", inert: true },
  { name: "enable-fine-grain-logging", kind: "boolean", help: "", inert: true },
  { name: "log-format-escaped", kind: "boolean", help: "", inert: true },
  { name: "skip-hot-restart-on-no-parent", kind: "boolean", help: "", inert: true },
  { name: "skip-hot-restart-parent-stats", kind: "boolean", help: "", inert: true },
  { name: "socket-path", kind: "string", help: "", inert: true },
  { name: "socket-mode", kind: "string", help: "", inert: true },
  { name: "cpuset-threads", kind: "boolean", help: "", inert: true },
  { name: "disable-extensions", kind: "string", help: "", inert: true },
  { name: "stats-tag", kind: "string", help: "", inert: true },
  { name: "enable-core-dump", kind: "boolean", help: "", inert: true },
  { name: "hot-restart-version", kind: "boolean", help: "", inert: true },
  { name: "ignore-unknown-dynamic-fields-warnings", kind: "boolean", help: "", inert: true },
]; // prettier-ignore

export const RUN_FLAGS_HELP = describeFlags(RUN_FLAGS);

export type RunOptionsResult =
  | { readonly ok: true; readonly options: RunOptions }
  | { readonly ok: false; readonly problem: string };

/** Argument list → options with all defaults. */
export function parseRunOptions(argv: readonly string[]): RunOptionsResult {
  const parsed = parseFlags(RUN_FLAGS, argv);
  if (!parsed.ok) {
    return parsed;
  }
  const [extra] = parsed.positionals;
  if (extra !== undefined) {
    return { ok: false, problem: `unexpected argument "${extra}"` };
  }
  const v = parsed.values;
  const text = (name: string): string | undefined => v[name] as string | undefined;
  const number = (name: string, fallback: number): number => (v[name] as number | undefined) ?? fallback;
  if (text("config-path") === undefined && text("config-yaml") === undefined) {
    return { ok: false, problem: "needs a bootstrap: -c FILE or --config-yaml TEXT" };
  }
  const concurrency = number("concurrency", workersFor(resourceLimits(), availableParallelism()));
  const logFormat = text("log-format") ?? "json";
  return {
    ok: true,
    options: {
      configPath: text("config-path"),
      configYaml: text("config-yaml"),
      mode: (text("mode") ?? "serve") as "serve" | "validate",
      serviceNode: text("service-node"),
      serviceCluster: text("service-cluster"),
      serviceZone: text("service-zone"),
      // Envoy, too, takes 0 for "at least one".
      concurrency: Math.max(1, concurrency),
      logLevel: text("log-level") ?? "info",
      componentLogLevel: text("component-log-level") ?? "",
      logFormat: logFormat === "json" ? "json" : "text",
      logPath: text("log-path"),
      restartEpoch: number("restart-epoch", 0),
      drainTimeMs: number("drain-time-s", 600) * 1_000,
      drainStrategy: (text("drain-strategy") ?? "gradual") as "gradual" | "immediate",
      minDrainTimeMs: number("min-drain-time-s", 0) * 1_000,
      statusPort: number("status-port", 0),
      healthPort: number("health-port", 0),
      exitWithApplication: v["exit-with-application"] === true,
      parentShutdownTimeMs: number("parent-shutdown-time-s", 900) * 1_000,
      localAddressIpVersion: (text("local-address-ip-version") ?? "v4") as "v4" | "v6",
      allowUnknownStaticFields: v["allow-unknown-static-fields"] === true || v["allow-unknown-fields"] === true,
      rejectUnknownDynamicFields: v["reject-unknown-dynamic-fields"] === true,
      ignoreUnknownDynamicFields: v["ignore-unknown-dynamic-fields"] === true,
      fileFlushIntervalMs: number("file-flush-interval-msec", 10_000),
      adminAddressPath: text("admin-address-path"),
      inert: parsed.inert,
    },
  };
}

/** What --reject-unknown-dynamic-fields and --ignore-unknown-dynamic-fields say of fields that a control plane sends. */
export function unknownDynamicFields(options: RunOptions): "refuse" | "warn" | "ignore" {
  if (options.rejectUnknownDynamicFields) {
    return "refuse";
  }
  return options.ignoreUnknownDynamicFields ? "ignore" : "warn";
}
