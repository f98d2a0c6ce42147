import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { PluginIdentity } from "../../../plugins/ports.ts";
import { PluginLines, PluginMetrics, wallTime } from "../../../sidecar/plugin/plugin-ports.ts";
import { StatsReader } from "../../../sidecar/stats/reader.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import type { Log, LogFields } from "../../../sidecar/telemetry/log-level.ts";

function plugin(name: string): PluginIdentity {
  return { index: 1, name, rootId: "root", vmId: "vm", digest: "", abiVersion: "0.2.1" };
}

function statistics(): { table: StatsTable; value: (name: string) => number | undefined } {
  const reader = new StatsReader();
  const table = new StatsTable({ onDefine: (update) => reader.apply("w", update) });
  return {
    table,
    value: (name) => {
      table.flush();
      return reader.value(name);
    },
  };
}

function journal(): { log: Log; lines: [string, LogFields, string][] } {
  const lines: [string, LogFields, string][] = [];
  const writer = (level: string) => (fields: LogFields, message: string) => void lines.push([level, fields, message]);
  const log: Log = {
    debug: writer("debug"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
    child: () => log,
  };
  return { log, lines };
}

test("wallTime() is precise, and the system's time once the clocks are apart", () => {
  assert.equal(wallTime(1_000.25, 1_000), 1_000.25);
  assert.equal(wallTime(999.5, 1_000), 999.5);
  assert.equal(wallTime(1_000, 61_000), 61_000, "the machine slept for a minute");
  assert.equal(wallTime(61_000, 1_000), 1_000, "the clock was set back");
});

suite("PluginLines", () => {
  test("writes a line with the plugin's name, below the level nothing", () => {
    const { log, lines } = journal();
    const ports = new PluginLines(log, "warning", statistics().table);
    [0, 2, 3, 5].forEach((level) => ports.write(plugin("auth"), level, `level ${level}`));
    const fields = { plugin: "auth", root_id: "root", vm_id: "vm" };
    assert.deepEqual(lines, [
      ["warn", fields, "level 3"],
      ["error", fields, "level 5"],
    ]);
  });

  test("a plugin that writes much does not crowd out what the host says about it, of which there is a limit, too", () => {
    const { log, lines } = journal();
    const { table, value } = statistics();
    const ports = new PluginLines(log, "info", table);
    ports.settings = { "outrigger.wasm.log_lines_per_s": 3 };
    for (let i = 0; i < 10; i++) ports.write(plugin("loud"), 2, "its own");
    for (let i = 0; i < 30; i++) ports.write(plugin("loud"), 3, "the host's", true);
    const count = (wanted: string): number => lines.filter(([, , message]) => message === wanted).length;
    assert.deepEqual([count("its own"), count("the host's")], [3, 20]);
    assert.equal(value('outrigger_wasm_log_lines_dropped_total{plugin="loud"}'), 17);
  });

  test("drops and counts what is over outrigger.wasm.log_lines_per_s, each plugin by its own setting", () => {
    const { log, lines } = journal();
    const { table, value } = statistics();
    const ports = new PluginLines(log, "info", table);
    ports.settings = {
      "outrigger.wasm.log_lines_per_s": 3,
      "outrigger.wasm.plugin.quiet.log_lines_per_s": 0,
    };
    for (let i = 0; i < 10; i++) {
      ["loud", "quiet"].forEach((name) => ports.write(plugin(name), 2, `${name} ${i}`));
    }
    assert.deepEqual(
      lines.map(([, , message]) => message),
      ["loud 0", "loud 1", "loud 2"],
    );
    assert.equal(value('outrigger_wasm_log_lines_dropped_total{plugin="loud"}'), 7);
    assert.equal(value('outrigger_wasm_log_lines_dropped_total{plugin="quiet"}'), 10);
    ports.settings = {};
    ports.write(plugin("quiet"), 2, "heard");
    assert.equal(lines.at(-1)?.[2], "heard");
  });

  test("lets 100 lines a second through unless told otherwise", () => {
    const { log, lines } = journal();
    const ports = new PluginLines(log, "info", statistics().table);
    for (let i = 0; i < 150; i++) {
      ports.write(plugin("a"), 2, "line");
    }
    assert.equal(lines.length, 100);
  });
});

suite("PluginMetrics", () => {
  test("keeps counters, gauges and histograms under wasmcustom.", () => {
    const { table, value } = statistics();
    const metrics = new PluginMetrics(table);
    const counter = metrics.define(plugin("a"), 0, "hits") ?? 0;
    const gauge = metrics.define(plugin("a"), 1, "size") ?? 0;
    assert.equal(metrics.define(plugin("b"), 0, "hits"), counter, "the same name is the same series");
    assert.equal(metrics.define(plugin("b"), 1, "hits"), undefined, "but not with another type");
    metrics.add(counter, 2);
    metrics.set(gauge, 7);
    metrics.add(gauge, -3);
    assert.deepEqual([value("wasmcustom.hits"), value("wasmcustom.size")], [2, 4]);
    assert.deepEqual([metrics.get(counter), metrics.get(gauge)], [2, 4]);
    assert.deepEqual([metrics.typeOf(counter), metrics.typeOf(gauge), metrics.typeOf(99)], [0, 1, undefined]);
  });

  test("a name cannot break the lines of the statistics", () => {
    const { table, value } = statistics();
    const metrics = new PluginMetrics(table);
    metrics.add(metrics.define(plugin("a"), 0, 'x{a="b"}\nup 1') ?? 0, 1);
    assert.equal(value('wasmcustom.x_a="b"__up 1'), 1);
    assert.equal(metrics.define(plugin("a"), 0, "n".repeat(513)), undefined);
  });
});
