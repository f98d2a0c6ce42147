// One plugin in the host of the sidecar, started, with the scene around it: clusters that answer, properties, a clock that is
// moved by hand. `plugin run` and `plugin bench` send streams through it.

import { DEFAULT_FUEL } from "../../../plugins/metering/fuel-gauge.ts";
import { loadPluginModule, type PluginModule } from "../../../plugins/plugin-module.ts";
import type { Plugin } from "../../../plugins/plugin.ts";
import { PluginRuntime, type RuntimeOptions } from "../../../plugins/plugin-runtime.ts";
import type { PluginSpec } from "../../../plugins/plugin-spec.ts";
import type { PluginLog } from "../../../plugins/ports.ts";
import type { PropertyValue } from "../../../plugins/property-value.ts";
import { type TestCall, TestCalls } from "../../../plugins/testing/test-calls.ts";
import type { TestClock } from "../../../plugins/testing/test-clock.ts";
import { type TestGrpcCall, TestGrpcCalls } from "../../../plugins/testing/test-grpc-calls.ts";
import { propertyTable } from "../../../plugins/testing/test-properties.ts";
import { TestMetrics } from "../../../plugins/testing/test-sinks.ts";
import { WasmFilterFactory } from "../../filter/wasm-filter.ts";
import type { ConnectionInfo } from "../../http/stream.ts";
import { WasmNetworkFilterFactory } from "../../tcp/wasm-network-filter.ts";
import { FOREIGN_FUNCTIONS, partialMatch } from "../../plugin/foreign-functions.ts";
import type { CliIo } from "../verb.ts";
import { readModuleAt } from "./module-source.ts";
import { type PluginSettings, RunProblem } from "./plugin-flags.ts";
import { RunConnection, type RunConnectionOptions } from "./run-connection.ts";
import { RunStream } from "./run-stream.ts";
import type { Scene } from "./scene-flags.ts";

export interface PluginHostOptions extends Pick<RuntimeOptions, "observer" | "onHostCall"> {
  readonly settings: PluginSettings;
  readonly module: PluginModule;
  readonly scene: Scene;
  readonly clock: TestClock;
  readonly log: PluginLog;
  readonly bufferLimitBytes: number;
  /** Hears what happens around the plugin. */
  readonly note: (text: string) => void;
}

/** How long the answer of a call, and the upstream's, take. */
const ANSWER_MS = 1;

/** The module, as the sidecar would take it; throws RunProblem with what is wrong with it. */
export async function moduleOf({ file, memoryMib }: PluginSettings, io: CliIo): Promise<PluginModule> {
  const source = await readModuleAt(file, io);
  if (!source.ok) {
    throw new RunProblem(source.problem);
  }
  const result = loadPluginModule(source.bytes, memoryMib === undefined ? {} : { memoryMib });
  if (!result.ok) {
    throw new RunProblem(`${file}: ${result.problem}`);
  }
  return result.module;
}

export class PluginHost {
  readonly runtime: PluginRuntime;
  readonly plugin: Plugin;
  readonly calls: TestCalls;
  readonly grpcCalls: TestGrpcCalls;
  readonly metrics = new TestMetrics();
  readonly #options: PluginHostOptions;
  readonly #properties: ReadonlyMap<string, PropertyValue | null>;
  readonly #connection: ConnectionInfo;
  readonly #factory: WasmFilterFactory;
  /** Calls so far, by kind and cluster. */
  readonly #callCounts = new Map<string, number>();

  /** Starts the plugin; throws RunProblem when it does not. */
  constructor(options: PluginHostOptions) {
    const { settings, module, scene, clock, log, observer, onHostCall } = options;
    this.#options = options;
    this.#properties = propertyTable(scene.properties);
    this.#connection = connectionOf(this.#properties);
    this.calls = new TestCalls(
      clock,
      (cluster) => this.#isCluster(cluster, scene.callouts, "callout", "200"),
      (call) => this.#answerLater(call),
    );
    this.grpcCalls = new TestGrpcCalls(
      clock,
      (cluster) => this.#isCluster(cluster, scene.grpcCallouts, "grpc-callout", "MESSAGE"),
      (call) => this.#answerGrpcLater(call),
    );
    const property = (path: string): PropertyValue | null | undefined => this.#properties.get(path);
    this.runtime = new PluginRuntime({
      ports: {
        clock,
        log,
        http: this.calls,
        grpc: this.grpcCalls,
        metrics: this.metrics,
        foreign: FOREIGN_FUNCTIONS,
        matches: partialMatch,
        properties: { property: (_plugin, path) => property(path) },
      },
      ...(observer === undefined ? {} : { observer }),
      ...(onHostCall === undefined ? {} : { onHostCall }),
    });
    const loaded = this.runtime.load(specOf(settings, module));
    if (!loaded.ok) {
      throw new RunProblem(loaded.problem);
    }
    this.plugin = loaded.plugin;
    this.#factory = new WasmFilterFactory({ name: settings.name, plugin: loaded.plugin, property });
  }

  /** A stream that has not begun; with no factories it goes past the plugin. */
  stream(factories: readonly WasmFilterFactory[] = [this.#factory]): RunStream {
    const { scene, clock, bufferLimitBytes, note } = this.#options;
    return new RunStream({
      factories,
      request: scene.request(),
      response: scene.response(),
      connection: this.#connection,
      bufferLimitBytes,
      later: (run) => void clock.startTimer(ANSWER_MS, run),
      note,
    });
  }

  /** A TCP connection that has not begun. */
  connection(data: Pick<RunConnectionOptions, "sent" | "answered">): RunConnection {
    const { settings, clock, bufferLimitBytes, note } = this.#options;
    return new RunConnection({
      factory: new WasmNetworkFilterFactory({
        name: settings.name,
        plugin: this.plugin,
        property: (path) => this.#properties.get(path),
      }),
      ...data,
      connection: this.#connection,
      bufferLimitBytes,
      later: (run) => void clock.startTimer(ANSWER_MS, run),
      note,
    });
  }

  #isCluster(cluster: string, known: ReadonlyMap<string, unknown>, flag: string, example: string): boolean {
    const isKnown = known.has(cluster);
    if (!isKnown) {
      this.#options.note(`no cluster "${cluster}" is known: --${flag} ${cluster}=${example} makes one`);
    }
    return isKnown;
  }

  /** The answer that is next for a cluster; the last one serves all after it. */
  #nextAnswer<Answer>(kind: string, cluster: string, all: ReadonlyMap<string, readonly Answer[]>): Answer | undefined {
    const answers = all.get(cluster) ?? [];
    const before = this.#callCounts.get(`${kind} ${cluster}`) ?? 0;
    this.#callCounts.set(`${kind} ${cluster}`, before + 1);
    return answers[Math.min(before, answers.length - 1)];
  }

  #answerLater(call: TestCall): void {
    const { scene, clock, note } = this.#options;
    const answer = this.#nextAnswer("http", call.cluster, scene.callouts);
    if (answer === undefined || answer.kind === "timeout") {
      return;
    }
    clock.startTimer(ANSWER_MS, () => {
      if (call.state !== "waiting") {
        return;
      }
      if (answer.kind === "failure") {
        note(`call ${call.id} to "${call.cluster}" fails: ${answer.message}`);
        call.fail(answer.message);
      } else {
        note(`call ${call.id} to "${call.cluster}" is answered ${answer.response.status ?? 200}`);
        call.respond(answer.response);
      }
    });
  }

  /** A stream, too, gets its one message and its end. */
  #answerGrpcLater(call: TestGrpcCall): void {
    const { scene, clock, note } = this.#options;
    const answer = this.#nextAnswer("grpc", call.cluster, scene.grpcCallouts);
    if (answer === undefined || answer.kind === "timeout") {
      return;
    }
    clock.startTimer(ANSWER_MS, () => {
      if (call.state !== "waiting") {
        return;
      }
      if (answer.kind === "status") {
        note(`gRPC call ${call.id} to "${call.cluster}" ends with status ${answer.status}`);
        call.fail(answer.status, answer.message);
      } else {
        note(`gRPC call ${call.id} to "${call.cluster}" is answered with ${answer.message.length} bytes`);
        call.respond(answer.message);
      }
    });
  }
}

function specOf(settings: PluginSettings, module: PluginModule): PluginSpec {
  const perCallback = settings.fuel ?? DEFAULT_FUEL.perCallback;
  return {
    name: settings.name,
    rootId: settings.rootId,
    vmId: settings.vmId,
    module,
    vmConfiguration: settings.vmConfiguration,
    pluginConfiguration: settings.configuration,
    environment: settings.environment,
    ...(settings.capabilities === undefined ? {} : { capabilities: settings.capabilities }),
    failurePolicy: settings.failurePolicy,
    allowOnHeadersStopIteration: settings.allowOnHeadersStopIteration,
    fuel: { ...DEFAULT_FUEL, perCallback, perCallbackName: "--fuel" },
  };
}

/** source.address and destination.address, where they are given. */
function connectionOf(properties: ReadonlyMap<string, PropertyValue | null>): ConnectionInfo {
  const [remoteAddress, remotePort] = addressOf(properties.get("source\0address"), ["127.0.0.1", 50_000]);
  const [localAddress, localPort] = addressOf(properties.get("destination\0address"), ["127.0.0.1", 8080]);
  return { id: 1, remoteAddress, remotePort, localAddress, localPort, direct: undefined, source: undefined };
}

function addressOf(
  value: PropertyValue | null | undefined,
  fallback: readonly [string, number],
): readonly [string, number] {
  const parts = typeof value === "string" ? /^\[?([^\]]*)\]?:(\d+)$/.exec(value) : null;
  return parts === null ? fallback : [parts[1] as string, Number(parts[2])];
}
