// Everything the embedder must provide. The plugin host knows no sockets, routes or clusters:
// what a plugin can see or do goes through the interfaces here. plugin-runtime.ts takes the
// process-wide ones once (RuntimePorts); http-context.ts takes one StreamAccess for each stream.
//
// Strings that carry header names, header values or property text are latin1: one char a byte,
// so that bytes which are not UTF-8 pass unchanged.

import type { GrpcCaller } from "./grpc-port.ts";
import type { PropertyItem } from "./property-value.ts";

/** Identity of one loaded plugin, as logs, metrics and spans name it. Created by the runtime at load. */
export interface PluginIdentity {
  /** The embedder's own number for the plugin (PluginSpec.index), for tables without a lookup. */
  readonly index: number;
  readonly name: string;
  readonly rootId: string;
  readonly vmId: string;
  /** sha256 of the module as it was loaded, 64 hexadecimal digits. */
  readonly digest: string;
  /** "0.1.0", "0.2.0" or "0.2.1". */
  readonly abiVersion: string;
}

/**
 * One header or trailer map of a stream. Pseudo headers (":method", ":path", ":authority", ":status" …) are
 * entries like any other and come first; there is no "host" entry (get("host") may answer ":authority").
 * Names have no case: nameAt() must answer lower-case, get() and remove() are given lower-case. add(), replace() and
 * replaceAll() are given the plugin's own spelling (pseudo headers lower-case), which is what goes on the wire in
 * HTTP/1; they find older entries in any case. The host has rejected invalid names and values (CR, LF, NUL) before it calls add, replace or replaceAll.
 */
export interface HeaderAccess {
  /** Number of entries, pseudo headers included, repeated names counted each. */
  readonly size: number;
  nameAt(index: number): string;
  valueAt(index: number): string;
  /** First value of the name, or undefined. */
  get(name: string): string | undefined;
  /** Appends an entry. */
  add(name: string, value: string): void;
  /**
   * Sets the only entry of the name, at the first one's place and under the new spelling; creates it when missing.
   * Whether there was one.
   */
  replace(name: string, value: string): boolean;
  /**
   * Removes all entries of the name; a missing name is fine. The embedder decides what a removed pseudo header means.
   * Whether there was one.
   */
  remove(name: string): boolean;
  /** Removes everything, then adds the pairs: name, value, name, value … The array belongs to the callee. */
  replaceAll(pairs: readonly string[]): void;
}

/** Map ids of a stream: the first four of MapType in abi/constants.ts. */
export type StreamMap = 0 | 1 | 2 | 3;
/** Body ids of a stream: 0 request, 1 response (BufferType in abi/constants.ts). */
export type StreamBody = 0 | 1;

/** What proxy_send_local_response asks for. The embedder owns the object and its bytes. */
export interface LocalReply {
  /** HTTP status, clamped by the host to 200..599. */
  readonly status: number;
  /** For response_code_details; spaces are already replaced by "_". Empty when the plugin gave none. */
  readonly details: string;
  readonly body: Uint8Array;
  /** Flat pairs to append: name, value, … Already validated, names as the plugin wrote them. */
  readonly headers: readonly string[];
  /** 0..16, or -1 for none. */
  readonly grpcStatus: number;
}

/** A stream that is over, as the plugin of an access logger sees it: everything can be read and nothing written. */
export interface LoggedStream {
  /** The map, when the stream has it. Called for every header host call: keep it cheap. */
  headers(map: StreamMap): HeaderAccess | undefined;
  /** As PropertyAccess.property. */
  property(path: string, segments: readonly string[]): PropertyItem | undefined;
}

/**
 * One HTTP stream, as one plugin sees it. The embedder makes one for each (stream, filter) pair, or shares one
 * between the filters of a stream when its buffers are the same for all.
 *
 * The host decides by phase what may be written and keeps track of what is paused. It calls the continue, close and
 * reply methods only when no guest code is on the stack: either from inside HttpContext.on…() after the guest's
 * callback returned (before on…() returns its status), or on a turn of its own (a call's answer, a tick).
 */
export interface StreamAccess extends LoggedStream, PropertyAccess {
  /** The map, when the stream has it already (or still); undefined otherwise. Called for every header host call: keep it cheap. */
  headers(map: StreamMap): HeaderAccess | undefined;
  /**
   * Creates the trailers of a message that has none; called only for maps 1 and 3 from a body callback that had
   * endOfStream. Undefined when the protocol or the phase does not allow it.
   */
  addTrailers(map: StreamMap): HeaderAccess | undefined;

  /** Bytes that a plugin can read now: the offered chunk inside a body callback, what is buffered while paused, else 0. */
  bodyLength(body: StreamBody): number;
  /** Copies target.length bytes from start into target. The host has checked the range against bodyLength(). */
  copyBody(body: StreamBody, start: number, target: Uint8Array): void;
  /**
   * Replaces [start, start + length) by data. The host has clamped the range to bodyLength(); start == bodyLength()
   * appends. The bytes belong to the embedder. False when the buffer cannot be changed (or would exceed its limit).
   */
  replaceBody(body: StreamBody, start: number, length: number, data: Uint8Array): boolean;

  /** Resumes a direction that this plugin's last status had stopped. */
  continueRequest(): void;
  continueResponse(): void;
  /** Resets the stream; response code details "wasm_close_stream". */
  closeStream(): void;
  /**
   * Answers the client instead of going on. Called at most once for a stream and plugin (not counting a fault's 503).
   * When the response headers are already on their way the embedder resets the stream.
   */
  sendLocalResponse(reply: LocalReply): void;
  /** Drops the cached route: the router matches again. Called by the plugin or after it changed request headers. */
  clearRouteCache(): void;
}

/** Buffer ids of a connection: what the client sends, and what goes to it (BufferType in abi/constants.ts). */
export type ConnectionData = 2 | 3;

/**
 * One TCP connection, as one plugin sees it; the embedder makes one for each (connection, filter) pair. As with
 * StreamAccess, the continue and close methods come only when no guest code is on the stack.
 */
export interface ConnectionAccess extends PropertyAccess {
  /** Bytes that a plugin can read now: what is offered inside a data callback, what is held while paused, else 0. */
  dataLength(data: ConnectionData): number;
  /** Copies target.length bytes from start into target. The host has checked the range against dataLength(). */
  copyData(data: ConnectionData, start: number, target: Uint8Array): void;
  /** Replaces [start, start + length), which is within dataLength(). The bytes belong to the embedder. False: refused. */
  replaceData(data: ConnectionData, start: number, length: number, bytes: Uint8Array): boolean;
  /** Resumes a direction that this plugin's last status had stopped: also the connection's beginning (downstream). */
  continueDownstream(): void;
  continueUpstream(): void;
  /** Closes both sides, the client's after what has been written to it. */
  closeConnection(): void;
}

/** Properties of a stream or of a connection. */
export interface PropertyAccess {
  /**
   * A property by path. `path` is the segments joined by "\0" (fit for a Map or switch); `segments` is the same, split.
   * The arrays are interned: do not change them. Undefined: not found or not known yet. Null: exists, has no value.
   * Values set by setProperty(path) must be found under the same path, also by the other plugins of the stream.
   * plugin_name, plugin_root_id and plugin_vm_id never reach the embedder.
   */
  property(path: string, segments: readonly string[]): PropertyItem | undefined;
  /**
   * Stores a value, for the life of the stream unless declared otherwise; the bytes belong to the embedder. False when it
   * was stored as read-only before, or when the stream has no room. `declared`: what the plugin said of the property.
   */
  setProperty(path: string, value: Uint8Array, declared: DeclaredProperty | undefined): boolean;
}

/** What a plugin has said of a property that it will set: DeclarePropertyArguments of the foreign function declare_property. */
export interface DeclaredProperty {
  readonly isReadOnly: boolean;
  readonly type: "bytes" | "string" | "flatbuffers" | "protobuf";
  /** For protobuf the type's URL. */
  readonly schema: string;
  /** How long it lives. A filter chain's life is the stream's here: streams are not created again. */
  readonly span: "filter_chain" | "request" | "connection";
}

/** Properties for contexts that have no stream (start, configuration, ticks): node, xds.*, listener metadata … */
export interface PropertySource {
  property(plugin: PluginIdentity, path: string, segments: readonly string[]): PropertyItem | undefined;
}

/** One proxy_http_call. All arrays and bytes belong to the embedder. */
export interface HttpCall {
  readonly plugin: PluginIdentity;
  /** The token that the plugin gets; unique among the runtime's calls. Also in HookRecord.callTokens. */
  readonly token: number;
  /** The stream on whose behalf the call was made (effective context), undefined for a root context. For trace parents. */
  readonly stream: StreamAccess | ConnectionAccess | undefined;
  readonly cluster: string;
  /** Flat pairs. :method, :path and :authority are present. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
  readonly trailers: readonly string[];
  /** 0: none asked for; the embedder has its own maximum. */
  readonly timeoutMs: number;
}

export type HttpCallResult =
  | {
      readonly kind: "response";
      /** Flat pairs, names lower-case, ":status" first. A timeout or refused connection may be a synthetic 504/503. */
      readonly headers: readonly string[];
      readonly body: Uint8Array;
      readonly trailers: readonly string[];
    }
  /** Broken off: the plugin gets 0, 0, 0 and proxy_get_status answers BrokenConnection with the message. */
  | { readonly kind: "failure"; readonly message: string };

/** A call that was accepted. */
export interface PendingHttpCall {
  /** Gives up; onResult must not be called any more. */
  cancel(): void;
}

export interface HttpCaller {
  /**
   * Starts a call. Answers onResult exactly once, on a later turn, never from inside call(), unless cancelled.
   * "unknown-cluster" becomes BadArgument, "unavailable" InternalFailure.
   */
  call(call: HttpCall, onResult: (result: HttpCallResult) => void): PendingHttpCall | "unknown-cluster" | "unavailable";
}

/** Metrics that plugins define. Ids are the sink's; the host passes them to the guest as they are, non-zero u32. */
export interface MetricSink {
  /** type: 0 counter, 1 gauge, 2 histogram. Same type and name: same series. Undefined: no room or a clash of types. */
  define(plugin: PluginIdentity, type: 0 | 1 | 2, name: string): number | undefined;
  /** The type of a defined metric, or undefined for an id that is not known. */
  typeOf(id: number): 0 | 1 | 2 | undefined;
  /** Counter (value > 0) or gauge (any sign). */
  add(id: number, value: number): void;
  /** Gauge: set. */
  set(id: number, value: number): void;
  /** Histogram: one sample. */
  record(id: number, value: number): void;
  get(id: number): number;
}

/** Log lines of plugins (proxy_log, standard output and error) and of the host about them. */
export interface PluginLog {
  /** Level of plugin lines that are written at all: 0 trace … 5 critical. Lines below are not even decoded. */
  level(plugin: PluginIdentity): number;
  /** `isHosts`: the host says it about the plugin; what the plugin itself writes must not crowd it out. */
  write(plugin: PluginIdentity, level: number, message: string, isHosts?: boolean): void;
}

/** A running timer. */
export interface Timer {
  cancel(): void;
}

/** Time, injected so that tests are deterministic. */
export interface Clock {
  /** Milliseconds of a clock that never goes back, with fractions (performance.now()). */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch, with fractions. */
  wallMs(): number;
  /** Runs once after delayMs; must not keep the process alive. */
  startTimer(delayMs: number, run: () => void): Timer;
}

/** One proxy_call_foreign_function, as the function sees it. */
export interface ForeignCall {
  readonly plugin: PluginIdentity;
  /** The guest's bytes; the function may keep them. */
  readonly argument: Uint8Array;
  /** The stream or connection on whose behalf the plugin calls; undefined for a root context. */
  readonly target: PropertyAccess | undefined;
  /** Takes fuel of the plugin's for work that its argument asks for; a byte moved is 1. */
  readonly spend: (work: number) => void;
  /**
   * Gives the plugin something later: calls proxy_on_foreign_function(root context, functionId, size) with the bytes in
   * buffer 8. On a turn of its own, never from inside the function. Nothing happens when the plugin is gone by then.
   */
  readonly notify: (functionId: number, bytes: Uint8Array) => void;
}

export interface ForeignAnswer {
  /** Status in abi/constants.ts. */
  readonly status: number;
  /** For the guest, with status Ok; none is no bytes. */
  readonly result?: Uint8Array;
}

/** A function of the host's under a name; must not throw. The embedder's go before the host's own (hostcalls/foreign.ts). */
export type ForeignFunction = (call: ForeignCall) => ForeignAnswer;

/** What a plugin ran into that contains it without ending it. */
export type LimitName =
  /** The shared memory of all plugins is full: a value or a message was refused. */
  | "shared_data"
  | "shared_queue"
  /** A call was refused: too many are under way. */
  | "http_calls"
  | "grpc_calls"
  /** A metric could not be defined: too many, or another type has the name. */
  | "metrics"
  /** A body or a map of headers would have become too large. */
  | "body"
  | "headers"
  /** A property was refused. */
  | "properties"
  /** A pointer or length outside the guest's memory, or an allocator that had nothing to give. */
  | "memory_access"
  /** A tick came later than the period says: ticks may take only a part of the thread's time. */
  | "ticks";

/** Counts them; called each time, so it must be cheap. */
export interface LimitCounter {
  hit(plugin: PluginIdentity, limit: LimitName): void;
}

/** Told when guest code begins and ends to run, for a watchdog on another thread. Called for each callback: a few stores. */
export interface CallbackWatch {
  /** `callback`: an id of abi/callbacks.ts, -1 for the instance's own start; `allowedMs`: PluginSpec.deadlineMs, more for starts. */
  enter(plugin: PluginIdentity, callback: number, allowedMs: number): void;
  leave(): void;
}

/**
 * Told when VMs take and leave memory. It lies outside of V8's heap, so V8 sees no reason to collect soon, and a plugin that fills
 * its memory in every request would leave one behind with each.
 */
export interface MemoryWatch {
  /** A VM with so many bytes will not be used any more. Nothing names its memory from the next turn on. */
  givenUp(bytes: number): void;
  /** A VM is made when this returns. No code of a VM that was given up is on the stack. */
  wanted(): void;
}

/** What the runtime of one worker needs. */
export interface RuntimePorts {
  readonly clock: Clock;
  readonly log: PluginLog;
  readonly http: HttpCaller;
  /** Absent: there are no clusters to call, and every gRPC call is refused. */
  readonly grpc?: GrpcCaller;
  readonly metrics: MetricSink;
  readonly properties: PropertySource;
  readonly limits?: LimitCounter;
  readonly watch?: CallbackWatch;
  readonly memory?: MemoryWatch;
  /** From 0 to 1, 1 left out; Math.random when absent. */
  readonly random?: () => number;
  readonly foreign?: ReadonlyMap<string, ForeignFunction>;
  /** RE2's partial match, for `matches` in expressions: undefined for what is no regular expression. Without it: never one. */
  readonly matches?: (text: string, pattern: string) => boolean | undefined;
}
