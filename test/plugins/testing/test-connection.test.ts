// TCP connections in the test API, with the guest `tcp`.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { loadPlugin } from "../../../plugins/testing/index.ts";

const tcp = (configuration = "") =>
  loadPlugin(new URL("../../guests/wasm/tcp.wasm", import.meta.url), { configuration });

suite("TestConnection", () => {
  test("shows what went on each way, as the plugin made it", () => {
    using plugin = tcp("upper\nprefix > ");
    const connection = plugin.connection();
    assert.equal(connection.isAdmitted, true);
    assert.equal(connection.send("hello"), "continue");
    assert.equal(connection.receive("there", { endOfStream: true }), "continue");
    assert.equal(connection.downstream.passed.toString(), "HELLO");
    assert.match(connection.upstream.passed.toString(), /^>\s?there$/);
    assert.deepEqual([connection.downstream.isEnded, connection.upstream.isEnded], [false, true]);
    connection.end();
    const names = plugin.callbacks.slice(-4).map(({ name }) => name);
    assert.deepEqual(names, [
      "proxy_on_downstream_connection_close",
      "proxy_on_done",
      "proxy_on_log",
      "proxy_on_delete",
    ]);
    assert.throws(() => connection.send("more"), /the connection has ended/);
  });

  test("holds what the plugin holds, and shows it again with what comes", () => {
    using plugin = tcp("lines");
    const connection = plugin.connection();
    assert.equal(connection.send("one "), "pause");
    assert.equal(connection.downstream.held.toString(), "one ");
    assert.equal(connection.send("line\n"), "continue");
    assert.equal(connection.downstream.passed.toString(), "one line\n");
    const sizes = plugin.callbacks.flatMap(({ name, arguments: args }) =>
      name === "proxy_on_downstream_data" ? args["data_size"] : [],
    );
    assert.deepEqual(sizes, [4, 9]);
  });

  test("begins and goes on when a tick lets it", () => {
    using plugin = tcp("wait\nhold");
    const connection = plugin.connection();
    assert.equal(connection.isAdmitted, false);
    plugin.clock.advance(50);
    assert.equal(connection.isAdmitted, true);
    assert.equal(connection.send("hold this"), "pause");
    plugin.clock.advance(50);
    assert.equal(connection.downstream.passed.toString(), "hold this");
  });

  test("waits for a call, and is closed by its answer", () => {
    using plugin = tcp("call auth");
    const connection = plugin.connection();
    assert.deepEqual([connection.isAdmitted, connection.isClosedByPlugin], [false, false]);
    plugin.pendingCall.respond({ status: 403 });
    assert.equal(connection.isClosedByPlugin, true);
  });

  test("is closed by the plugin, and by its fault", () => {
    using plugin = tcp();
    const closed = plugin.connection();
    assert.equal(closed.send("close"), "pause");
    assert.equal(closed.isClosedByPlugin, true);
    const failed = plugin.connection();
    failed.send("trap");
    assert.deepEqual([failed.isClosedByPlugin, plugin.fault?.callback], [true, "proxy_on_downstream_data"]);
  });

  test("has properties of its own", () => {
    using plugin = tcp("property source.address");
    plugin.connection({ properties: { "source.address": "10.0.0.1:5" } }).send("x");
    assert.match(plugin.logs.map(({ message }) => message).join("\n"), /10\.0\.0\.1:5/);
  });
});
