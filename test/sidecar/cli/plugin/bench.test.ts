// The verb `plugin bench`: which figures it gives, and how it ends. That they are near the truth is for people to judge; here only
// what does not move with the machine is looked at.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pluginBenchVerb } from "../../../../sidecar/cli/plugin/bench.ts";
import { printed } from "../../../support/cli-printer.ts";

const guest = (name: string): string => join(import.meta.dirname, `../../../guests/wasm/${name}.wasm`);
const QUICK = ["--rounds", "2", "--round-ms", "5"];

async function bench(...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = printed();
  const code = await pluginBenchVerb.run([...argv, ...QUICK], io);
  return { code, out: out(), err: err() };
}

test("plugin bench gives the cost of a stream and of each callback", async () => {
  const plugin = join(import.meta.dirname, "../../../../plugins/examples/rust/plugin.wasm");
  const config = '{"headers":[{"name":"X-Wasm","value":"yes"}]}';
  const { code, out } = await bench(plugin, "--config", config, "--response", "200 hello", "--json");
  assert.equal(code, 0);
  const report = JSON.parse(out) as {
    stream_us: Record<string, number>;
    stream_fuel: number;
    callbacks: { name: string; per_stream: number; fuel: number; host_calls: number; median_us: number }[];
    memory_bytes: { start: number; end: number };
    streams: number;
  };
  for (const name of ["without_plugin", "empty_plugin", "plugin"]) assert.ok((report.stream_us[name] ?? 0) > 0, name);
  const headers = report.callbacks.find(({ name }) => name === "proxy_on_response_headers");
  assert.deepEqual([headers?.per_stream, headers?.host_calls], [1, 1]);
  assert.ok((headers?.fuel ?? 0) > 0);
  const sum = report.callbacks.reduce((fuel, callback) => fuel + callback.fuel * callback.per_stream, 0);
  assert.ok(Math.abs(sum - report.stream_fuel) <= report.callbacks.length);
  assert.ok(report.streams > 200);
  assert.equal(report.memory_bytes.end, report.memory_bytes.start, "the example keeps nothing");
});

test("plugin bench prints a table, calls and answers included", async () => {
  const { code, out } = await bench(guest("http-call"), "--callout", "auth=200");
  assert.equal(code, 0);
  assert.match(out, /with this plugin +[\d.]+ +adds -?[\d.]+, -?[\d.]+ times the empty one; fuel \d+/);
  assert.match(out, /proxy_on_http_call_response +1\.00/);
  assert.match(out, /memory: 1\.\d+ MiB after the start/);
});

for (const [what, code, argv, problem] of [
  ["that holds its streams", 1, [guest("pause-forever"), "-r", "/request-headers"], /holds the request for ever/],
  ["that fails", 1, [guest("trap"), "-r", "/trap"], /failed in proxy_on_request_headers: trap: unreachable/],
  ["that is not there", 1, ["/nowhere/x.wasm"], /there is no such file/],
  ["that is not named", 2, [], /needs a module/],
] as const) {
  test(`plugin bench of a plugin ${what} ends with ${code}`, async () => {
    const ran = await bench(...argv);
    assert.equal(ran.code, code);
    assert.match(ran.err, problem);
  });
}

test("plugin bench refuses rounds without time, and more than a minute", async () => {
  const { io, err } = printed();
  assert.equal(await pluginBenchVerb.run([guest("trap"), "--rounds", "0"], io), 2);
  assert.equal(await pluginBenchVerb.run([guest("trap"), "--rounds", "600", "--round-ms", "600"], io), 2);
  assert.match(err(), /60000 ms together/);
});
