// Which host functions a guest may call at the moment, and the two exceptions that host functions throw through the
// guest's frames to end it. They never leave the plugin host: vm.ts turns them into a PluginFault.

export const CallWindow = {
  /** Inside a callback: everything. */
  Open: 0,
  /** While _initialize, main or _start run: proxy_log and WASI only. */
  Start: 1,
  /** While the allocator runs inside a host function: proxy_log and WASI only. */
  Allocator: 2,
} as const;

/** proc_exit. */
export class GuestExit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`the plugin called proc_exit(${code})`);
    this.code = code;
  }
}

/** A host function outside its window. */
/** Thrown through the guest: its allocator had nothing to give, and its memory is at its limit. */
export class MemoryExhausted extends Error {}

export class RestrictedCall extends Error {}
