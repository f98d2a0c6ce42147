// /plugins: each plugin once, from what the workers say of their VMs, what the configuration says, and the statistics. Pure.

import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import type { PluginView as HostView } from "../../plugins/plugin.ts";
import type { PluginCode, PluginConfig, PluginService } from "../../xds/model/plugin-config.ts";
import type { CallbackView, PluginView, RouteConfigurationView } from "../admin/ports.ts";
import { quantiles } from "../stats/buckets.ts";
import type { StatsReader } from "../stats/reader.ts";
import { callStat } from "../telemetry/hook-meter.ts";
import type { ApplyFailure } from "../worker-link.ts";

export interface PluginFacts {
  /** By plugin name. */
  readonly configs: ReadonlyMap<string, PluginConfig>;
  readonly failures: ReadonlyMap<string, ApplyFailure>;
  readonly reader: StatsReader;
  /** Configurations that routes have for plugins, by plugin name. */
  readonly ofRoutes: ReadonlyMap<string, readonly RouteConfigurationView[]>;
  /** Those that run by themselves. */
  readonly services: readonly PluginService[];
  /** By worker. */
  readonly answers: readonly (readonly HostView[])[];
}

/** Worse states hide better ones: one worker's failed VM is news. */
const STATES = ["running", "disposed", "failed", "quarantined"] as const;

type WorkersView = HostView & { readonly worker: number };

export function pluginViews(facts: PluginFacts): PluginView[] {
  const byKey = new Map<string, WorkersView[]>();
  for (const [worker, answers] of facts.answers.entries()) {
    for (const answer of answers) {
      const { name, digest } = answer.identity;
      const key = `${name} ${digest} ${answer.state === "disposed"}`;
      byKey.set(key, [...(byKey.get(key) ?? []), { ...answer, worker }]);
    }
  }
  const views = [...byKey.values()].map((each) => pluginView(each, facts));
  const shown = new Set(views.map(({ name }) => name));
  for (const [name, config] of facts.configs) {
    if (!shown.has(name)) {
      views.push({ ...missingView(config, facts.failures), ...whereUsed(name, facts) });
    }
  }
  return views;
}

function pluginView(answers: readonly WorkersView[], facts: PluginFacts): PluginView {
  const { configs, failures, reader } = facts;
  const [first] = answers as readonly [WorkersView, ...WorkersView[]];
  // Configurations of one plugin share their worker's VM.
  const vms = new Map(answers.map((answer) => [`${answer.worker} ${answer.vm}`, answer]));
  const { identity } = first;
  const config = configs.get(identity.name);
  const failure = failureOf(identity.name, failures);
  const worst = Math.max(...answers.map(({ state }) => STATES.indexOf(state)));
  const faults = answers.flatMap(({ lastFault }) => lastFault ?? []);
  const fault = faults.toSorted((a, b) => b.at - a.at)[0];
  return {
    name: identity.name,
    rootId: identity.rootId,
    vmId: identity.vmId,
    source: config === undefined ? "" : sourceText(config.code),
    digest: identity.digest,
    abiVersion: identity.abiVersion,
    state: STATES[worst] ?? "running",
    ...stateReason(answers, failure),
    failurePolicy: policyText(config),
    vms: vms.size,
    memoryBytes: sumOf(vms, ({ memoryBytes }) => memoryBytes),
    memoryPeakBytes: Math.max(...answers.map(({ peakMemoryBytes }) => peakMemoryBytes)),
    memoryLimitBytes: first.memoryLimitBytes,
    restarts: sumOf(vms, ({ restarts }) => restarts),
    quarantines: sumOf(vms, ({ quarantines }) => quarantines),
    ...whereUsed(identity.name, facts),
    callbacks: callbackViews(identity.name, reader),
    ...(fault === undefined
      ? {}
      : {
          lastFault: {
            at: new Date(fault.at).toISOString(),
            callback: fault.callback,
            kind: fault.kind,
            message: fault.message,
            frames: fault.frames,
          },
        }),
  };
}

/** A quarantine goes before a failure: the plugin runs then, so what failed is its successor. */
function stateReason(answers: readonly HostView[], failure: ApplyFailure | undefined): { stateReason?: string } {
  const held = answers.filter(({ state }) => state === "quarantined");
  if (held.length > 0) {
    const ms = Math.min(...held.map(({ quarantinedForMs }) => quarantinedForMs));
    const next = ms === 0 ? "the next stream tries it" : `a stream may try it in ${Math.ceil(ms / 1000)} s`;
    return { stateReason: `it failed too often on ${held.length} of ${answers.length} workers: ${next}` };
  }
  return failure === undefined ? {} : { stateReason: `its newer version is not in use: ${failure.problem}` };
}

function sumOf(vms: ReadonlyMap<string, HostView>, valueOf: (view: HostView) => number): number {
  return vms.values().reduce((sum, view) => sum + valueOf(view), 0);
}

/** Where it is used besides filters of its own configuration. */
function whereUsed(
  plugin: string,
  { ofRoutes, services }: PluginFacts,
): Pick<PluginView, "routeConfigurations" | "service"> {
  const routeConfigurations = ofRoutes.get(plugin);
  const service = services.find((each) => each.plugin.name === plugin);
  return {
    ...(service === undefined ? {} : { service: service.singleton ? "singleton" : "per_worker" }),
    ...(routeConfigurations === undefined ? {} : { routeConfigurations }),
  };
}

/** What kept the plugin, or a listener that names it, from being brought into use. */
function failureOf(plugin: string, failures: ReadonlyMap<string, ApplyFailure>): ApplyFailure | undefined {
  return [...failures.values()].find(({ name, problem }) => name === plugin || problem.includes(`"${plugin}"`));
}

/** A plugin that is configured and runs nowhere: it is still loading, or it could not be started. */
function missingView(config: PluginConfig, failures: ReadonlyMap<string, ApplyFailure>): PluginView {
  const failure = failureOf(config.name, failures);
  return {
    name: config.name,
    rootId: config.rootId,
    vmId: config.vmId,
    source: sourceText(config.code),
    digest: "",
    abiVersion: "",
    state: failure === undefined ? "loading" : "failed",
    ...(failure === undefined ? {} : { stateReason: failure.problem }),
    failurePolicy: policyText(config),
    vms: 0,
    memoryBytes: 0,
    memoryPeakBytes: 0,
    memoryLimitBytes: 0,
    restarts: 0,
    quarantines: 0,
    callbacks: [],
  };
}

function callbackViews(plugin: string, reader: StatsReader): CallbackView[] {
  return CALLBACK_NAMES.flatMap((callback) => {
    const calls = reader.value(callStat("calls_total", plugin, callback)) ?? 0;
    if (calls === 0) {
      return [];
    }
    const histogram = reader.histogram(callStat("duration_ms", plugin, callback))?.cumulative;
    const totalMs = histogram?.sum ?? 0;
    const [p50Ms, p99Ms] = histogram === undefined ? [] : quantiles(histogram, [0.5, 0.99]);
    return [
      {
        callback,
        calls,
        faults: reader.value(callStat("faults_total", plugin, callback)) ?? 0,
        totalMs,
        meanMs: totalMs / calls,
        fuel: reader.value(callStat("fuel_total", plugin, callback)) ?? 0,
        ...(p50Ms === undefined ? {} : { p50Ms }),
        ...(p99Ms === undefined ? {} : { p99Ms }),
      },
    ];
  });
}

function sourceText(code: PluginCode): string {
  switch (code.kind) {
    case "file":
      return code.path;
    case "bytes":
      return "inline";
    case "environment":
      return `environment variable ${code.variable}`;
    case "remote":
      return code.uri;
    case "module":
      return code.digest;
    case "missing":
      return "";
  }
}

function policyText(config: PluginConfig | undefined): string {
  switch (config?.failurePolicy) {
    case "open":
      return "FAIL_OPEN";
    case "reload":
      return "FAIL_RELOAD";
    case "closed":
    case undefined:
      return config?.failOpenDeprecated === true ? "FAIL_OPEN" : "FAIL_CLOSED";
  }
}
