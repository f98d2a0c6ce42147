// envoy.config.overload.v3.OverloadManager: it has no effect, but a mistake is one, as in Envoy. Called by bootstrap.ts.
// Source: Envoy's overload_manager_impl.cc.

import type { OverloadManager, ResourceMonitor, Trigger } from "../gen/envoy/config/overload/v3/overload_pb.ts";
import type { FixedHeapConfig } from "../gen/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap_pb.ts";
import { unpackAny } from "./any.ts";
import { quoted } from "./constraint.ts";
import { checkExtension } from "./extension-type.ts";
import { child, item, type Findings } from "./issues.ts";

const PREFIX = "envoy.extensions.resource_monitors";
const FIXED_HEAP = `${PREFIX}.fixed_heap.v3.FixedHeapConfig`;
const MONITORS = [
  FIXED_HEAP,
  `${PREFIX}.cgroup_memory.v3.CgroupMemoryConfig`,
  `${PREFIX}.cpu_utilization.v3.CpuUtilizationConfig`,
  `${PREFIX}.injected_resource.v3.InjectedResourceConfig`,
];
/** Envoy knows this one by its name alone. */
const CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections";
const CONNECTIONS_TYPE = `${PREFIX}.downstream_connections.v3.DownstreamConnectionsConfig`;

const TIMERS = "envoy.overload_actions.reduce_timeouts";
const STREAMS = "envoy.overload_actions.reset_high_memory_stream";
/** Each with the type of its settings, where it has some. */
const ACTIONS: Readonly<Record<string, string | undefined>> = {
  [TIMERS]: "envoy.config.overload.v3.ScaleTimersOverloadActionConfig",
  "envoy.overload_actions.shrink_heap": "envoy.config.overload.v3.ShrinkHeapConfig",
  "envoy.overload_actions.disable_http_keepalive": undefined,
  "envoy.overload_actions.reject_incoming_connections": undefined,
  [STREAMS]: undefined,
  "envoy.overload_actions.stop_accepting_connections": undefined,
  "envoy.overload_actions.stop_accepting_requests": undefined,
};

export function checkOverloadManager(message: OverloadManager | undefined, path: string, findings: Findings): void {
  if (message === undefined) return;
  const monitors = new Set<string>();
  for (const [index, monitor] of message.resourceMonitors.entries()) {
    const at = item(child(path, "resource_monitors"), index);
    checkMonitor(monitor, at, findings);
    if (monitors.has(monitor.name)) findings.issue(child(at, "name"), `${quoted(monitor.name)} is named twice`);
    monitors.add(monitor.name);
  }
  const actions = new Set<string>();
  for (const [index, { name, triggers, typedConfig }] of message.actions.entries()) {
    const at = item(child(path, "actions"), index);
    if (!Object.hasOwn(ACTIONS, name)) {
      findings.issue(child(at, "name"), `${quoted(name)} is not known; known are ${Object.keys(ACTIONS).join(", ")}`);
    } else if (actions.has(name)) findings.issue(child(at, "name"), `${quoted(name)} is named twice`);
    actions.add(name);
    checkActionConfig(name, typedConfig === undefined ? undefined : unpackAny(typedConfig).typeName, at, findings);
    checkTriggers(triggers, monitors, at, findings);
    if (name === STREAMS && message.bufferFactoryConfig === undefined)
      findings.issue(at, "needs buffer_factory_config");
  }
  for (const [index, { triggers }] of message.loadshedPoints.entries()) {
    checkTriggers(triggers, monitors, item(child(path, "loadshed_points"), index), findings);
  }
}

function checkMonitor(monitor: ResourceMonitor, path: string, findings: Findings): void {
  const known = monitor.name === CONNECTIONS ? [CONNECTIONS_TYPE] : MONITORS;
  checkExtension(monitor, known, path, findings);
  const config = monitor.configType.value === undefined ? undefined : unpackAny(monitor.configType.value);
  if (config?.typeName !== FIXED_HEAP || config.message === undefined) return;
  const { maxHeapSizeBytes, maxHeapSizeBytesRuntime } = config.message as FixedHeapConfig;
  if (maxHeapSizeBytes > 0n && maxHeapSizeBytesRuntime === undefined) return;
  if (maxHeapSizeBytes === 0n && maxHeapSizeBytesRuntime !== undefined) return;
  findings.issue(
    child(path, "typed_config"),
    "needs max_heap_size_bytes above 0, or max_heap_size_bytes_runtime instead",
  );
}

function checkActionConfig(name: string, given: string | undefined, path: string, findings: Findings): void {
  if (!Object.hasOwn(ACTIONS, name)) return;
  const wanted = ACTIONS[name];
  if (name === TIMERS && given === undefined) findings.issue(path, `needs typed_config, a ${wanted}`);
  else if (given !== undefined && given !== wanted) {
    findings.issue(child(path, "typed_config"), `must be ${wanted ?? "absent"}, not ${given}`);
  }
}

function checkTriggers(
  triggers: readonly Trigger[],
  monitors: ReadonlySet<string>,
  path: string,
  findings: Findings,
): void {
  const seen = new Set<string>();
  for (const [index, { name, triggerOneof }] of triggers.entries()) {
    const at = item(child(path, "triggers"), index);
    if (!monitors.has(name)) findings.issue(child(at, "name"), `${quoted(name)} is none of resource_monitors`);
    if (seen.has(name)) findings.issue(child(at, "name"), `${quoted(name)} is named twice`);
    seen.add(name);
    if (triggerOneof.case !== "scaled") continue;
    const { scalingThreshold, saturationThreshold } = triggerOneof.value;
    if (scalingThreshold < saturationThreshold) continue;
    findings.issue(child(at, "scaled"), "scaling_threshold must be less than saturation_threshold");
  }
}
