import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";

import type { Counter, Gauge, StatsScope } from "../../../sidecar/stats/scope.ts";
import { type AccessLogDeps, compileAccessLog } from "../../../sidecar/telemetry/access-log.ts";
import { LogFiles, type LogFileSettings } from "../../../sidecar/telemetry/log-file.ts";
import type { StreamFacts } from "../../../sidecar/telemetry/stream-facts.ts";
import type { AccessLog, AccessLogFilter } from "../../../xds/model/access-log.ts";
import { buildFacts, buildRequest } from "./facts.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-access-log-"));
after(() => fs.rmSync(folder, { recursive: true }));

class FakeScope implements StatsScope {
  readonly values = new Map<string, number>();
  counter(name: string): Counter {
    const { values } = this;
    const add = (amount: number): void => void values.set(name, (values.get(name) ?? 0) + amount);
    return {
      inc: () => add(1),
      add,
      get value() {
        return values.get(name) ?? 0;
      },
    };
  }
  gauge(name: string): Gauge {
    const counter = this.counter(name);
    return { ...counter, value: 0, dec: () => counter.add(-1), set: (value) => void this.values.set(name, value) };
  }
  histogram() {
    return { record() {} };
  }
  of(name: string): number {
    return this.values.get(`filesystem.${name}`) ?? 0;
  }
}

let files = 0;

function setUp(settings: Partial<LogFileSettings> = {}, file = path.join(folder, `log-${files++}`)) {
  const scope = new FakeScope();
  const logs = new LogFiles(scope, { flushIntervalMs: 1_000_000, ...settings });
  const deps: AccessLogDeps = {
    files: logs,
    format: { hostname: "h", environment: {} },
    runtime: {},
    random: () => 0.5,
    plugin: () => ({ ok: false, problem: "no plugins here" }),
  };
  const logger = (more: Partial<AccessLog> = {}) => {
    const config: AccessLog = {
      name: "log",
      sink: { kind: "file", path: file },
      format: { kind: "text", omitEmptyValues: false, text: "%RESPONSE_CODE%\n" },
      filter: undefined,
      ...more,
    };
    const compiled = compileAccessLog(config, deps);
    assert.ok(compiled.ok, compiled.ok ? "" : compiled.problem);
    return compiled.logger;
  };
  return { scope, logs, deps, logger, file, read: () => fs.readFileSync(file, "latin1") };
}

describe("compileAccessLog()", () => {
  it("writes Envoy's default line without a format", async () => {
    const { logger, logs, read } = setUp();
    logger({ format: undefined }).log(buildFacts());
    await logs.flush();
    assert.equal(
      read(),
      '[2026-01-31T12:34:56.789Z] "GET /p?q HTTP/1.1" 200 - 11 22 9 - "-" "-" "-" "a.test" "10.1.0.1:8080"\n',
    );
  });

  it("writes JSON", async () => {
    const { logger, logs, read } = setUp();
    logger({ format: { kind: "json", fields: { code: "%RESPONSE_CODE%" }, omitEmptyValues: false } }).log(buildFacts());
    await logs.flush();
    assert.equal(read(), '{"code":200}\n');
  });

  it("says what is wrong with a format, and with a filter", () => {
    const { deps } = setUp();
    const compiled = compileAccessLog(
      {
        name: "bad",
        sink: { kind: "stdout" },
        format: { kind: "text", omitEmptyValues: false, text: "%NOPE%" },
        filter: {
          kind: "header",
          header: {
            name: "x",
            invert: false,
            treatMissingAsEmpty: false,
            kind: "string",
            matcher: { kind: "regex", value: "(", ignoreCase: false },
          },
        },
      },
      deps,
    );
    assert.match(compiled.ok ? "" : compiled.problem, /^Access log "bad": .*%NOPE%.*; Cannot compile regex "\("/);
  });

  const slow = buildFacts();
  const filters: readonly { says: string; filter: AccessLogFilter; yes: StreamFacts; no?: StreamFacts }[] = [
    {
      says: "status GE",
      filter: { kind: "status_code", op: "GE", value: 400 },
      yes: buildFacts({ status: 400 }),
      no: buildFacts({ status: 399 }),
    },
    {
      says: "status EQ",
      filter: { kind: "status_code", op: "EQ", value: 404 },
      yes: buildFacts({ status: 404 }),
      no: buildFacts(),
    },
    {
      says: "status NE",
      filter: { kind: "status_code", op: "NE", value: 200 },
      yes: buildFacts({ status: 0 }),
      no: buildFacts(),
    },
    {
      says: "status LE",
      filter: { kind: "status_code", op: "LE", value: 200 },
      yes: buildFacts(),
      no: buildFacts({ status: 201 }),
    },
    {
      says: "duration",
      filter: { kind: "duration", op: "GE", value: 9 },
      yes: slow,
      no: buildFacts({ endedAt: slow.startedAt + 8.9 }),
    },
    {
      says: "not a health check",
      filter: { kind: "not_health_check" },
      yes: buildFacts(),
      no: buildFacts({ isHealthCheck: true }),
    },
    { says: "traceable", filter: { kind: "traceable" }, yes: buildFacts({ isTraced: true }), no: buildFacts() },
    {
      says: "runtime above",
      filter: { kind: "runtime", fraction: { numerator: 51, denominator: 100, runtimeKey: "" } },
      yes: buildFacts(),
    },
    {
      says: "any flag",
      filter: { kind: "response_flag", flags: [] },
      yes: buildFacts({ responseFlags: "UH" }),
      no: buildFacts(),
    },
    {
      says: "some flags",
      filter: { kind: "response_flag", flags: ["UF", "URX"] },
      yes: buildFacts({ responseFlags: "LR,URX" }),
      no: buildFacts({ responseFlags: "UH" }),
    },
    {
      says: "a header",
      filter: {
        kind: "header",
        header: { name: "x-a", invert: false, treatMissingAsEmpty: false, kind: "present", present: true },
      },
      yes: buildFacts({ requestHead: buildRequest({ "X-A": "" }) }),
      no: buildFacts(),
    },
    {
      says: "and",
      filter: { kind: "and", filters: [{ kind: "traceable" }, { kind: "status_code", op: "EQ", value: 200 }] },
      yes: buildFacts({ isTraced: true }),
      no: buildFacts(),
    },
    {
      says: "or",
      filter: { kind: "or", filters: [{ kind: "traceable" }, { kind: "status_code", op: "EQ", value: 200 }] },
      yes: buildFacts(),
      no: buildFacts({ status: 500 }),
    },
  ];
  for (const { says, filter, yes, no } of filters) {
    it(`filters by ${says}`, async () => {
      const { logger, logs, read } = setUp();
      const log = logger({ filter, format: { kind: "text", omitEmptyValues: false, text: "x" } });
      log.log(yes);
      if (no !== undefined) {
        log.log(no);
      }
      await logs.flush();
      assert.equal(read(), "x");
    });
  }

  it("filters by runtime below", async () => {
    const { logger, logs, scope } = setUp();
    const fraction = { numerator: 50, denominator: 100, runtimeKey: "" } as const;
    logger({ filter: { kind: "runtime", fraction } }).log(buildFacts());
    await logs.flush();
    assert.equal(scope.of("write_buffered"), 0);
  });
});

describe("LogFiles", () => {
  it("writes lines of one path in order, from every logger of it", async () => {
    const { logger, logs, read } = setUp();
    const [first, second] = [logger(), logger()];
    for (let at = 0; at < 100; at++) {
      (at % 2 === 0 ? first : second).log(buildFacts({ status: at }));
    }
    await logs.flush();
    assert.deepEqual(
      read().split("\n").slice(0, -1).map(Number),
      Array.from({ length: 100 }, (_, at) => at),
    );
  });

  it("waits for the interval or for a full buffer", async () => {
    const { logs, file, scope } = setUp({ flushBytes: 10 });
    const sink = logs.file(file);
    sink.write("short\n");
    assert.equal(fs.existsSync(file), false);
    sink.write("long enough\n");
    await logs.flush();
    assert.equal(scope.of("write_completed"), 1);
    assert.equal(scope.of("write_total_buffered"), 0);
  });

  it("flushes by timer", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { logs, file, scope } = setUp({ flushIntervalMs: 10_000 });
    logs.file(file).write("line\n");
    t.mock.timers.tick(9_999);
    assert.equal(scope.of("flushed_by_timer"), 0);
    t.mock.timers.tick(1);
    assert.equal(scope.of("flushed_by_timer"), 1);
    await logs.flush();
    assert.equal(fs.readFileSync(file, "utf8"), "line\n");
  });

  it("goes to a new file after a rotation", async () => {
    const { logs, file, read } = setUp();
    logs.file(file).write("old\n");
    await logs.flush();
    fs.renameSync(file, `${file}.1`);
    logs.reopen();
    logs.file(file).write("new\n");
    await logs.flush();
    assert.equal(read(), "new\n");
    assert.equal(fs.readFileSync(`${file}.1`, "utf8"), "old\n");
  });

  it("counts a missing directory, drops the lines and recovers when it appears", async () => {
    const { logs, file, scope } = setUp({}, path.join(folder, "later", "log"));
    const sink = logs.file(file);
    sink.write("lost\n");
    await logs.flush();
    assert.equal(scope.of("reopen_failed"), 1);
    assert.equal(scope.of("write_failed"), 1);
    assert.equal(scope.of("write_total_buffered"), 0);
    fs.mkdirSync(path.dirname(file));
    sink.write("kept\n");
    await logs.flush();
    assert.equal(fs.readFileSync(file, "utf8"), "kept\n");
  });

  it("counts a full disk", { skip: fs.existsSync("/dev/full") ? false : "/dev/full is not here" }, async () => {
    const { logs, scope } = setUp();
    logs.file("/dev/full").write("line\n");
    await logs.flush();
    assert.equal(scope.of("write_failed"), 1);
    assert.equal(scope.of("write_total_buffered"), 0);
  });

  it("drops lines beyond its bound while the disk is slow", async () => {
    const { logs, file, scope, read } = setUp({ flushBytes: 4, maxBufferedBytes: 8 });
    const sink = logs.file(file);
    sink.write("aaa\n");
    // The file is being opened; two lines fit, the others do not.
    sink.write("bbb\n");
    sink.write("ccc\n");
    sink.write("ddd\n");
    await logs.flush();
    assert.equal(read(), "aaa\nbbb\n");
    assert.equal(scope.of("write_dropped"), 2);
    assert.equal(scope.of("write_total_buffered"), 0);
  });

  it("writes to standard output and lets the process end", () => {
    const module = JSON.stringify(new URL("../../../sidecar/telemetry/log-file.ts", import.meta.url).href);
    const script = `
      const { LogFiles } = await import(${module});
      const nothing = { inc() {}, add() {}, dec() {}, set() {}, value: 0 };
      const logs = new LogFiles({ counter: () => nothing, gauge: () => nothing, histogram: () => nothing });
      logs.file("/dev/stdout").write("line\\xc3\\xa9\\n");
      await logs.close();`;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
      timeout: 10_000,
    });
    assert.equal(run.stdout, "lineé\n", run.stderr);
    assert.equal(run.status, 0);
  });

  it("waits for a slow reader of standard output", { timeout: 20_000 }, async () => {
    const module = JSON.stringify(new URL("../../../sidecar/telemetry/log-file.ts", import.meta.url).href);
    // Touching process.stdout makes the descriptor non-blocking, so that a full pipe answers EAGAIN.
    const script = `
      process.stdout.write("\\n");
      const { LogFiles } = await import(${module});
      const nothing = { inc() {}, add() {}, dec() {}, set() {}, value: 0 };
      const failed = { ...nothing, inc() { process.exitCode = 3; } };
      const logs = new LogFiles({
        counter: (name) => (/failed|dropped/.test(name) ? failed : nothing), gauge: () => nothing, histogram: () => nothing,
      });
      for (let at = 0; at < 90; at++) logs.file("/dev/stdout").write("x".repeat(9999) + "\\n");
      // Long after the pipe is full; only then does the parent read.
      setTimeout(() => process.stderr.write("full"), 200);
      await logs.close();`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "pipe"] });
    await once(child.stderr, "data");
    let bytes = 0;
    child.stdout.on("data", (chunk: Buffer) => (bytes += chunk.length));
    const [status] = await once(child, "close");
    assert.equal(status, 0);
    assert.equal(bytes, 900_001);
  });
});
