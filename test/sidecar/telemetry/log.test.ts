import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LogLimit, parseComponentLevels, parseLogLevel } from "../../../sidecar/telemetry/log-level.ts";
import { createLog, RootLog } from "../../../sidecar/telemetry/log.ts";
import { WorkerLog } from "../../../sidecar/telemetry/worker-log.ts";

function collect(format: "json" | "text", level: "debug" | "info" | "warning" = "info") {
  const lines: string[] = [];
  const log = new RootLog({ level, format, fields: { worker: 1 }, write: (line) => lines.push(line) });
  return { log, lines };
}

test("RootLog writes one JSON object a line", () => {
  const { log, lines } = collect("json");
  log.child("xds").warn({ server: "cp:18000", error: new Error("refused") }, "Control plane is away");
  assert.equal(lines.length, 1);
  assert.ok(lines[0]?.endsWith("\n"));
  const { time, ...rest } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, {
    level: "warning",
    worker: 1,
    component: "xds",
    server: "cp:18000",
    error: "refused",
    message: "Control plane is away",
  });
});

test("RootLog writes short lines for people, without control characters", () => {
  const { log, lines } = collect("text");
  log.child("wasm").error({ plugin: "auth", at: 3, text: "a b\u001b[2J" }, "said\n\u001b[31mred");
  assert.match(
    lines[0] ?? "",
    /^\d\d:\d\d:\d\d\.\d{3} error {4}wasm: said\\u000a\\u001b\[31mred worker=1 plugin=auth at=3 text="a b\\u001b\[2J"\n$/,
  );
});

test("setLevel() changes one component or all", () => {
  const { log, lines } = collect("json", "warning");
  const [xds, wasm] = [log.child("xds"), log.child("wasm")];
  xds.info({}, "no");
  assert.equal(log.setLevel("xds", "debug"), true);
  xds.debug({}, "yes");
  wasm.info({}, "no");
  assert.deepEqual(log.levels(), [
    { name: "main", level: "warning" },
    { name: "wasm", level: "warning" },
    { name: "xds", level: "debug" },
  ]);
  assert.equal(log.setLevel(undefined, "off"), true);
  xds.error({}, "no");
  log.error({}, "no");
  log.setLevel(undefined, "info");
  wasm.info({}, "yes");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { message: string }).message),
    ["yes", "yes"],
  );
});

test("setLevel() keeps the level of a component that has no log yet", () => {
  const { log, lines } = collect("json");
  assert.equal(log.setLevel("later", "debug"), false);
  log.child("later").debug({}, "yes");
  assert.equal(lines.length, 1);
  assert.equal(log.child("later"), log.child("later"));
  assert.equal(log.child("a").child("later"), log.child("later"));
});

test("createLog() appends to a file, with the levels of the command line", () => {
  const path = join(mkdtempSync(join(tmpdir(), "log-")), "proxy.log");
  const log = createLog({ level: "warn", componentLevels: "a:info", format: "json", path });
  log.info({}, "no");
  log.child("b").info({}, "no");
  log.child("a").info({ a: 1 }, "hello");
  assert.equal(readFileSync(path, "utf8").trim().split("\n").length, 1);
  assert.match(readFileSync(path, "utf8"), /"a":1,"message":"hello"\}\n$/);
});

test("setLevel() knows lines without a component as main", () => {
  const { log, lines } = collect("json", "warning");
  const xds = log.child("xds");
  assert.equal(log.setLevel("main", "debug"), true);
  log.debug({}, "yes");
  xds.info({}, "no");
  log.child("later").info({}, "no");
  assert.equal(lines.length, 1);
  assert.equal(log.levels()[1]?.level, "debug");
});

test("reopen() goes on in a new file after rotation, and in the old one when there can be none", () => {
  const folder = mkdtempSync(join(tmpdir(), "log-"));
  const path = join(folder, "proxy.log");
  const log = new RootLog({ level: "info", format: "json", path });
  log.info({}, "before");
  renameSync(path, `${path}.1`);
  assert.equal(log.reopen(), true);
  log.info({}, "after");
  assert.match(readFileSync(`${path}.1`, "utf8"), /before/);
  assert.match(readFileSync(path, "utf8"), /after/);
  renameSync(folder, `${folder}-gone`);
  assert.equal(log.reopen(), false);
  log.info({}, "still");
  assert.match(readFileSync(join(`${folder}-gone`, "proxy.log"), "utf8"), /still/);
});

test("WorkerLog has levels by component, main too", () => {
  const lines: string[] = [];
  const levels = new Map([["wasm", "debug"] as const, ["main", "error"] as const]);
  const log = new WorkerLog("info", levels, ({ message }) => lines.push(message));
  log.info({}, "no");
  log.child("wasm").debug({}, "wasm");
  log.child("other").info({}, "other");
  log.setLevel("main", "info");
  log.info({}, "main");
  log.setLevel("", "off");
  log.error({}, "no");
  assert.deepEqual(lines, ["wasm", "other", "main"]);
});

test("LogLimit lets a burst through and counts what it holds back", () => {
  let now = 0;
  const limit = new LogLimit({ intervalMs: 1000, burst: 2, now: () => now });
  assert.deepEqual([limit.take(), limit.take(), limit.take(), limit.take()], [0, 0, -1, -1]);
  now = 999;
  assert.equal(limit.take(), -1);
  now = 1000;
  assert.deepEqual([limit.take(), limit.take()], [3, 0]);
});

test("parseLogLevel() knows Envoy's words", () => {
  assert.equal(parseLogLevel("warn"), "warning");
  assert.equal(parseLogLevel("warning"), "warning");
  assert.equal(parseLogLevel("critical"), "critical");
  assert.equal(parseLogLevel("loud"), undefined);
});

test("parseComponentLevels() keeps the good pairs and names the others", () => {
  const { levels, problems } = parseComponentLevels("misc:error, upstream:debug,wasm,x:loud,");
  assert.deepEqual(
    [...levels],
    [
      ["misc", "error"],
      ["upstream", "debug"],
    ],
  );
  assert.equal(problems.length, 2);
});
