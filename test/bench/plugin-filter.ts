// What one plugin adds to a request in the sidecar's own filter chain, sockets left out: chain, filter, header views,
// host calls, guest, hook statistics and trace ring. The same stream without and with the plugin of each SDK.
// Prints nanoseconds; best of some rounds. Run: node test/bench/plugin-filter.ts [go|rust|cpp|assemblyscript]

import { performance } from "node:perf_hooks";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { FilterChain, type ChainOwner } from "../../sidecar/filter/filter-chain.ts";
import type { FilterFactory } from "../../sidecar/filter/filter.ts";
import { WasmFilter, WasmFilterFactory } from "../../sidecar/filter/wasm-filter.ts";
import { HeaderMap } from "../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../sidecar/http/message.ts";
import type { DownstreamStream } from "../../sidecar/http/stream.ts";
import { PLUGIN_CLOCK } from "../../sidecar/plugin/plugin-ports.ts";
import { StatsTable } from "../../sidecar/stats/table.ts";
import { StreamRecord } from "../../sidecar/stream-record.ts";
import { HookMeter } from "../../sidecar/telemetry/hook-meter.ts";
import { RandomSource } from "../../sidecar/random-id.ts";
import { TraceRecorder } from "../../sidecar/telemetry/trace-recorder.ts";
import { fakePorts } from "../plugins/support/fake-ports.ts";
import { exampleBytes, goodModule, specOf } from "../plugins/support/specs.ts";
import { SocketlessStream } from "./socketless-stream.ts";

const ROUNDS = 7;
const STREAMS = 40_000;
const LIMIT_NS = 5_000;
const BODY = Buffer.from("hello, world");
const ORIGIN = {
  listenerName: "web",
  trafficDirection: "inbound",
  filterChainName: "",
  listenerMetadata: undefined,
  filterChainMetadata: undefined,
} as const;
const LANGUAGES = ["go", "rust", "cpp", "assemblyscript"] as const;

const stats = new StatsTable({ onDefine: () => {} });
const recorder = new TraceRecorder({
  nodeId: "",
  random: new RandomSource(),
  post: () => {},
  dropped: stats.counter("dropped"),
  traceOf: (stream) => (stream instanceof WasmFilter ? (stream.stream.facts as StreamRecord).trace : undefined),
});

function fields(...lines: readonly [string, string][]): HeaderMap {
  return HeaderMap.from(lines);
}

function run(factories: readonly FilterFactory<ChainOwner>[]): void {
  const headers = fields(["Host", "a.example"], ["Accept", "*/*"], ["User-Agent", "bench"]);
  const head = new RequestHead("GET", "/", "a.example", "http", headers);
  const downstream = { head, startedAt: performance.now(), requestHeaderBytes: 80 } as unknown as DownstreamStream;
  const facts = new StreamRecord(downstream, ORIGIN);
  const trace = recorder.begin(head, downstream.startedAt);
  facts.trace = trace;
  const chain = new FilterChain(factories, new SocketlessStream(facts), {
    requestBytes: 1 << 20,
    responseBytes: 1 << 20,
  });
  chain.request.headers(0, true);
  facts.responseHead = new ResponseHead(200, "OK", fields(["Content-Length", "12"], ["Date", "now"]));
  chain.response.headers(0, false);
  chain.response.data(0, BODY, true);
  chain.complete();
  chain.destroy();
  recorder.finish(trace, facts);
}

function cost(factories: readonly FilterFactory<ChainOwner>[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < STREAMS; i++) {
      run(factories);
    }
    least = Math.min(least, ((performance.now() - start) * 1e6) / STREAMS);
  }
  return least;
}

function factoryOf(language: (typeof LANGUAGES)[number]): FilterFactory<ChainOwner> {
  const ports = { ...fakePorts(), clock: PLUGIN_CLOCK, log: { level: () => 6, write: () => {} } };
  const loaded = new PluginRuntime({ ports, observer: new HookMeter(stats, recorder) }).load(
    specOf(goodModule(exampleBytes(language)), {
      name: language,
      rootId: "custom-response-header",
      pluginConfiguration: Buffer.from('{"headers":[{"name":"X-Go-Wasm","value":"APISIX"}]}'),
    }),
  );
  if (!loaded.ok) {
    throw new Error(loaded.problem);
  }
  const { plugin } = loaded;
  const source = { name: language, plugin, property: () => undefined };
  return new WasmFilterFactory(source) as unknown as FilterFactory<ChainOwner>;
}

const wanted = LANGUAGES.filter((language) => process.argv.length < 3 || process.argv.includes(language));
const without = cost([]);
console.log(`${"the stream without a plugin".padEnd(44)} ${without.toFixed(0).padStart(6)} ns`);
for (const language of wanted) {
  const added = cost([factoryOf(language)]) - without;
  const verdict = added <= LIMIT_NS ? "" : "  ABOVE";
  console.log(`${`${language} adds`.padEnd(44)} ${added.toFixed(0).padStart(6)} ns  (limit ${LIMIT_NS})${verdict}`);
}
