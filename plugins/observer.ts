// Who watches the callbacks of plugins. The host fills one record for each callback that ran and hands it over right
// after the guest returned (or trapped), before anything that the callback asked for is done. The record is reused:
// copy what you keep, allocate nothing on the unsampled path. No tracing API here; telemetry turns records into spans.

import type { PluginFault } from "./errors.ts";
import type { ConnectionAccess, LoggedStream, PluginIdentity, StreamAccess } from "./ports.ts";

/** One callback that ran. Valid only during HookObserver.hook(); the object is reused for the next one. */
export interface HookRecord {
  readonly plugin: PluginIdentity;
  /**
   * The StreamAccess given to createHttpContext, or what was given to Plugin.log; undefined for a connection and for another
   * root callback (ticks, configuration, call answers).
   */
  readonly stream: LoggedStream | undefined;
  /** The ConnectionAccess given to createTcpContext; undefined elsewhere. */
  readonly connection: ConnectionAccess | undefined;
  /** Callback id; CALLBACK_NAMES[callback] in abi/callbacks.ts is its name, for example "proxy_on_request_headers". */
  readonly callback: number;
  readonly contextId: number;
  /** Clock.monotonicMs() before and after the guest ran. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** The arguments after the context id, as every callback is called: what it does not take is 0. */
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly fourth: number;
  /** What the guest returned, as u32, 0 where nothing is returned; negative when it failed. */
  readonly result: number;
  /** What the guest returned: 0 continue, other pause (callbacks with an action); -1 where none is returned. */
  readonly action: number;
  /** 0 or 1; -1 where the callback takes none. */
  readonly endOfStream: number;
  /** Host functions called, WASI included. */
  readonly hostCalls: number;
  readonly headersAdded: number;
  readonly headersReplaced: number;
  readonly headersRemoved: number;
  /** Bytes offered to a body callback; -1 elsewhere. */
  readonly bodyBytes: number;
  /** Fuel that the callback used, about one unit for a machine instruction; -1 without metering. */
  readonly fuel: number;
  /** Set when the callback failed. */
  readonly fault: PluginFault | undefined;
  /** Tokens of the HTTP (and gRPC) calls that this callback started, in order; empty almost always. Reused array. */
  readonly callTokens: readonly number[];
  /** The token whose answer this callback received; 0 for none. */
  readonly answeredToken: number;
  /**
   * For a callback on a root context that chose a stream (proxy_set_effective_context): the last stream chosen, so that
   * an answer's callback can be shown in the request that waited for it. Undefined otherwise.
   */
  readonly effectiveStream: StreamAccess | ConnectionAccess | undefined;
}

export interface HookObserver {
  /** Called exactly once for each callback that ran. Must not throw and must not call back into the plugin host. */
  hook(record: HookRecord): void;
}
