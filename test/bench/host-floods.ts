// How long the fuel of one callback lasts when a plugin spends it on one host function: what the host does must cost the guest
// what it costs the worker. Each function in a loop without end, with the arguments that cost most, in the sidecar's own filter
// chain with its own ports, sockets left out. Prints milliseconds and calls. Run: node test/bench/host-floods.ts [NAME]

import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { FilterChain, type ChainOwner } from "../../sidecar/filter/filter-chain.ts";
import type { FilterFactory } from "../../sidecar/filter/filter.ts";
import { WasmFilterFactory } from "../../sidecar/filter/wasm-filter.ts";
import { HeaderMap } from "../../sidecar/http/headers.ts";
import { RequestHead } from "../../sidecar/http/message.ts";
import type { DownstreamStream } from "../../sidecar/http/stream.ts";
import { PLUGIN_CLOCK, PluginMetrics } from "../../sidecar/plugin/plugin-ports.ts";
import { StatsTable } from "../../sidecar/stats/table.ts";
import { StreamRecord } from "../../sidecar/stream-record.ts";
import { fakePorts } from "../plugins/support/fake-ports.ts";
import { goodModule, specOf } from "../plugins/support/specs.ts";
import { OUT, WatGuest } from "../plugins/support/wat-guest.ts";
import { SocketlessStream } from "./socketless-stream.ts";

const LIMIT_MS = 150;
const ORIGIN = {
  listenerName: "web",
  trafficDirection: "inbound",
  filterChainName: "",
  listenerMetadata: undefined,
  filterChainMetadata: undefined,
} as const;
const COUNT = "(i32.load (i32.const 60))";
const BIG = "(i32.const 65536) (i32.const 65000)";

/** By case: what is done once, and again and again. $n counts up. */
function floods(guest: WatGuest): Readonly<Record<string, readonly [once: string, again: string]>> {
  const text = (value: string): string => guest.text(value);
  const many = (count: number, what: string): string =>
    `(i32.store (i32.const 60) (i32.const 0)) (loop $l ${what}
      (i32.store (i32.const 60) (i32.add ${COUNT} (i32.const 1))) (br_if $l (i32.lt_u ${COUNT} (i32.const ${count}))))`;
  const addHeader = `(drop (call $proxy_add_header_map_value (i32.const 0) ${text("x-a")} ${text("value")}))`;
  const foreign = (name: string, argument: string): string =>
    `(drop (call $proxy_call_foreign_function ${text(name)} ${argument} ${OUT}))`;
  return {
    "get header": ["", `(drop (call $proxy_get_header_map_value (i32.const 0) ${text("x-none")} ${OUT}))`],
    "get header of many": [
      many(5_000, addHeader),
      `(drop (call $proxy_get_header_map_value (i32.const 0) ${text("x-none")} ${OUT}))`,
    ],
    "get all headers of many": [
      many(2_000, addHeader),
      `(drop (call $proxy_get_header_map_pairs (i32.const 0) ${OUT}))`,
    ],
    "add header": ["", addHeader],
    "replace header": [
      "",
      `(drop (call $proxy_replace_header_map_value (i32.const 0) ${text("x-a")} ${text("value")}))`,
    ],
    "remove and add header of many": [
      many(2_000, `(drop (call $proxy_add_header_map_value (i32.const 0) ${text("x-b")} ${text("value")}))`),
      `(drop (call $proxy_remove_header_map_value (i32.const 0) ${text("x-a")})) ${addHeader}`,
    ],
    "append to body": [
      "",
      `(drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0x7fffffff) (i32.const 0) ${text("x")}))`,
    ],
    "append much to body": [
      "",
      `(drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0x7fffffff) (i32.const 0) ${BIG}))`,
    ],
    "get body": [
      many(16, `(drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0x7fffffff) (i32.const 0) ${BIG}))`),
      `(drop (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 100) ${OUT}))`,
    ],
    "get property": ["", `(drop (call $proxy_get_property ${text("request\0headers\0x-none")} ${OUT}))`],
    "get new property each time": [
      "",
      `(i32.store (i32.const 65536) (i32.add (i32.load (i32.const 65536)) (i32.const 1)))
       (drop (call $proxy_get_property (i32.const 65536) (i32.const 4) ${OUT}))`,
    ],
    "get request headers property": ["", `(drop (call $proxy_get_property ${text("request\0headers")} ${OUT}))`],
    "set property": ["", `(drop (call $proxy_set_property ${text("a")} ${text("value")}))`],
    "set new property each time": [
      "",
      `(i32.store (i32.const 65536) (i32.add (i32.load (i32.const 65536)) (i32.const 1)))
       (drop (call $proxy_set_property (i32.const 65536) (i32.const 4) ${text("value")}))`,
    ],
    "set shared data": ["", `(drop (call $proxy_set_shared_data ${text("a")} ${text("value")} (i32.const 0)))`],
    "set new shared data each time": [
      "",
      `(i32.store (i32.const 65536) (i32.add (i32.load (i32.const 65536)) (i32.const 1)))
       (drop (call $proxy_set_shared_data (i32.const 65536) (i32.const 4) ${text("value")} (i32.const 0)))`,
    ],
    "get shared data": [
      `(drop (call $proxy_set_shared_data ${text("a")} ${text("value")} (i32.const 0)))`,
      `(drop (call $proxy_get_shared_data ${text("a")} ${OUT} (i32.const 24)))`,
    ],
    "register queues": [
      "",
      `(i32.store (i32.const 65536) (i32.add (i32.load (i32.const 65536)) (i32.const 1)))
       (drop (call $proxy_register_shared_queue (i32.const 65536) (i32.const 4) (i32.const 24)))`,
    ],
    enqueue: [
      `(drop (call $proxy_register_shared_queue ${text("q")} (i32.const 24)))`,
      `(drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 24)) ${text("m")}))`,
    ],
    "tick period": ["", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 1000)))"],
    time: ["", "(drop (call $proxy_get_current_time_nanoseconds (i32.const 16)))"],
    log: ["", `(drop (call $proxy_log (i32.const 2) ${text("line")}))`],
    "log much": ["", `(drop (call $proxy_log (i32.const 2) ${BIG}))`],
    print: [
      `(i32.store (i32.const 32) (i32.const 65536)) (i32.store (i32.const 36) (i32.const 65000))`,
      "(drop (call $fd_write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))",
    ],
    random: ["", `(drop (call $random_get ${BIG}))`],
    "define metrics": [
      "",
      `(i32.store (i32.const 65536) (i32.add (i32.load (i32.const 65536)) (i32.const 1)))
       (drop (call $proxy_define_metric (i32.const 0) (i32.const 65536) (i32.const 4) (i32.const 16)))`,
    ],
    "record histogram": [
      `(drop (call $proxy_define_metric (i32.const 2) ${text("h")} (i32.const 16)))`,
      "(drop (call $proxy_record_metric (i32.load (i32.const 16)) (i64.const 7)))",
    ],
    "local response": [
      "",
      `(drop (call $proxy_send_local_response (i32.const 403) (i32.const 0) (i32.const 0) ${BIG} (i32.const 0) (i32.const 0) (i32.const -1)))`,
    ],
    continue: ["", "(drop (call $proxy_continue_stream (i32.const 0)))"],
    "http call": [
      "",
      `(drop (call $proxy_http_call ${text("auth")} ${text("\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x01\0\0\0\x0a\0\0\0\x01\0\0\0:method\0GET\0:path\0/\0:authority\0a\0")}
        ${BIG} (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 16)))`,
    ],
    compress: ["", foreign("compress", BIG)],
    "uncompress bad": ["", foreign("uncompress", text("xx"))],
    sign: ["", foreign("sign", text("xx"))],
    "declare property": [
      "",
      `(i32.store (i32.const 65536) (i32.const 0x02020a)) (drop (call $proxy_call_foreign_function ${text("declare_property")} (i32.const 65536) (i32.const 4) ${OUT}))`,
    ],
  };
}

/** Milliseconds of the processor that one callback took, and how many host calls it made. */
function flood(name: string): { ms: number; calls: number; kind: string } {
  const guest = new WatGuest({ memory: "4" });
  const [once, again] = floods(guest)[name] as readonly [string, string];
  const body = `${once} (loop $forever ${again} (br $forever)) (i32.const 0)`;
  guest.on("proxy_on_request_headers", name.includes("header") ? body : "(i32.const 0)");
  guest.on("proxy_on_request_body", body);
  const stats = new StatsTable({ onDefine: () => {} });
  let lines = 0;
  const ports = {
    ...fakePorts(),
    clock: PLUGIN_CLOCK,
    log: { level: () => 2, write: () => void lines++ },
    metrics: new PluginMetrics(stats),
  };
  let calls = 0;
  let kind = "";
  const observer = {
    hook(record: { hostCalls: number; fault: { kind: string } | undefined }): void {
      if (record.fault === undefined) return;
      calls = record.hostCalls;
      kind = record.fault.kind;
    },
  };
  const loaded = new PluginRuntime({ ports, observer }).load(specOf(goodModule(guest.bytes())));
  if (!loaded.ok) throw new Error(loaded.problem);
  const factory = new WasmFilterFactory({ name, plugin: loaded.plugin, property: () => undefined });
  const headers = HeaderMap.from([["Host", "a.example"], ["Accept", "*/*"]]); // prettier-ignore
  const head = new RequestHead("POST", "/", "a.example", "http", headers);
  const downstream = { head, startedAt: performance.now(), requestHeaderBytes: 80 } as unknown as DownstreamStream;
  const facts = new StreamRecord(downstream, ORIGIN);
  const chain = new FilterChain([factory as unknown as FilterFactory<ChainOwner>], new SocketlessStream(facts), {
    requestBytes: 1 << 20,
    responseBytes: 1 << 20,
  });
  const before = process.threadCpuUsage();
  chain.request.headers(0, false);
  chain.request.data(0, Buffer.from("body"), true);
  const { user, system } = process.threadCpuUsage(before);
  const ms = (user + system) / 1_000;
  chain.destroy();
  return { ms, calls, kind };
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(floods(new WatGuest()));
for (const name of names) {
  const { ms, calls, kind } = flood(name);
  const verdict = kind !== "out_of_fuel" || ms > LIMIT_MS ? "  TOO MUCH" : "";
  console.log(
    `${name.padEnd(32)} ${ms.toFixed(0).padStart(7)} ms ${String(calls).padStart(8)} calls  ${kind}${verdict}`,
  );
}
