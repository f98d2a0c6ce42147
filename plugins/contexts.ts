// The contexts of one VM, as the guest knows them: ids with a root context each, and for a stream context the stream.
// A root context owns what outlives a callback: the tick timer, calls that are on their way, the pending end.
// vm.ts runs callbacks on them; plugin.ts creates root contexts; http-context.ts creates stream contexts.
//
//   root 1 (plugin A) ──┬─ stream 3        ids are unique in a VM and count up, root and stream contexts alike
//   root 2 (plugin B) ──┼─ stream 4
//                       └─ stream 5

import { Callback, FAULTED } from "./abi/callbacks.ts";
import { ExpressionTable } from "./cel/expression-table.ts";
import type { PluginFault } from "./errors.ts";
import { GrpcCallouts } from "./grpc-callouts.ts";
import { HeaderList } from "./header-list.ts";
import type { HttpContext } from "./http-context.ts";
import type { Plugin } from "./plugin.ts";
import type {
  DeclaredProperty,
  HttpCallResult,
  LoggedStream,
  PendingHttpCall,
  PropertyAccess,
  Timer,
} from "./ports.ts";
import type { TcpContext } from "./tcp-context.ts";
import type { Vm } from "./vm.ts";

/** What a context id stands for. */
export class GuestContext {
  readonly id: number;
  readonly root: RootContext;
  /** The HTTP stream, or the TCP connection; both undefined for a root context. */
  readonly http: HttpContext | undefined;
  readonly tcp: TcpContext | undefined;

  constructor(id: number, root: RootContext, http: HttpContext | undefined, tcp: TcpContext | undefined) {
    this.id = id;
    this.root = root;
    this.http = http;
    this.tcp = tcp;
  }

  get isRoot(): boolean {
    return this.http === undefined && this.tcp === undefined;
  }

  /** Where properties of the stream or connection are; undefined for a root context. */
  get properties(): PropertyAccess | undefined {
    return this.http?.stream ?? this.tcp?.connection;
  }
}

/** The answer of an HTTP call while proxy_on_http_call_response runs. */
export interface CallAnswer {
  readonly headers: HeaderList;
  readonly trailers: HeaderList;
  readonly body: Uint8Array;
}

/** Calls that one root context may have under way: a plugin that leaks calls must not exhaust the proxy. */
const MAX_CALLS_UNDER_WAY = 4096;
const MAX_DECLARED_PROPERTIES = 1024;
/** How long a root context may keep itself alive after proxy_on_done answered false; Envoy has no bound. */
const DONE_DEADLINE_MS = 30_000;
/** A tick faster than this would be a busy loop. */
const MIN_TICK_MS = 1;
/** After a tick there is this many times its duration without one, so that ticks take a tenth of the thread's time at most. */
const TICK_REST = 9;
const BROKEN_CONNECTION = 11;

export class RootContext {
  readonly vm: Vm;
  readonly plugin: Plugin;
  readonly context: GuestContext;
  /** Set while an answer is delivered; maps 6 and 7 and buffer 4 read it. */
  answer: CallAnswer | undefined = undefined;
  readonly grpc: GrpcCallouts;
  /** Set while proxy_on_log runs for an access logger; maps 0 to 3 and properties read it. */
  logged: LoggedStream | undefined = undefined;
  /** Set while proxy_on_foreign_function runs; buffer 8 reads it. */
  callData: Uint8Array | undefined = undefined;
  /** What the plugin has made by the foreign function expr_create. */
  readonly expressions = new ExpressionTable();
  /** What proxy_get_status tells. The code stays until the next answer, as in Envoy; the message does not. */
  statusCode = 0;
  statusMessage = "";
  readonly #calls = new Map<number, PendingHttpCall>();
  /** Properties that the plugin declared (foreign function declare_property). */
  readonly #declared = new Map<string, DeclaredProperty>();
  #tickMs = 0;
  #tick: Timer | undefined = undefined;
  #tickRestMs = 0;
  #donePending = false;
  #doneTimer: Timer | undefined = undefined;
  #ended = false;
  #onEnded: () => void = () => {};

  /** Id 0 is the VM itself, which no callback ever names; any other id is registered with the VM. */
  constructor(vm: Vm, plugin: Plugin, id: number) {
    this.vm = vm;
    this.plugin = plugin;
    this.context = new GuestContext(id, this, undefined, undefined);
    this.grpc = new GrpcCallouts(this);
    if (id !== 0) vm.contexts.add(this.context);
  }

  /** Runs the start callbacks in order. Answers what went wrong; a context that was refused is given up as it is. */
  start(): PluginFault | undefined {
    const vm = this.vm;
    const spec = this.plugin.spec;
    vm.call(Callback.OnContextCreate, this.context, 0, 0, 0, 0);
    const started = vm.call(Callback.OnVmStart, this.context, spec.vmConfiguration.length, 0, 0, 0);
    let refusal = started === 0 ? vm.refusal("proxy_on_vm_start", this.context) : undefined;
    if (started !== 0) {
      const configured = vm.call(Callback.OnConfigure, this.context, spec.pluginConfiguration.length, 0, 0, 0);
      if (configured === 0) refusal = vm.refusal("proxy_on_configure", this.context);
    }
    vm.drain();
    if (refusal !== undefined) this.release();
    return vm.fault ?? refusal;
  }

  /** False when the name has been declared before, or there are too many. */
  declareProperty(name: string, property: DeclaredProperty): boolean {
    if (this.#declared.has(name) || this.#declared.size >= MAX_DECLARED_PROPERTIES) return false;
    this.#declared.set(name, property);
    return true;
  }

  declaredProperty(name: string): DeclaredProperty | undefined {
    return this.#declared.get(name);
  }

  /** proxy_set_tick_period_milliseconds; 0 stops. A one-shot timer is armed again after each tick: no backlog. */
  setTickPeriod(ms: number): void {
    this.#tickMs = ms === 0 ? 0 : Math.max(ms, MIN_TICK_MS);
    this.#tick?.cancel();
    this.#tick = undefined;
    this.#armTick();
  }

  #armTick(): void {
    if (this.#tickMs === 0 || this.#ended || this.#tick !== undefined) return;
    const { clock } = this.vm.host.ports;
    const delayMs = Math.max(this.#tickMs, this.#tickRestMs);
    if (delayMs > this.#tickMs) this.vm.hit("ticks");
    this.#tick = clock.startTimer(delayMs, () => {
      this.#tick = undefined;
      if (this.#ended) return;
      const startedAt = clock.monotonicMs();
      const result = this.vm.call(Callback.OnTick, this.context, 0, 0, 0, 0);
      this.vm.drain();
      this.#tickRestMs = (clock.monotonicMs() - startedAt) * TICK_REST;
      if (result !== FAULTED) this.#armTick();
    });
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  get canCall(): boolean {
    return !this.#ended && this.#calls.size < MAX_CALLS_UNDER_WAY;
  }

  addCall(token: number, call: PendingHttpCall): void {
    this.#calls.set(token, call);
  }

  /** Delivers the answer of a call: proxy_on_http_call_response on the root context. */
  onCallResult(token: number, result: HttpCallResult): void {
    if (!this.#calls.delete(token) || this.#ended) return;
    const vm = this.vm;
    vm.answeredToken = token;
    if (result.kind === "failure") {
      this.statusCode = BROKEN_CONNECTION;
      this.statusMessage = result.message;
      vm.call(Callback.OnHttpCallResponse, this.context, token, 0, 0, 0);
    } else {
      this.statusCode = 0;
      const headers = new HeaderList([...result.headers]);
      const trailers = new HeaderList([...result.trailers]);
      this.answer = { headers, trailers, body: result.body };
      const bodyLength = result.body.length;
      vm.call(Callback.OnHttpCallResponse, this.context, token, headers.size, bodyLength, trailers.size);
      this.answer = undefined;
    }
    vm.answeredToken = 0;
    this.statusMessage = "";
    vm.drain();
  }

  /** Delivers one stream that is over to the plugin as an access logger: proxy_on_log on the root context. */
  log(stream: LoggedStream): void {
    if (this.#ended) return;
    this.logged = stream;
    this.vm.call(Callback.OnLog, this.context, 0, 0, 0, 0);
    this.logged = undefined;
    this.vm.drain();
  }

  /** Delivers one proxy_on_foreign_function, with its bytes in buffer 8. */
  onForeign(functionId: number, bytes: Uint8Array): void {
    if (this.#ended) return;
    this.callData = bytes;
    this.vm.call(Callback.OnForeignFunction, this.context, functionId, bytes.length, 0, 0);
    this.callData = undefined;
    this.vm.drain();
  }

  /** Delivers one proxy_on_queue_ready. */
  onQueueReady(token: number): void {
    if (this.#ended) return;
    this.vm.call(Callback.OnQueueReady, this.context, token, 0, 0, 0);
    this.vm.drain();
  }

  /** Asks the plugin to finish (proxy_on_done); then proxy_on_delete, at once or when it says so or time is up. */
  finish(onEnded: () => void): void {
    if (this.#ended) return onEnded();
    if (this.#donePending) return;
    this.#onEnded = onEnded;
    const done = this.vm.call(Callback.OnDone, this.context, 0, 0, 0, 0);
    this.vm.drain();
    if (done !== 0) return this.end();
    this.#donePending = true;
    this.#doneTimer = this.vm.host.ports.clock.startTimer(DONE_DEADLINE_MS, () => this.end());
  }

  /** proxy_done: false when nobody waits for it. */
  get isDonePending(): boolean {
    return this.#donePending;
  }

  /** Last callback, then everything that the context owns is given up. */
  end(): void {
    if (this.#ended) return;
    this.vm.call(Callback.OnDelete, this.context, 0, 0, 0, 0);
    this.release();
    this.vm.drain();
    this.#onEnded();
  }

  /** Gives up timers and calls without telling the guest: its VM is dead or the proxy stops. */
  release(): void {
    this.#ended = true;
    this.#tick?.cancel();
    this.#doneTimer?.cancel();
    for (const call of this.#calls.values()) call.cancel();
    this.#calls.clear();
    this.grpc.release();
    this.vm.contexts.delete(this.context.id);
  }
}
