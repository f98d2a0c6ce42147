// The smaller answers of the admin server: /ready, /server_info, /listeners, /runtime, /memory, /init_dump, /logging.
// Sources: Envoy's server_info_handler.cc, listeners_handler.cc, runtime_handler.cc, logs_handler.cc. Pure.

import type { ListenerView, LogLevels, MemoryView, Readiness, RuntimeView, ServerInfoView } from "./ports.ts";
import { addressMessage } from "./reply.ts";

/** The state, and why it is not LIVE. */
export function readyText(readiness: Readiness): string {
  return [readiness.state, ...readiness.reasons].map((line) => `${line}\n`).join("");
}

/** envoy.admin.v3.ServerInfo. */
export function serverInfoJson(info: ServerInfoView, readiness: Readiness): object {
  return {
    version: info.version,
    state: readiness.state,
    uptime_current_epoch: `${Math.floor(info.uptimeSeconds)}s`,
    uptime_all_epochs: `${Math.floor(info.uptimeSeconds)}s`,
    hot_restart_version: info.hotRestartVersion,
    command_line_options: info.commandLineOptions,
    node: info.node,
  };
}

/** `name::address` lines. */
export function listenersText(listeners: readonly ListenerView[]): string {
  return listeners
    .flatMap((listener) => listener.addresses.map((address) => `${listener.name}::${address}\n`))
    .join("");
}

/** envoy.admin.v3.Listeners. */
export function listenersJson(listeners: readonly ListenerView[]): object {
  return {
    listener_statuses: listeners.map((listener) => {
      const [first, ...others] = listener.addresses;
      return {
        name: listener.name,
        ...(first === undefined ? {} : { local_address: addressMessage(first) }),
        ...(others.length === 0 ? {} : { additional_local_addresses: others.map(addressMessage) }),
      };
    }),
  };
}

export function runtimeJson(runtime: RuntimeView): object {
  return {
    layers: runtime.layers,
    entries: Object.fromEntries(
      runtime.entries.map((entry) => [entry.key, { layer_values: entry.layerValues, final_value: entry.finalValue }]),
    ),
  };
}

/** envoy.admin.v3.Memory: 64-bit numbers are texts in proto3 JSON. What is ours stands under `outrigger`. */
export function memoryJson(memory: MemoryView): object {
  return {
    allocated: String(memory.allocated),
    heap_size: String(memory.heapSize),
    pageheap_unmapped: "0",
    pageheap_free: String(Math.max(0, memory.heapSize - memory.allocated)),
    total_thread_cache: "0",
    total_physical_bytes: String(memory.physicalBytes),
    outrigger: memory.details,
  };
}

/** envoy.admin.v3.UnreadyTargetsDumps. */
export function initDumpJson(waiting: readonly string[]): object {
  return waiting.length === 0
    ? {}
    : { unready_targets_dumps: [{ name: "init manager Server", target_names: waiting }] };
}

export function loggingText(levels: LogLevels): string {
  const lines = levels.components.map(({ name, level }) => `  ${name}: ${level}\n`);
  return `active loggers:\n${lines.join("")}\n`;
}

export const LOGGING_USAGE =
  "usage: /logging?<name>=<level> (change single level)\n" +
  "usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n" +
  "usage: /logging?level=<level> (change all levels)\n" +
  "levels: trace debug info warning error critical off \n";
