// What fuel costs and what it is worth: rewriting the Go example, a whole stream through each example with and without a gauge,
// compute-bound loops with and without, and how long the default fuel lasts in them. The two sides run in turn, many short
// rounds, so that a busy machine hurts both. Run: node test/bench/metering.ts

import { performance } from "node:perf_hooks";
import { DEFAULT_FUEL_PER_CALLBACK } from "../../plugins/metering/fuel-gauge.ts";
import { meterModule } from "../../plugins/metering/instrumenter.ts";
import type { HookObserver } from "../../plugins/observer.ts";
import type { Plugin } from "../../plugins/plugin.ts";
import { loadPluginModule } from "../../plugins/plugin-module.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { FakeStream } from "../plugins/support/fake-stream.ts";
import { fakePorts } from "../plugins/support/fake-ports.ts";
import { assemble, instance, metered } from "../plugins/support/metered-pair.ts";
import { exampleBytes, specOf } from "../plugins/support/specs.ts";

const ROUNDS = 60;
const EXAMPLES = ["go", "rust", "assemblyscript", "cpp"] as const;

/** Each exports f(turns). */
const KERNELS: Readonly<Record<string, string>> = {
  "sum of an array": `(func (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32)
    (loop $again (local.set $i (i32.const 1024)) (loop $l (local.set $s (i32.add (local.get $s) (i32.load (local.get $i))))
      (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 4))))) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))`,
  "hash of bytes": `(func (export "f") (param $n i32) (result i32) (local $i i32) (local $h i32)
    (loop $again (local.set $i (i32.const 256)) (loop $l
      (local.set $h (i32.mul (i32.xor (i32.rotl (local.get $h) (i32.const 5)) (i32.load8_u (local.get $i))) (i32.const 16777619)))
      (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $h))`,
  "bubble sort": `(func (export "f") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $a i32) (local $b i32)
    (loop $again (local.set $i (i32.const 0))
      (loop $fill (i32.store (local.get $i) (i32.mul (i32.xor (local.get $i) (local.get $n)) (i32.const 1664525))) (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 128))))
      (local.set $i (i32.const 124)) (loop $outer (local.set $j (i32.const 0)) (loop $inner
        (if (i32.gt_s (local.tee $a (i32.load (local.get $j))) (local.tee $b (i32.load offset=4 (local.get $j))))
          (then (i32.store (local.get $j) (local.get $b)) (i32.store offset=4 (local.get $j) (local.get $a))))
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 4))) (local.get $i))))
        (br_if $outer (local.tee $i (i32.sub (local.get $i) (i32.const 4))))) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.load (i32.const 64)))`,
  "floating point": `(func (export "f") (param $n i32) (result i32) (local $x f64) (local $i i32)
    (loop $again (local.set $i (i32.const 200)) (loop $l (local.set $x (f64.add (f64.mul (local.get $x) (local.get $x)) (f64.const -0.7)))
      (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.trunc_sat_f64_s (local.get $x)))`,
  "small calls": `(func $g (param i32 i32) (result i32) (i32.xor (i32.mul (local.get 0) (i32.const 31)) (local.get 1)))
    (func (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32) (loop $again (local.set $i (i32.const 256)) (loop $l
      (local.set $s (call $g (local.get $s) (local.get $i))) (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))`,
  "indirect calls": `(type $t (func (param i32) (result i32))) (table 4 funcref) (elem (i32.const 0) $a $b $c $a)
    (func $a (type $t) (i32.add (local.get 0) (i32.const 1))) (func $b (type $t) (i32.mul (local.get 0) (i32.const 3))) (func $c (type $t) (i32.xor (local.get 0) (i32.const 5)))
    (func (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32) (loop $again (local.set $i (i32.const 256)) (loop $l
      (local.set $s (call_indirect (type $t) (local.get $s) (i32.and (local.get $i) (i32.const 3)))) (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))`,
  "recursion (worst case)": `(func $fib (param i32) (result i32) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func (export "f") (param $n i32) (result i32) (local $s i32) (loop $again (local.set $s (call $fib (i32.const 12))) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))`,
  "copying memory": `(func (export "f") (param $n i32) (result i32) (loop $again (memory.copy (i32.const 0) (i32.const 32768) (i32.const 32768))
    (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.const 0))`,
};

const MEMORY = `(memory (export "memory") 1)`;
const watcher: HookObserver & { fuel: number } = {
  fuel: 0,
  hook(record) {
    this.fuel += record.fuel;
  },
};

function load(name: (typeof EXAMPLES)[number], metering: boolean, observer: HookObserver | undefined): Plugin {
  const fakes = fakePorts();
  const loaded = loadPluginModule(exampleBytes(name), { metering });
  if (!loaded.ok) throw new Error(loaded.problem);
  const startTimer = fakes.clock.startTimer.bind(fakes.clock);
  const clock = { monotonicMs: () => performance.now(), wallMs: () => Date.now(), startTimer };
  const ports = { ...fakes, clock, log: { level: () => 6, write: () => {} } };
  const runtime = new PluginRuntime({ ports, ...(observer === undefined ? {} : { observer }) });
  const pluginConfiguration = Buffer.from('{"headers":[{"name":"X-Go-Wasm","value":"APISIX"}]}');
  const result = runtime.load(specOf(loaded.module, { pluginConfiguration }));
  if (!result.ok) throw new Error(result.problem);
  return result.plugin;
}

function wholeStream(plugin: Plugin): void {
  const stream = new FakeStream();
  const context = plugin.createHttpContext(stream);
  context.onRequestHeaders(3, true);
  stream.respond("server", "x");
  context.onResponseHeaders(2, false);
  context.onResponseBody(0, true);
  context.onLog();
  context.close();
}

interface Comparison {
  /** Nanoseconds for one `run`, and the median of the rounds' quotients. */
  readonly plain: number;
  readonly metered: number;
  readonly ratio: number;
}

function compare(count: number, plain: () => void, withGauge: () => void): Comparison {
  const round = (run: () => void): number => {
    const start = performance.now();
    for (let i = 0; i < count; i++) run();
    return ((performance.now() - start) * 1e6) / count;
  };
  for (let i = 0; i < 10; i++) {
    round(plain);
    round(withGauge);
  }
  const rounds = Array.from({ length: ROUNDS }, () => ({ plain: round(plain), metered: round(withGauge) }));
  const ratios = rounds.map((each) => each.metered / each.plain).toSorted((a, b) => a - b);
  return {
    plain: Math.min(...rounds.map((each) => each.plain)),
    metered: Math.min(...rounds.map((each) => each.metered)),
    ratio: ratios[ROUNDS >> 1] as number,
  };
}

const percent = (ratio: number): string => `${ratio >= 1 ? "+" : ""}${((ratio - 1) * 100).toFixed(1)} %`.padStart(9);

console.log("rewriting                          bytes                      ms, first and best of five");
for (const name of EXAMPLES) {
  const bytes = exampleBytes(name);
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    meterModule(bytes);
    return performance.now() - start;
  });
  const result = meterModule(bytes);
  const size = result.ok ? `${bytes.length} → ${result.bytes.length}` : result.problem;
  console.log(
    `${name.padEnd(34)} ${size.padEnd(26)} ${(times[0] as number).toFixed(1)}, ${Math.min(...times).toFixed(1)}`,
  );
}

console.log("\na whole stream                     plain ns  metered ns   median       fuel");
for (const name of EXAMPLES) {
  for (const observer of [undefined, watcher]) {
    const plain = load(name, false, observer);
    const gauged = load(name, true, observer);
    const result = compare(
      2_000,
      () => wholeStream(plain),
      () => wholeStream(gauged),
    );
    watcher.fuel = 0;
    wholeStream(gauged);
    const label = `${name}${observer === undefined ? "" : ", with hook timing"}`;
    const fuel = observer === undefined ? "" : String(watcher.fuel);
    console.log(
      `${label.padEnd(34)} ${result.plain.toFixed(0).padStart(8)} ${result.metered.toFixed(0).padStart(11)} ${percent(result.ratio)} ${fuel.padStart(10)}`,
    );
  }
}

console.log("\ncompute-bound                       median  units/ns   default fuel lasts, first and later, ms");
for (const [name, fields] of Object.entries(KERNELS)) {
  const bytes = assemble(`(module ${MEMORY} ${fields})`);
  const lasting = Array.from({ length: 4 }, () => {
    const guest = metered(bytes, {}, DEFAULT_FUEL_PER_CALLBACK);
    const start = performance.now();
    guest.call("f", 0);
    return performance.now() - start;
  });
  const plain = instance(bytes);
  const gauged = metered(bytes);
  const turns = name === "copying memory" ? 20 : 200;
  for (let i = 0; i < 2_000; i++) {
    plain.call("f", 2);
    gauged.call("f", 2);
  }
  const result = compare(
    4,
    () => void plain.call("f", turns),
    () => void gauged.call("f", turns),
  );
  const before = gauged.left();
  gauged.call("f", turns);
  const rate = (before - gauged.left()) / result.metered;
  const last = `${(lasting[0] as number).toFixed(0)}, ${Math.min(...lasting).toFixed(0)}`;
  console.log(`${name.padEnd(32)} ${percent(result.ratio)} ${rate.toFixed(1).padStart(9)}   ${last}`);
}
