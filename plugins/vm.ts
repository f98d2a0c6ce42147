// One instance of a plugin module: calls its exports, holds its memory, ends when it traps. Contexts and host
// functions hang on it. plugin.ts creates it; hostcalls/table.ts builds what it imports.
//
// Two rules. No callback starts while another one runs: host functions put what would lead to one into `defer()`, and
// whoever made the outermost call runs `drain()` after it. And after a fault nothing is ever called in the instance
// again: its memory is in an unknown state.
//
// Nothing can interrupt a guest that loops. It ends itself: its code takes fuel from a gauge that is filled before each
// callback, and traps when there is none left (metering/). A module that was loaded without metering has no such end.

import { Callback, CALLBACK_NAMES, type CallbackId, FAULTED } from "./abi/callbacks.ts";
import { Status } from "./abi/constants.ts";
import { CallWindow, GuestExit, MemoryExhausted, RestrictedCall } from "./call-window.ts";
import { ContextTable } from "./context-table.ts";
import { type GuestContext, RootContext } from "./contexts.ts";
import type { FaultKind, PluginFault } from "./errors.ts";
import { GuestOutput } from "./guest-output.ts";
import { HookScratch, describeCallback } from "./hook-scratch.ts";
import type { HttpContext } from "./http-context.ts";
import { buildImports } from "./hostcalls/table.ts";
import { GuestMemory } from "./memory.ts";
import { FuelGauge } from "./metering/fuel-gauge.ts";
import { FUEL_EXPORTS } from "./metering/instrumenter.ts";
import type { Plugin } from "./plugin.ts";
import type { PluginModule } from "./plugin-module.ts";
import type { LimitName } from "./ports.ts";
import type { RuntimeHost } from "./runtime-host.ts";
import type { ConnectionAction, TcpContext } from "./tcp-context.ts";

type Export = (a?: number, b?: number, c?: number, d?: number, e?: number) => number | undefined;

/** Something that may lead to a callback and so has to wait for the end of the one that runs. */
export type Deferred =
  | {
      readonly kind: "continue-request" | "continue-response" | "close" | "reply" | "vm-failed";
      readonly http: HttpContext;
    }
  | { readonly kind: ConnectionAction; readonly tcp: TcpContext }
  | { readonly kind: "root-done"; readonly root: RootContext };

const MAX_FRAMES = 20;
/** How much longer a start callback may take than another: start fuel is this many times the other. */
const START_TIMES = 15;
const PAGE_BYTES = 64 * 1024;
/** A guest that gives up with less than this left to its memory's limit has run out of it: allocators grow in steps. */
const MANY_BYTES = 1024 * 1024;

export class Vm {
  readonly host: RuntimeHost;
  readonly module: PluginModule;
  readonly memory = new GuestMemory();
  readonly fuel = new FuelGauge();
  readonly contexts = new ContextTable();
  /** "KEY=value" of the guest's environment. */
  readonly environment: readonly string[];
  readonly vmConfiguration: Uint8Array;
  /** Standard output and error. */
  readonly output: GuestOutput;
  /** Counters of the callback that runs; host functions add to it. */
  readonly scratch = new HookScratch();
  /** The context whose callback runs, and the one that host functions act on (proxy_set_effective_context). */
  active: GuestContext;
  effective: GuestContext;
  /** Id of the callback that runs or ran last; -1 during the start. */
  callback = -1;
  window: number = CallWindow.Open;
  fault: PluginFault | undefined = undefined;
  /** Token of the call whose answer is being delivered; 0 otherwise. */
  answeredToken = 0;
  /** When the callback that ran last ended, for an observer; 0 when there was none, or nobody watches. */
  #endedAt = 0;
  /** When the callback to come began, if that is known; else 0. */
  #follows = 0;
  #running = false;
  #pending: Deferred[] = [];
  #callbacks: (Export | undefined)[] = [];
  #allocate: Export = () => 0;
  readonly #onFault: (fault: PluginFault, memoryBytes: number) => void;

  /**
   * Creates the instance and runs its start functions; `fault` is set when that failed. `starter` names it in logs. `onFault` is
   * called once, with the size of the memory then.
   */
  constructor(host: RuntimeHost, starter: Plugin, onFault: (fault: PluginFault, memoryBytes: number) => void) {
    this.host = host;
    this.output = new GuestOutput(host.ports.log);
    this.module = starter.spec.module;
    this.environment = Object.entries(starter.spec.environment).map(([key, value]) => `${key}=${value}`);
    this.vmConfiguration = starter.spec.vmConfiguration;
    this.#onFault = onFault;
    host.vmsCreated++;
    host.ports.memory?.wanted();
    this.active = new RootContext(this, starter, 0).context;
    this.effective = this.active;
    this.#start(starter.spec.capabilities, starter.fuel.start);
  }

  #start(capabilities: readonly string[] | undefined, fuel: number): void {
    this.window = CallWindow.Start;
    let running = "instantiate";
    const { watch } = this.host.ports;
    const { plugin } = this.active.root;
    watch?.enter(plugin.identity, -1, plugin.deadlineMs * START_TIMES);
    try {
      const instance = new WebAssembly.Instance(this.module.module, buildImports(this, capabilities));
      const exports = instance.exports;
      this.memory.attach(exports["memory"] as WebAssembly.Memory);
      this.#allocate = exports[this.module.allocator] as Export;
      this.#callbacks = CALLBACK_NAMES.map((name) => this.#callbackExport(exports, name, capabilities));
      if (this.fuel.attach(exports)) {
        this.fuel.fill(fuel);
        (exports[FUEL_EXPORTS.start] as Export | undefined)?.();
      }
      running = "_initialize" in exports ? "_initialize" : "_start";
      for (const name of startExports(exports)) {
        running = name;
        (exports[name] as Export)(0, 0);
      }
    } catch (error) {
      // A command module ends its _start with proc_exit(0): that is success.
      if (!(error instanceof GuestExit && error.code === 0 && running === "_start")) this.#fail(error, running);
    }
    watch?.leave();
    this.window = CallWindow.Open;
    if (this.output.isPending) this.output.flush(this.active.root.plugin.identity);
    if (this.fault !== undefined) this.#letGo();
  }

  #callbackExport(
    exports: Record<string, unknown>,
    name: string,
    capabilities: readonly string[] | undefined,
  ): Export | undefined {
    let found = exports[name];
    // The C++ and AssemblyScript SDKs spell this one differently.
    if (name === "proxy_on_grpc_receive_trailing_metadata") found ??= exports["proxy_on_grpc_trailing_metadata"];
    if (typeof found !== "function") return undefined;
    const allowed = capabilities === undefined || capabilities.length === 0 || capabilities.includes(name);
    return allowed ? (found as Export) : undefined;
  }

  /**
   * Runs one callback on a context. Answers its result as u32, the default when the plugin does not export it, or
   * FAULTED. The caller settles what the result means and then calls drain().
   */
  call(id: CallbackId, context: GuestContext, a: number, b: number, c: number, d: number): number {
    const follows = this.#follows;
    this.#follows = 0;
    this.#endedAt = 0;
    if (this.fault !== undefined) return FAULTED;
    const run = this.#callbacks[id];
    if (run === undefined) return defaultResult(id);
    if (this.#running) throw new Error(`${CALLBACK_NAMES[id]} must not start while another callback runs`);
    this.#running = true;
    this.active = context;
    this.effective = context;
    this.callback = id;
    const scratch = this.scratch;
    scratch.reset();
    const { fuel, deadlineMs, identity } = context.root.plugin;
    const isStart = startsRoot(id, context);
    this.memory.work = 0;
    this.fuel.fill(isStart ? fuel.start : fuel.perCallback);
    const { observer } = this.host;
    const { watch } = this.host.ports;
    watch?.enter(identity, id, isStart ? deadlineMs * START_TIMES : deadlineMs);
    let startedAt = follows;
    if (observer !== undefined && follows === 0) startedAt = this.host.ports.clock.monotonicMs();
    let result: number;
    try {
      result = (run(context.id, a, b, c, d) as number) >>> 0;
    } catch (error) {
      result = FAULTED;
      this.#fail(error, CALLBACK_NAMES[id] as string);
    }
    watch?.leave();
    this.#running = false;
    if (this.output.isPending) this.output.flush(identity);
    if (observer !== undefined) {
      scratch.startedAt = startedAt;
      scratch.endedAt = this.host.ports.clock.monotonicMs();
      this.#endedAt = scratch.endedAt;
      describeCallback(scratch, context, id, a, b, c, d, result);
      scratch.fuel = this.fuel.used(this.memory.work);
      scratch.fault = this.fault;
      scratch.answeredToken = this.answeredToken;
      observer.hook(scratch);
    }
    if (this.fault !== undefined) this.#letGo();
    return result;
  }

  /**
   * Says that the next callback comes right after the last one: then that one's end is its start, which saves the clock one of
   * four looks. A callback that the plugin does not have is none.
   */
  follow(): void {
    this.#follows = this.#endedAt;
  }

  /**
   * Nothing is called in a dead instance any more, and no context of it needs its memory; the contexts themselves may stay for
   * as long as their streams do, and must not keep it.
   */
  #letGo(): void {
    this.memory.detach();
    this.fuel.detach();
    this.#callbacks = [];
    this.#allocate = () => 0;
  }

  /** Takes the host's work for the guest out of its fuel; host calls see to it once there is much (hostcalls/table.ts). */
  payForWork(): void {
    this.fuel.spend(this.memory.work);
    this.memory.work = 0;
  }

  /** Puts off what must not happen while guest code is on the stack. */
  defer(action: Deferred): void {
    this.#pending.push(action);
  }

  /**
   * Runs what was deferred, first in first out. An action may lead to new callbacks, which drain what they defer
   * themselves; the list is taken out first, so nothing can make this loop endless.
   */
  drain(): void {
    if (this.#pending.length === 0 || this.#running) return;
    const actions = this.#pending;
    this.#pending = [];
    for (const action of actions) {
      if (action.kind === "root-done") action.root.end();
      else if ("tcp" in action) action.tcp.perform(action.kind);
      else action.http.perform(action.kind);
    }
  }

  /** Guest memory of `length` bytes from the plugin's allocator; 0 when there is none. Never called with 0. */
  allocate(length: number): number {
    const window = this.window;
    this.window = CallWindow.Allocator;
    const address = (this.#allocate(length) as number) >>> 0;
    this.window = window;
    this.memory.ensure();
    if (address !== 0 && this.memory.contains(address, length)) return address;
    if (address === 0 && this.memory.size + length > this.#memoryLimit) throw new MemoryExhausted(this.#memoryText(""));
    return 0;
  }

  /** Gives a string back to the guest: allocates, copies, writes pointer and length. Answers the status. */
  returnLatin1(text: string, pointerOut: number, lengthOut: number): number {
    const memory = this.memory;
    if (!memory.contains(pointerOut, 4) || !memory.contains(lengthOut, 4)) return Status.InvalidMemoryAccess;
    let address = 0;
    if (text.length !== 0) {
      address = this.allocate(text.length);
      if (address === 0) return Status.InvalidMemoryAccess;
      memory.writeLatin1(address, text);
    }
    memory.putU32(pointerOut, address);
    memory.putU32(lengthOut, text.length);
    return Status.Ok;
  }

  /** The same for bytes. */
  returnBytes(bytes: Uint8Array, pointerOut: number, lengthOut: number): number {
    const memory = this.memory;
    if (!memory.contains(pointerOut, 4) || !memory.contains(lengthOut, 4)) return Status.InvalidMemoryAccess;
    let address = 0;
    if (bytes.length !== 0) {
      address = this.allocate(bytes.length);
      if (address === 0) return Status.InvalidMemoryAccess;
      memory.bytes.set(bytes, address);
      memory.work += bytes.length;
    }
    memory.putU32(pointerOut, address);
    memory.putU32(lengthOut, bytes.length);
    return Status.Ok;
  }

  /** The same for eight bytes, little endian, given as two halves. */
  returnU64(low: number, high: number, pointerOut: number, lengthOut: number): number {
    const memory = this.memory;
    if (!memory.contains(pointerOut, 4) || !memory.contains(lengthOut, 4)) return Status.InvalidMemoryAccess;
    const address = this.allocate(8);
    if (address === 0) return Status.InvalidMemoryAccess;
    memory.putU64(address, low, high);
    memory.putU32(pointerOut, address);
    memory.putU32(lengthOut, 8);
    return Status.Ok;
  }

  /** Counts that the plugin that runs met a limit. */
  hit(limit: LimitName): void {
    this.host.ports.limits?.hit(this.effective.root.plugin.identity, limit);
  }

  /** A line of the host's own about the plugin that runs. */
  warn(message: string): void {
    this.host.ports.log.write(this.effective.root.plugin.identity, 3, message, true);
  }

  /** The fault of a start callback that answered false; the instance itself stays usable. */
  refusal(callback: string, context: GuestContext): PluginFault {
    return faultOf(context, "refused", callback, "the callback answered false", []);
  }

  #fail(error: unknown, callback: string): void {
    const message = error instanceof Error ? error.message : String(error);
    const kind = faultKind(error);
    if (kind === "trap" && this.fuel.isSpent()) {
      this.#die("out_of_fuel", callback, this.#spentText(callback), guestFrames(error));
    } else if (kind === "trap" && message === "unreachable" && this.memory.size + MANY_BYTES > this.#memoryLimit) {
      this.#die("out_of_memory", callback, this.#memoryText("unreachable, "), guestFrames(error));
    } else this.#die(kind, callback, message.split("\n", 1)[0] ?? "", guestFrames(error));
  }

  get #memoryLimit(): number {
    return this.module.maximumMemoryPages * PAGE_BYTES;
  }

  #memoryText(how: string): string {
    const { memoryLimitName = "memoryMib" } = this.active.root.plugin.spec;
    const [size, limit] = [this.memory.size, this.#memoryLimit].map((bytes) => Math.floor(bytes / 2 ** 20));
    return `${how}its memory has ${size} of at most ${limit} MiB; ${memoryLimitName} sets the limit`;
  }

  #spentText(callback: string): string {
    const { start, perCallback, startName, perCallbackName } = this.active.root.plugin.fuel;
    const isStart = startsRoot(this.callback, this.active);
    const [limit, name] = isStart ? [start, startName] : [perCallback, perCallbackName];
    return `${callback} used all of its ${limit} units of fuel; ${name} sets the limit (0: none)`;
  }

  #die(kind: FaultKind, callback: string, message: string, frames: readonly string[]): void {
    this.#running = false;
    this.window = CallWindow.Open;
    this.fault = faultOf(this.active, kind, callback, message, frames);
    for (const context of this.contexts.values()) {
      const { http, tcp } = context;
      if (context.isRoot) context.root.release();
      else if (context === this.active) continue;
      else if (http !== undefined) this.defer({ kind: "vm-failed", http });
      else if (tcp !== undefined) this.defer({ kind: "vm-failed", tcp });
    }
    const memoryBytes = this.memory.size;
    this.host.ports.memory?.givenUp(memoryBytes);
    this.#onFault(this.fault, memoryBytes);
  }
}

function faultOf(
  context: GuestContext,
  kind: FaultKind,
  callback: string,
  message: string,
  frames: readonly string[],
): PluginFault {
  const { vm, plugin } = context.root;
  const { name, vmId } = plugin.identity;
  const at = vm.host.ports.clock.wallMs();
  return { plugin: name, vmId, callback, contextId: context.id, at, kind, message, frames };
}

/** Start functions in the order of the ABI: _initialize, then main if there is one; _start only without _initialize. */
function startExports(exports: Record<string, unknown>): string[] {
  if (typeof exports["_initialize"] !== "function") return typeof exports["_start"] === "function" ? ["_start"] : [];
  const main = ["main", "__main_void"].find((name) => typeof exports[name] === "function");
  return main === undefined ? ["_initialize"] : ["_initialize", main];
}

/** Whether the callback is part of the start (-1: the instance's own), which has more fuel. */
function startsRoot(callback: number, context: GuestContext): boolean {
  return callback <= Callback.OnConfigure && context.isRoot;
}

/** A plugin that does not export a callback is not interested: it agrees. */
function defaultResult(id: CallbackId): number {
  return id === Callback.OnVmStart || id === Callback.OnConfigure || id === Callback.OnDone ? 1 : 0;
}

function faultKind(error: unknown): FaultKind {
  if (error instanceof WebAssembly.RuntimeError) return "trap";
  if (error instanceof GuestExit) return "exit";
  if (error instanceof RestrictedCall) return "restricted_call";
  if (error instanceof MemoryExhausted) return "out_of_memory";
  if (error instanceof RangeError && error.message.includes("call stack")) return "stack_overflow";
  return "host_error";
}

function guestFrames(error: unknown): string[] {
  if (!(error instanceof Error) || error.stack === undefined) return [];
  const frames = error.stack.split("\n").filter((line) => line.includes("wasm://"));
  return frames.slice(0, MAX_FRAMES).map((line) => line.trim().replace(/^at /, ""));
}
