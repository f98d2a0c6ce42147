// What can go wrong with a plugin, as values. A PluginFault is a guest that failed while it ran: its VM is dead and
// the plugin's failure policy decides about the streams (vm.ts makes it, plugin-runtime.ts acts on it).

/** Why a callback ended badly. */
export type FaultKind =
  /** A WebAssembly trap: unreachable, memory out of bounds, division by zero … A Rust or Go panic ends here. */
  | "trap"
  /** The guest used more fuel than the callback had: a loop without end, or too much work. */
  | "out_of_fuel"
  /** The guest's memory is at its limit: its allocator had nothing to give to the host, or it gave up itself. */
  | "out_of_memory"
  /** The guest's call stack is exhausted. */
  | "stack_overflow"
  /** The guest called proc_exit. */
  | "exit"
  /** A host function that is not allowed at this point, for example during the start. */
  | "restricted_call"
  /** A start callback answered false: proxy_on_vm_start or proxy_on_configure. */
  | "refused"
  /** The host or the embedder threw: our bug, not the plugin's. */
  | "host_error";

export interface PluginFault {
  /** The plugin's name. */
  readonly plugin: string;
  /** The VM's id as configured, often empty. */
  readonly vmId: string;
  /** Name of the export that ran: "proxy_on_request_headers", "_initialize" … */
  readonly callback: string;
  readonly contextId: number;
  /** When, in milliseconds since the Unix epoch. */
  readonly at: number;
  readonly kind: FaultKind;
  /** One line, for example "unreachable". */
  readonly message: string;
  /** Wasm frames of the trap, innermost first, at most 20; empty when unknown. */
  readonly frames: readonly string[];
}

/** The fault as one line for a log: plugin, callback, kind and message. */
export function describeFault(fault: PluginFault): string {
  return `plugin "${fault.plugin}" failed in ${fault.callback}: ${fault.kind}: ${fault.message}`;
}
