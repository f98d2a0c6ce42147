// The one HookRecord of a VM: host functions count in it while a callback runs, vm.ts completes it and hands it to the
// observer. Reused for every callback, so a watched callback allocates nothing.

import { Callback, CALLBACK_NAMES } from "./abi/callbacks.ts";
import type { GuestContext } from "./contexts.ts";
import type { PluginFault } from "./errors.ts";
import type { HookRecord } from "./observer.ts";
import type { ConnectionAccess, LoggedStream, PluginIdentity, StreamAccess } from "./ports.ts";

const NO_PLUGIN: PluginIdentity = { index: 0, name: "", rootId: "", vmId: "", digest: "", abiVersion: "" };

export class HookScratch implements HookRecord {
  plugin: PluginIdentity = NO_PLUGIN;
  stream: LoggedStream | undefined = undefined;
  connection: ConnectionAccess | undefined = undefined;
  callback = 0;
  contextId = 0;
  startedAt = 0;
  endedAt = 0;
  first = 0;
  second = 0;
  third = 0;
  fourth = 0;
  result = 0;
  action = -1;
  endOfStream = -1;
  hostCalls = 0;
  headersAdded = 0;
  headersReplaced = 0;
  headersRemoved = 0;
  bodyBytes = -1;
  fuel = -1;
  fault: PluginFault | undefined = undefined;
  callTokens: number[] = [];
  answeredToken = 0;
  effectiveStream: StreamAccess | ConnectionAccess | undefined = undefined;

  /** Clears the counters before a callback. */
  reset(): void {
    this.hostCalls = 0;
    this.headersAdded = 0;
    this.headersReplaced = 0;
    this.headersRemoved = 0;
    this.effectiveStream = undefined;
    if (this.callTokens.length !== 0) this.callTokens.length = 0;
  }
}

/** Per callback id: takes end_of_stream as its second argument, offers body bytes as its first, answers an action. */
const TAKES_END_OF_STREAM: readonly boolean[] = idsOf([
  Callback.OnRequestHeaders,
  Callback.OnRequestBody,
  Callback.OnResponseHeaders,
  Callback.OnResponseBody,
  Callback.OnDownstreamData,
  Callback.OnUpstreamData,
]);
const OFFERS_BODY: readonly boolean[] = idsOf([
  Callback.OnRequestBody,
  Callback.OnResponseBody,
  Callback.OnDownstreamData,
  Callback.OnUpstreamData,
]);
const ANSWERS_ACTION: readonly boolean[] = idsOf([
  Callback.OnRequestHeaders,
  Callback.OnRequestBody,
  Callback.OnRequestTrailers,
  Callback.OnResponseHeaders,
  Callback.OnResponseBody,
  Callback.OnResponseTrailers,
  Callback.OnNewConnection,
  Callback.OnDownstreamData,
  Callback.OnUpstreamData,
]);

function idsOf(ids: readonly number[]): boolean[] {
  return CALLBACK_NAMES.map((_, id) => ids.includes(id));
}

/** Fills in what the callback was, from its context, its arguments and its result (negative: it failed). */
export function describeCallback(
  record: HookScratch,
  context: GuestContext,
  callback: number,
  first: number,
  second: number,
  third: number,
  fourth: number,
  result: number,
): void {
  record.first = first;
  record.second = second;
  record.third = third;
  record.fourth = fourth;
  record.result = result;
  record.plugin = context.root.plugin.identity;
  record.stream = context.http?.stream ?? context.root.logged;
  record.connection = context.tcp?.connection;
  record.callback = callback;
  record.contextId = context.id;
  record.action = ANSWERS_ACTION[callback] === true ? result : -1;
  record.endOfStream = TAKES_END_OF_STREAM[callback] === true ? second : -1;
  record.bodyBytes = OFFERS_BODY[callback] === true ? first : -1;
}
