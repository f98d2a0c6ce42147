// The embedder's side of a PluginRuntime for tests: a clock that is moved by hand, calls that are answered by hand,
// metrics in a table, log lines in an array.

import type {
  Clock,
  HttpCall,
  HttpCallResult,
  HttpCaller,
  LimitCounter,
  LimitName,
  MetricSink,
  PluginIdentity,
  PluginLog,
  PropertySource,
  RuntimePorts,
  Timer,
} from "../../../plugins/ports.ts";
import type { GrpcCall, GrpcCaller, GrpcReceiver, PendingGrpcCall } from "../../../plugins/grpc-port.ts";
import type { PropertyValue } from "../../../plugins/property-value.ts";

export class ManualClock implements Clock {
  nowMs = 1000;
  #timers: { at: number; run: () => void }[] = [];

  monotonicMs(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs;
  }

  startTimer(delayMs: number, run: () => void): Timer {
    const timer = { at: this.nowMs + delayMs, run };
    this.#timers.push(timer);
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  get timerCount(): number {
    return this.#timers.length;
  }

  /** Moves time on, running what falls due, in order. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const [next] = this.#timers.filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.nowMs = next.at;
      next.run();
    }
    this.nowMs = end;
  }
}

export class FakeHttp implements HttpCaller {
  readonly calls: HttpCall[] = [];
  readonly cancelled: number[] = [];
  readonly #waiting = new Map<number, (result: HttpCallResult) => void>();

  call(call: HttpCall, onResult: (result: HttpCallResult) => void) {
    if (call.cluster === "unknown") return "unknown-cluster";
    if (call.cluster === "down") return "unavailable";
    this.calls.push(call);
    this.#waiting.set(call.token, onResult);
    return { cancel: () => void this.cancelled.push(call.token) };
  }

  answer(token: number, result: HttpCallResult): void {
    const onResult = this.#waiting.get(token);
    if (onResult === undefined) throw new Error(`no call ${token}`);
    this.#waiting.delete(token);
    onResult(result);
  }
}

/** Calls by token; the test plays the server through `receiver`. */
export class FakeGrpc implements GrpcCaller {
  readonly calls: GrpcCall[] = [];
  /** "send TOKEN TEXT [end]", "close TOKEN", "cancel TOKEN". */
  readonly journal: string[] = [];
  readonly #receivers = new Map<number, GrpcReceiver>();

  knows(cluster: string): boolean {
    return cluster !== "unknown";
  }

  call(call: GrpcCall, receiver: GrpcReceiver): PendingGrpcCall | "unavailable" {
    if (call.cluster === "down") return "unavailable";
    this.calls.push(call);
    this.#receivers.set(call.token, receiver);
    return {
      send: (message, end) =>
        void this.journal.push(`send ${call.token} ${Buffer.from(message).toString()}${end ? " end" : ""}`),
      closeSend: () => void this.journal.push(`close ${call.token}`),
      cancel: () => void this.journal.push(`cancel ${call.token}`),
    };
  }

  receiver(token: number): GrpcReceiver {
    const receiver = this.#receivers.get(token);
    if (receiver === undefined) throw new Error(`no call ${token}`);
    return receiver;
  }
}

export class FakeMetrics implements MetricSink {
  readonly series: { type: 0 | 1 | 2; name: string; value: number }[] = [];

  define(_plugin: PluginIdentity, type: 0 | 1 | 2, name: string): number {
    const known = this.series.findIndex((one) => one.name === name && one.type === type);
    return known >= 0 ? known + 1 : this.series.push({ type, name, value: 0 });
  }

  typeOf(id: number): 0 | 1 | 2 | undefined {
    return this.series[id - 1]?.type;
  }

  add(id: number, value: number): void {
    const one = this.series[id - 1];
    if (one !== undefined) one.value += value;
  }

  set(id: number, value: number): void {
    const one = this.series[id - 1];
    if (one !== undefined) one.value = value;
  }

  record(id: number, value: number): void {
    this.set(id, value);
  }

  get(id: number): number {
    return this.series[id - 1]?.value ?? 0;
  }
}

export class FakeLog implements PluginLog {
  readonly lines: string[] = [];
  minimum = 0;

  level(): number {
    return this.minimum;
  }

  write(plugin: PluginIdentity, level: number, message: string): void {
    this.lines.push(`${plugin.name} ${level} ${message}`);
  }
}

export class FakeProperties implements PropertySource {
  readonly values = new Map<string, PropertyValue | null>();

  property(_plugin: PluginIdentity, path: string): PropertyValue | null | undefined {
    return this.values.get(path);
  }
}

export class FakeLimits implements LimitCounter {
  /** "guest body" … in order. */
  readonly hits: string[] = [];

  hit(plugin: PluginIdentity, limit: LimitName): void {
    this.hits.push(`${plugin.name} ${limit}`);
  }
}

export interface FakePorts extends RuntimePorts {
  readonly limits: FakeLimits;
  readonly clock: ManualClock;
  readonly http: FakeHttp;
  readonly grpc: FakeGrpc;
  readonly metrics: FakeMetrics;
  readonly log: FakeLog;
  readonly properties: FakeProperties;
}

export function fakePorts(): FakePorts {
  return {
    clock: new ManualClock(),
    http: new FakeHttp(),
    grpc: new FakeGrpc(),
    metrics: new FakeMetrics(),
    log: new FakeLog(),
    properties: new FakeProperties(),
    limits: new FakeLimits(),
    random: () => 0.5,
  };
}
