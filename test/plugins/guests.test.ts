// The guests of test/guests (most with the Rust SDK, which traps on any status that it does not know) through the host.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { loadPluginModule } from "../../plugins/plugin-module.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import type { PluginSpec } from "../../plugins/plugin-spec.ts";
import { Exchange, type ExchangeOptions } from "./support/exchange.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { loaded, type Loaded } from "./support/loaded.ts";
import { goodModule, specOf } from "./support/specs.ts";

function guestBytes(name: string): Uint8Array {
  return readFileSync(new URL(`../guests/wasm/${name}.wasm`, import.meta.url));
}

function guest(name: string, configuration = "", changes: Partial<PluginSpec> = {}): Loaded {
  return loaded(guestBytes(name), { pluginConfiguration: Buffer.from(configuration), ...changes });
}

/** The response's headers after one exchange, as an object. */
function headersOf(host: Loaded, options: ExchangeOptions): Record<string, string> {
  const exchange = new Exchange(host.plugin, options);
  exchange.end();
  const pairs = exchange.stream.map(2).pairs;
  const all: Record<string, string> = {};
  for (let i = 0; i < pairs.length; i += 2) all[pairs[i] as string] = pairs[i + 1] as string;
  return all;
}

suite("modules that cannot load", () => {
  for (const [name, problem] of [
    ["no-abi", /not a Proxy-Wasm plugin/],
    ["no-allocator", /missing allocator/],
  ] as const) {
    test(name, () => {
      const result = loadPluginModule(guestBytes(name));
      assert.match(result.ok ? "" : result.problem, problem);
    });
  }

  test("unknown-import can: its function answers Unimplemented, and what is missing is told", () => {
    const result = loadPluginModule(guestBytes("unknown-import"));
    assert.deepEqual(result.ok ? result.module.stubbedImports : [], ["env.proxy_no_such_function"]);
  });

  test("start-trap", () => {
    const result = new PluginRuntime({ ports: fakePorts() }).load(specOf(goodModule(guestBytes("start-trap"))));
    assert.match(result.ok ? "" : result.problem, /trap: unreachable/);
  });

  test("refuse", () => {
    const spec = specOf(goodModule(guestBytes("refuse")), { pluginConfiguration: Buffer.from("refuse me") });
    const result = new PluginRuntime({ ports: fakePorts() }).load(spec);
    assert.match(result.ok ? "" : result.problem, /proxy_on_configure: refused/);
  });
});

suite("trap", () => {
  const phases = [
    "/trap",
    "/trap-body",
    "/trap-trailers",
    "/trap-response",
    "/trap-response-body",
    "/unreachable",
    "/stack",
  ];
  const parts: ExchangeOptions = {
    body: ["a"],
    trailers: ["t", "1"],
    responseBody: ["b"],
    responseTrailers: ["u", "1"],
  };
  for (const path of phases) {
    test(`${path} gives one 503, and the next exchange works`, () => {
      const { plugin } = guest("trap");
      const exchange = new Exchange(plugin, { path, ...parts });
      exchange.end();
      assert.deepEqual(exchange.stream.journal, ["reply 503 wasm_fail_stream"]);
      assert.equal(exchange.state, "done");
      assert.equal(new Exchange(plugin, parts).end("x-guest"), "trap");
    });
  }

  for (const path of ["/trap-log", "/trap-done"]) {
    test(`${path} does not touch the response`, () => {
      const { plugin } = guest("trap");
      assert.equal(new Exchange(plugin, { path }).end("x-guest"), "trap");
      assert.equal(plugin.view().faults, 1);
      assert.equal(new Exchange(plugin, {}).end("x-guest"), "trap");
    });
  }

  test("a panic's message is in the log", () => {
    const host = guest("trap");
    new Exchange(host.plugin, { path: "/trap" }).end();
    assert.match(host.lines().join("\n"), /panicked at/);
  });
});

suite("bodies", () => {
  test("body-buffer replaces both bodies after collecting their parts", () => {
    const host = guest("body-buffer", "request replace new\nresponse prepend <\nresponse append >");
    const exchange = new Exchange(host.plugin, { body: ["a", "b", "c"], responseBody: ["x", "y"] });
    exchange.end();
    assert.deepEqual(exchange.sent, ["new", "<xy>"]);
    assert.match(host.lines().join("\n"), /request body: 3 bytes, 3 calls/);
  });

  test("body-buffer changes a body that ends with trailers", () => {
    const host = guest("body-buffer", "request reverse");
    const exchange = new Exchange(host.plugin, { body: ["a", "b"], trailers: ["t", "1"] });
    exchange.end();
    assert.equal(exchange.sent[0], "ba");
  });

  test("body-chunk upper-cases each part as it passes", () => {
    const exchange = new Exchange(guest("body-chunk", "request response").plugin, {
      body: ["a", "b"],
      responseBody: ["x"],
    });
    exchange.end();
    assert.deepEqual(exchange.sent, ["AB", "X"]);
  });
});

suite("local-reply", () => {
  const cases: readonly { path: string; status: string; options?: ExchangeOptions }[] = [
    { path: "/reply/request-headers", status: "418" },
    { path: "/reply/request-body", status: "418", options: { body: ["a"] } },
    { path: "/reply/request-trailers", status: "418", options: { body: ["a"], trailers: ["t", "1"] } },
    { path: "/reply/response-headers", status: "418" },
    { path: "/reply/continue", status: "418" },
    { path: "/reply/twice", status: "418" },
    { path: "/reply/empty", status: "204" },
  ];
  for (const { path, status, options } of cases) {
    test(`${path} answers ${status} once`, () => {
      const exchange = new Exchange(guest("local-reply").plugin, { path, ...options });
      assert.equal(exchange.end(), status);
      assert.equal(exchange.stream.replies.length, 1);
      assert.equal(exchange.state, "done");
    });
  }

  test("/reply/reset closes the stream", () => {
    const exchange = new Exchange(guest("local-reply").plugin, { path: "/reply/reset" });
    assert.equal(exchange.state, "reset");
    exchange.end();
  });
});

suite("calls and ticks", () => {
  function answer(host: Loaded, token: number, status: string, body = ""): void {
    host.ports.http.answer(token, {
      kind: "response",
      headers: [":status", status],
      body: Buffer.from(body),
      trailers: [],
    });
  }

  test("http-call waits for 200 and goes on with what it learned", () => {
    const host = guest("http-call", "cluster auth");
    const exchange = new Exchange(host.plugin, { path: "/x" });
    assert.equal(exchange.state, "waiting");
    assert.equal(host.ports.http.calls[0]?.cluster, "auth");
    answer(host, 4, "200", "ann");
    assert.equal(exchange.state, "done");
    assert.equal(exchange.stream.map(0).get("x-call-body"), "ann");
    exchange.end();
  });

  test("http-call answers 403 when the call says no, and when it breaks", () => {
    for (const isBroken of [false, true]) {
      const host = guest("http-call", "cluster auth");
      const exchange = new Exchange(host.plugin, { path: "/x" });
      if (isBroken) host.ports.http.answer(4, { kind: "failure", message: "reset" });
      else answer(host, 4, "401");
      assert.equal(exchange.end(), "403");
    }
  });

  test("http-call waits for several answers in any order, and in the response", () => {
    const host = guest("http-call", "cluster auth");
    const exchange = new Exchange(host.plugin, { path: "/parallel/3" });
    for (const token of [8, 12, 4]) {
      assert.equal(exchange.state, "waiting");
      answer(host, token, "200");
    }
    assert.equal(exchange.state, "done");
    const late = new Exchange(host.plugin, { path: "/response" });
    assert.equal(late.state, "waiting");
    answer(host, 16, "200");
    assert.equal(late.state, "done");
  });

  test("http-call that panics in its answer fails the waiting stream", () => {
    const host = guest("http-call", "cluster auth");
    const exchange = new Exchange(host.plugin, { path: "/trap-call" });
    answer(host, 4, "200");
    assert.equal(exchange.end(), "503");
    assert.equal(exchange.state, "done");
  });

  test("pause-resume is resumed by its tick in each phase", () => {
    for (const path of ["/request-headers", "/request-body", "/response-headers", "/response-body"]) {
      const host = guest("pause-resume", "50");
      const exchange = new Exchange(host.plugin, { path, body: ["a"], responseBody: ["b"] });
      assert.equal(exchange.state, "waiting", path);
      host.ports.clock.advance(100);
      assert.equal(exchange.state, "done", path);
      exchange.end();
    }
  });

  test("tick counts in metrics and shared data", () => {
    const host = guest("tick", "period_ms 10\nstop_after 3");
    host.ports.clock.advance(1000);
    assert.equal(headersOf(host, {})["x-ticks"], "3");
  });
});

suite("what a plugin is told", () => {
  test("configuration: both configurations, ids and its own properties", () => {
    const changes = { name: "guest", rootId: "root", vmId: "vm", vmConfiguration: Buffer.from("vmc") };
    const all = headersOf(guest("configuration", "plc", changes), {});
    assert.equal(all["x-vm-config"], "vmc");
    assert.equal(all["x-plugin-config"], "plc");
    assert.equal(all["x-context-id"], "2");
    assert.deepEqual([all["x-plugin-name"], all["x-plugin-root-id"], all["x-plugin-vm-id"]], ["guest", "root", "vm"]);
  });

  test("properties arrive in their encodings", () => {
    const host = guest(
      "properties",
      "request request.path\nrequest source.port\nresponse connection.mtls\nrequest no.such",
    );
    const exchange = new Exchange(host.plugin, {
      properties: {
        "request\0path": "/p",
        "source\0port": { kind: "int", value: 443 },
        "connection\0mtls": true,
      },
    });
    exchange.end();
    const pairs = new Map<string, string>();
    for (const map of [0, 2] as const) {
      const { size } = exchange.stream.map(map);
      for (let i = 0; i < size; i++) pairs.set(exchange.stream.map(map).nameAt(i), exchange.stream.map(map).valueAt(i));
    }
    const found = [...pairs].filter(([name]) => name.includes("prop-"));
    assert.ok(found.length >= 3, JSON.stringify([...pairs]));
    const text = JSON.stringify(found);
    assert.match(text, /2f70/);
    assert.match(text, /bb01000000000000/);
    assert.match(text, /"01"/);
  });

  test("environment: variables, clocks, output", () => {
    const host = guest("environment", "", { environment: { A: "b", C: "d" } });
    const all = headersOf(host, {});
    assert.equal(all["x-env"], "A=b|C=d");
    assert.equal(all["x-prestat"], "8");
  });

  test("abi-0-1-0 and abi-0-2-0 run", () => {
    for (const name of ["abi-0-1-0", "abi-0-2-0", "no-callbacks", "null-allocator"]) {
      const host = guest(name);
      const exchange = new Exchange(host.plugin, { body: ["a"], responseBody: ["b"] });
      exchange.end();
      assert.equal(host.plugin.view().faults, 0, name);
    }
  });

  test("statuses: no host call with bad arguments ends the guest", (t) => {
    const host = guest("statuses");
    const all = headersOf(host, { body: ["a"], responseBody: ["b"] });
    assert.equal(host.plugin.view().faults, 0);
    const statuses = Object.entries(all).filter(([name]) => name.startsWith("x-status-"));
    assert.ok(statuses.length >= 30, String(statuses.length));
    t.assert.snapshot(statuses, {
      serializers: [(value) => (value as string[][]).map((one) => one.join(" ")).join("\n")],
    });
  });

  test("memory-bomb is stopped at the limit, and only that instance ends", () => {
    const host = guest("memory-bomb");
    assert.equal(new Exchange(host.plugin, { path: "/bomb" }).end(), "503");
    assert.ok(host.plugin.view().memoryBytes <= 128 * 1024 * 1024);
    assert.equal(new Exchange(host.plugin, { path: "/hold/1" }).end(), "200");
  });
});
