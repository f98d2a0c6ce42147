// TcpContext: one plugin on one connection, without sockets. What the guests see of a real connection, and on Envoy, is in
// test/integration/tcp-plugins.test.ts.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { CloseType, NetworkStatus } from "../../plugins/tcp-context.ts";
import { FakeConnection } from "./support/fake-connection.ts";
import { loaded, type Loaded } from "./support/loaded.ts";
import { WatGuest } from "./support/wat-guest.ts";

const DOWN = 2;
const UP = 3;
const { Continue, StopIteration } = NetworkStatus;
const ABIS = ["0_1_0", "0_2_0", "0_2_1"];

/** Callbacks of contexts other than the root's, as "new_connection 2". */
function events({ hooks }: Loaded): string[] {
  return hooks
    .filter(({ contextId }) => contextId > 1)
    .map(({ callback, contextId }) => `${CALLBACK_NAMES[callback]?.slice("proxy_on_".length)} ${contextId}`);
}

function everyCallback(guest: WatGuest): WatGuest {
  for (const name of ["new_connection", "downstream_data", "upstream_data"]) {
    guest.on(`proxy_on_${name}`, "(i32.const 0)");
  }
  for (const name of ["downstream_connection_close", "upstream_connection_close", "context_create", "log", "delete"]) {
    guest.on(`proxy_on_${name}`, "");
  }
  return guest.on("proxy_on_done", "(i32.const 1)");
}

suite("TcpContext", () => {
  for (const abi of ABIS) {
    test(`calls back in Envoy's order (ABI ${abi})`, () => {
      const host = loaded(everyCallback(new WatGuest({ abi })));
      const connection = new FakeConnection();
      const context = host.plugin.createTcpContext(connection);
      assert.equal(context.onNewConnection(), Continue);
      assert.equal(context.onDownstreamData(connection.offer(DOWN, "abc"), false), Continue);
      assert.equal(context.onUpstreamData(connection.offer(UP, "d"), false), Continue);
      context.onUpstreamData(0, true);
      context.onUpstreamData(0, true);
      assert.equal(host.plugin.view().openStreams, 1);
      context.onDownstreamClose(CloseType.Remote);
      context.onDownstreamClose(CloseType.Remote);
      assert.deepEqual(events(host), [
        "context_create 2",
        "new_connection 2",
        "downstream_data 2",
        "upstream_data 2",
        "upstream_data 2",
        "upstream_connection_close 2",
        "upstream_data 2",
        "downstream_connection_close 2",
        "done 2",
        "log 2",
        "delete 2",
      ]);
      assert.equal(host.plugin.view().openStreams, 0);
      const data = host.hooks.find(({ callback }) => CALLBACK_NAMES[callback] === "proxy_on_downstream_data");
      assert.deepEqual(
        [data?.bodyBytes, data?.endOfStream, data?.action, data?.connection, data?.stream],
        [3, 0, 0, connection, undefined],
      );
    });

    test(`lets data be read, replaced, appended to, and cut (ABI ${abi})`, () => {
      const guest = new WatGuest({ abi });
      const set = (data: number, start: number, length: number, text: string) =>
        `(drop (call $proxy_set_buffer_bytes (i32.const ${data}) (i32.const ${start}) (i32.const ${length}) ${guest.text(text)}))`;
      guest.on("proxy_on_downstream_data", `${set(2, 0, 0, "<")} ${set(2, 99, 0, ">")} (i32.const 0)`);
      guest.on("proxy_on_upstream_data", `${set(3, 0, 2, "")} ${set(2, 0, 0, "no")} (i32.const 0)`);
      const { plugin } = loaded(guest);
      const connection = new FakeConnection();
      const context = plugin.createTcpContext(connection);
      context.onNewConnection();
      context.onDownstreamData(connection.offer(DOWN, "abc"), false);
      assert.equal(connection.take(DOWN), "<abc>");
      context.onUpstreamData(connection.offer(UP, "xyz"), false);
      assert.equal(connection.take(UP), "z");
      assert.equal(connection.take(DOWN), "", "only the running direction's data can be changed");
      context.onDownstreamClose(CloseType.Local);
    });
  }

  test("a paused direction may be changed and goes on when the plugin says so, later", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_vm_start", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 100))) (i32.const 1)");
    guest.on("proxy_on_downstream_data", "(i32.const 1)");
    guest.on("proxy_on_upstream_data", "(i32.const 1)");
    guest.on(
      "proxy_on_tick",
      `(drop (call $proxy_set_effective_context (i32.const 2)))
       (drop (call $proxy_set_buffer_bytes (i32.const 2) (i32.const 0) (i32.const 1) ${guest.text("X")}))
       (drop (call $proxy_continue_stream (i32.const 2)))
       (drop (call $proxy_continue_stream (i32.const 3)))`,
    );
    const { plugin, ports } = loaded(guest);
    const connection = new FakeConnection();
    const context = plugin.createTcpContext(connection);
    context.onNewConnection();
    assert.equal(context.onDownstreamData(connection.offer(DOWN, "abc"), false), StopIteration);
    assert.equal(context.onUpstreamData(connection.offer(UP, "d"), false), StopIteration);
    ports.clock.advance(100);
    assert.deepEqual(connection.journal, ["continue-downstream", "continue-upstream"]);
    assert.equal(connection.take(DOWN), "Xbc");
    ports.clock.advance(100);
    assert.equal(connection.journal.length, 2, "what goes on cannot be continued");
  });

  test("continuing inside the callback overrules its pause", () => {
    const guest = new WatGuest();
    guest.on("proxy_on_new_connection", "(drop (call $proxy_continue_stream (i32.const 2))) (i32.const 1)");
    const { plugin } = loaded(guest);
    const connection = new FakeConnection();
    assert.equal(plugin.createTcpContext(connection).onNewConnection(), Continue);
    assert.deepEqual(connection.journal, []);
  });

  for (const type of [2, 3]) {
    test(`proxy_close_stream(${type}) closes once and stops the direction`, () => {
      const guest = new WatGuest();
      const close = `(drop (call $proxy_close_stream (i32.const ${type})))`;
      guest.on("proxy_on_downstream_data", `${close} ${close} (i32.const 0)`);
      const { plugin } = loaded(guest);
      const connection = new FakeConnection();
      const context = plugin.createTcpContext(connection);
      context.onNewConnection();
      assert.equal(context.onDownstreamData(connection.offer(DOWN, "a"), false), StopIteration);
      assert.deepEqual(connection.journal, ["close"]);
    });
  }

  test("properties are the connection's", () => {
    const guest = new WatGuest();
    const path = guest.text("source\0address");
    guest.on(
      "proxy_on_new_connection",
      `(drop (call $proxy_set_property ${guest.text("mine")} ${guest.text("value")}))
       (drop (call $proxy_get_property ${path} (i32.const 16) (i32.const 20)))
       ${guest.logResult()} (i32.const 0)`,
    );
    const { plugin, lines } = loaded(guest);
    const connection = new FakeConnection();
    connection.properties.set("source\0address", "1.2.3.4:5");
    plugin.createTcpContext(connection).onNewConnection();
    assert.deepEqual(lines(), ["1.2.3.4:5"]);
    assert.deepEqual(connection.properties.get("mine"), new Uint8Array(Buffer.from("value")));
  });

  for (const failurePolicy of ["closed", "open"] as const) {
    test(`a trap under the policy ${failurePolicy}, also for those who wait for the same VM`, () => {
      const guest = new WatGuest();
      guest.on("proxy_on_new_connection", "(i32.const 1)");
      guest.on("proxy_on_downstream_data", "unreachable");
      const { plugin } = loaded(guest, { failurePolicy });
      const [first, waiting, later] = [new FakeConnection(), new FakeConnection(), new FakeConnection()];
      const context = plugin.createTcpContext(first);
      context.onNewConnection();
      const other = plugin.createTcpContext(waiting);
      other.onNewConnection();
      const status = context.onDownstreamData(first.offer(DOWN, "a"), false);
      assert.equal(status, failurePolicy === "open" ? Continue : StopIteration);
      assert.deepEqual(first.journal, failurePolicy === "open" ? [] : ["close"]);
      assert.deepEqual(waiting.journal, failurePolicy === "open" ? ["continue-downstream"] : ["close"]);
      context.onDownstreamClose(CloseType.Local);
      other.onDownstreamClose(CloseType.Local);
      assert.equal(plugin.view().openStreams, 0);
      // A new connection gets a new VM.
      assert.equal(plugin.createTcpContext(later).onNewConnection(), StopIteration);
      assert.deepEqual(later.journal, []);
      assert.equal(plugin.view().restarts, 1);
    });
  }
});
