// A plugin in a test: the host that production uses, with a clock, calls, log and metrics that the test holds in its hands.
// Made by loadPlugin() (load-plugin.ts).

import { Callback } from "../abi/callbacks.ts";
import type { RootContext } from "../contexts.ts";
import type { PluginFault } from "../errors.ts";
import type { Plugin } from "../plugin.ts";
import type { PluginModule } from "../plugin-module.ts";
import type { PluginRuntime } from "../plugin-runtime.ts";
import type { TestCall, TestCalls } from "./test-calls.ts";
import type { TestClock } from "./test-clock.ts";
import type { TestGrpcCall, TestGrpcCalls } from "./test-grpc-calls.ts";
import { TestConnection } from "./test-connection.ts";
import type { PropertiesInput } from "./test-properties.ts";
import type { LogLine, Metric, TestLog, TestMetrics } from "./test-sinks.ts";
import { type RequestInput, TestStream } from "./test-stream.ts";
import type { CallbackEntry, Transcript } from "./transcript.ts";
import { type TextOptions, transcriptLines } from "./transcript-text.ts";

export interface TestPluginParts {
  readonly runtime: PluginRuntime;
  readonly plugin: Plugin;
  readonly clock: TestClock;
  readonly calls: TestCalls;
  readonly grpcCalls: TestGrpcCalls;
  readonly log: TestLog;
  readonly metrics: TestMetrics;
  readonly transcript: Transcript;
  readonly properties: PropertiesInput;
}

export interface StreamOptions {
  /** Added to those of the plugin: `{ "source.address": "10.0.0.1:5000", "xds.route_name": "r" }`. */
  readonly properties?: PropertiesInput;
}

export class TestPlugin implements Disposable {
  readonly clock: TestClock;
  readonly #parts: TestPluginParts;
  readonly #streams: (TestStream | TestConnection)[] = [];
  #isClosed = false;

  constructor(parts: TestPluginParts) {
    this.#parts = parts;
    this.clock = parts.clock;
  }

  /** A new stream, on which nothing has happened yet. */
  stream(options: StreamOptions = {}): TestStream {
    const stream = new TestStream(this.#parts.plugin, { ...this.#parts.properties, ...options.properties });
    this.#streams.push(stream);
    return stream;
  }

  /** A new stream with a whole request pushed into it. */
  request(init: RequestInput = {}, options: StreamOptions = {}): TestStream {
    return this.stream(options).sendRequest(init);
  }

  /** A new TCP connection, for a network plugin: proxy_on_new_connection has run. */
  connection(options: StreamOptions = {}): TestConnection {
    const connection = new TestConnection(this.#parts.plugin, { ...this.#parts.properties, ...options.properties });
    this.#streams.push(connection);
    return connection;
  }

  // ── Root callbacks ──

  /** proxy_on_tick, now, whatever period the plugin asked for; `clock.advance()` runs ticks when they are due. */
  tick(): void {
    const { vm, context } = this.#root();
    vm.call(Callback.OnTick, context, 0, 0, 0, 0);
    vm.drain();
  }

  /**
   * Puts a message into a queue that the plugin registered, and runs proxy_on_queue_ready. `vmId`: of the queue, by
   * default the plugin's own.
   */
  async enqueue(queue: string, message: string | Uint8Array, vmId = this.#vmId): Promise<void> {
    const { shared } = this.#parts.runtime;
    const token = shared.resolveQueue(vmId, queue);
    if (token === 0) throw new Error(`no plugin registered the queue "${queue}" of vm_id "${vmId}"`);
    if (shared.enqueue(token, Buffer.from(message)) !== "ok") throw new Error("the shared memory is full");
    this.#parts.runtime.ringQueue(token);
    await this.settled();
  }

  /** The next message of a queue, without waiting; undefined when there is none. */
  dequeue(queue: string, vmId = this.#vmId): Buffer | undefined {
    const { shared } = this.#parts.runtime;
    const message = shared.dequeue(shared.resolveQueue(vmId, queue));
    return typeof message === "string" ? undefined : Buffer.from(message);
  }

  /** Resolves when queue messages that the plugin itself sent have been announced. */
  async settled(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  // ── What the plugin did ──

  /** HTTP calls that it made, in order, answered ones too. */
  get calls(): readonly TestCall[] {
    return this.#parts.calls.all;
  }

  /** The one call that waits for its answer; throws unless there is exactly one. */
  get pendingCall(): TestCall {
    return onlyWaiting(this.calls, "calls");
  }

  /** gRPC calls and streams that it made, in order, those that have ended too. */
  get grpcCalls(): readonly TestGrpcCall[] {
    return this.#parts.grpcCalls.all;
  }

  /** The one gRPC call or stream that is under way; throws unless there is exactly one. */
  get pendingGrpcCall(): TestGrpcCall {
    return onlyWaiting(this.grpcCalls, "gRPC calls");
  }

  /** Log lines: proxy_log, standard output and error, and the host's own about the plugin. */
  get logs(): readonly LogLine[] {
    return this.#parts.log.lines;
  }

  /** Metrics that it defined. */
  get metrics(): readonly Metric[] {
    return this.#parts.metrics.all;
  }

  /** Value of a metric; throws when the plugin has not defined it. */
  metric(name: string): number {
    const found = this.metrics.find((metric) => metric.name === name);
    if (found !== undefined) return found.value;
    throw new Error(
      `no metric "${name}"; there are: ${this.metrics.map((metric) => metric.name).join(", ") || "none"}`,
    );
  }

  /** Every callback so far, the start included, with its host calls. */
  get callbacks(): readonly CallbackEntry[] {
    return this.#parts.transcript.callbacks;
  }

  /** Names of the host functions that were called, in order; of one callback when it is named. */
  hostCalls(callback?: string): string[] {
    return this.callbacks
      .filter(({ name }) => callback === undefined || name === callback)
      .flatMap(({ hostCalls }) => hostCalls.map(({ name }) => name));
  }

  /** The transcript as text, for a failing test's message. */
  transcript(options?: TextOptions): string {
    return transcriptLines(this.#parts.transcript.entries, options).join("\n");
  }

  /** Data that plugins with this plugin's vm_id share (proxy_set_shared_data). */
  sharedData(key: string): Buffer | undefined {
    const found = this.#parts.runtime.shared.get(this.#vmId, key);
    return found === undefined ? undefined : Buffer.from(found.value);
  }

  setSharedData(key: string, value: string | Uint8Array): void {
    if (this.#parts.runtime.shared.set(this.#vmId, key, Buffer.from(value), 0) === "full") {
      throw new Error("the shared memory is full");
    }
  }

  /** The fault that ended the VM last; undefined when none did. A fresh VM serves the next stream. */
  get fault(): PluginFault | undefined {
    return this.#parts.plugin.view().lastFault;
  }

  /** Size of the guest's memory now. */
  get memoryBytes(): number {
    return this.#parts.plugin.view().memoryBytes;
  }

  get module(): PluginModule {
    return this.#parts.plugin.spec.module;
  }

  /** Ends the streams that are open, then the root context: proxy_on_done, proxy_on_delete. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams) stream.end();
    this.#parts.runtime.dispose();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #vmId(): string {
    return this.#parts.plugin.identity.vmId;
  }

  #root(): RootContext {
    const root = this.#parts.plugin.liveRoot();
    if (root === undefined) throw new Error("the plugin cannot run: it failed too often");
    return root;
  }
}

function onlyWaiting<Call extends TestCall | TestGrpcCall>(calls: readonly Call[], what: string): Call {
  const waiting = calls.filter(({ state }) => state === "waiting");
  const [only] = waiting;
  if (only !== undefined && waiting.length === 1) return only;
  throw new Error(`${waiting.length} ${what} wait for an answer: ${waiting.map(({ cluster }) => cluster).join(", ")}`);
}
