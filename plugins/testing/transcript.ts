// The transcript of what a plugin did: every callback with its host calls, and notes of what happened around them. Give
// `observer` and `onHostCall` to a PluginRuntime (RuntimeOptions) before it loads anything.
// Times are milliseconds of the runtime's clock since the transcript began.

import { CALLBACK_NAMES } from "../abi/callbacks.ts";
import type { PluginFault } from "../errors.ts";
import type { HookObserver, HookRecord } from "../observer.ts";
import type { Clock, LoggedStream } from "../ports.ts";
import type { HostCallListener } from "../runtime-host.ts";
import type { Vm } from "../vm.ts";
import { answersBoolean, callbackArguments } from "./call-shapes.ts";
import { type CallValues, readHostCall } from "./host-call-reader.ts";

/** One host function that the plugin called. */
export interface HostCallEntry {
  /** As the guest imports it: "proxy_log", "fd_write" … */
  readonly name: string;
  readonly atMs: number;
  readonly tookMs: number;
  readonly arguments: CallValues;
  /** "Ok", "NotFound" …; undefined when the call ended the guest (proc_exit). */
  readonly status: string | undefined;
  /** What the host gave back, by name; empty unless the status is Ok. */
  readonly answers: CallValues;
}

/** One callback of the plugin. "(start)" stands for what ran before the first: _initialize and the like. */
export interface CallbackEntry {
  readonly kind: "callback";
  /** As the guest exports it: "proxy_on_request_headers" … */
  readonly name: string;
  readonly plugin: string;
  readonly contextId: number;
  readonly stream: LoggedStream | undefined;
  readonly atMs: number;
  readonly endedAtMs: number;
  /** Without what listening to its host calls took. */
  readonly tookMs: number;
  readonly arguments: Readonly<Record<string, number | boolean>>;
  /** "continue" or "pause", true or false for callbacks that answer so; undefined for the rest, and after a fault. */
  readonly result: "continue" | "pause" | boolean | undefined;
  /** About one unit for a machine instruction; -1 when nothing was counted. */
  readonly fuel: number;
  readonly hostCalls: readonly HostCallEntry[];
  readonly fault: PluginFault | undefined;
}

/** Something that happened around the plugin: "the request goes on", "time moves on by 50 ms". */
export interface NoteEntry {
  readonly kind: "note";
  readonly atMs: number;
  readonly text: string;
}

export type TranscriptEntry = CallbackEntry | NoteEntry;

/** More entries are counted, not kept: a plugin can tick or call the host without end. */
const MAX_ENTRIES = 100_000;
const NAME_OF_START = "(start)";

export class Transcript implements HookObserver {
  readonly entries: TranscriptEntry[] = [];
  /** Callbacks, host calls and notes that were not kept. */
  dropped = 0;
  readonly onHostCall: HostCallListener;
  readonly #clock: Clock;
  readonly #beganAt: number;
  /** Host calls of the callback that runs. */
  #calls: HostCallEntry[] = [];
  /** Host calls of an instance's start, which no hook is called for. */
  #startCalls: HostCallEntry[] = [];
  #starting: Vm | undefined = undefined;
  #kept = 0;
  /** What listening itself took in the callback that runs: it is no time of the guest's. */
  #listeningMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beganAt = clock.monotonicMs();
    this.onHostCall = (vm, name, args, result, startedAt, endedAt) => {
      if (!this.#hasRoom()) return;
      const read = readHostCall(vm.memory, name, args, result);
      const entry = { name, atMs: startedAt - this.#beganAt, tookMs: endedAt - startedAt, ...read };
      if (vm.callback === -1) {
        this.#starting = vm;
        this.#startCalls.push(entry);
        return;
      }
      this.#calls.push(entry);
      this.#listeningMs += clock.monotonicMs() - endedAt;
    };
  }

  hook(record: HookRecord): void {
    this.flush();
    const hostCalls = this.#calls;
    const listeningMs = this.#listeningMs;
    this.#calls = [];
    this.#listeningMs = 0;
    if (!this.#hasRoom()) return;
    const name = CALLBACK_NAMES[record.callback] as string;
    this.entries.push({
      kind: "callback",
      name,
      plugin: record.plugin.name,
      contextId: record.contextId,
      stream: record.stream,
      atMs: record.startedAt - this.#beganAt,
      endedAtMs: record.endedAt - this.#beganAt,
      tookMs: Math.max(0, record.endedAt - record.startedAt - listeningMs),
      arguments: namedArguments(name, record),
      result: resultOf(name, record),
      fuel: record.fuel,
      hostCalls,
      fault: record.fault,
    });
  }

  note(text: string): void {
    if (this.#hasRoom()) this.entries.push({ kind: "note", atMs: this.#clock.monotonicMs() - this.#beganAt, text });
  }

  /** Makes an entry of the host calls of an instance's start; by itself before the first callback, by hand when none came. */
  flush(): void {
    const vm = this.#starting;
    if (vm === undefined) return;
    const hostCalls = this.#startCalls;
    this.#startCalls = [];
    this.#starting = undefined;
    const atMs = hostCalls[0]?.atMs ?? 0;
    const endedAtMs = hostCalls.at(-1)?.atMs ?? atMs;
    this.entries.push({
      kind: "callback",
      name: NAME_OF_START,
      plugin: vm.active.root.plugin.identity.name,
      contextId: 0,
      stream: undefined,
      atMs,
      endedAtMs,
      tookMs: endedAtMs - atMs,
      arguments: {},
      result: undefined,
      fuel: -1,
      hostCalls,
      fault: vm.fault,
    });
  }

  /** Only the callbacks. */
  get callbacks(): readonly CallbackEntry[] {
    return this.entries.filter((entry) => entry.kind === "callback");
  }

  #hasRoom(): boolean {
    if (this.#kept < MAX_ENTRIES) {
      this.#kept++;
      return true;
    }
    this.dropped++;
    return false;
  }
}

function namedArguments(name: string, record: HookRecord): Record<string, number | boolean> {
  const raw = [record.first, record.second, record.third, record.fourth];
  const names = callbackArguments(name);
  return Object.fromEntries(
    names.map((argument, i) => [argument, argument === "end_of_stream" ? raw[i] !== 0 : (raw[i] as number)]),
  );
}

function resultOf(name: string, record: HookRecord): CallbackEntry["result"] {
  if (record.result < 0) return undefined;
  if (record.action >= 0) return record.action === 0 ? "continue" : "pause";
  return answersBoolean(name) ? record.result !== 0 : undefined;
}
