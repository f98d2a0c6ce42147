// What a host call meant, from its raw arguments and the guest's memory.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CALLBACK_NAMES } from "../../../plugins/abi/callbacks.ts";
import { V0_1_0 } from "../../../plugins/abi/v0-1-0.ts";
import { V0_2_1 } from "../../../plugins/abi/v0-2-1.ts";
import { callbackArguments, hostFunctionShape } from "../../../plugins/testing/call-shapes.ts";
import { describeBytes } from "../../../plugins/testing/host-call-reader.ts";
import { loadPlugin } from "../../../plugins/testing/index.ts";
import { WatGuest } from "../support/wat-guest.ts";

const guest = (name: string) => loadPlugin(new URL(`../../guests/wasm/${name}.wasm`, import.meta.url));

suite("readHostCall()", () => {
  test("knows every host function of the three versions and every callback", () => {
    const names = [...V0_1_0.hostFunctions, ...V0_2_1.hostFunctions];
    assert.deepEqual(
      names.filter((name) => hostFunctionShape(name) === undefined),
      [],
    );
    for (const name of CALLBACK_NAMES) assert.ok(Array.isArray(callbackArguments(name)));
    assert.deepEqual(callbackArguments("proxy_on_http_call_response"), [
      "call_id",
      "num_headers",
      "body_size",
      "num_trailers",
    ]);
  });

  test("reads texts, pairs, paths, numbers and bytes from the guest's memory", () => {
    using plugin = guest("http-call");
    plugin.request({ path: "/body", headers: [["x-a", "1"]] });
    const call = plugin.callbacks.flatMap(({ hostCalls }) => hostCalls).find(({ name }) => name === "proxy_http_call");
    assert.equal(call?.arguments["cluster"], "auth");
    assert.equal(call?.arguments["timeout_ms"], 1000);
    const headers = (call?.arguments["headers"] ?? []) as readonly (readonly [string, string])[];
    assert.ok(headers.some(([name, value]) => name === ":method" && value === "POST"));
    assert.deepEqual([call?.status, call?.answers], ["Ok", { call_id: plugin.pendingCall.id }]);
  });

  test("shows what is no text as hexadecimal digits, and cuts what is long", () => {
    assert.deepEqual(describeBytes(Buffer.from([0xff, 0x00])), { hex: "ff00" });
    assert.equal(describeBytes(Buffer.from("grün")), "grün");
    const long = describeBytes(Buffer.alloc(70_000, "a"));
    assert.ok(typeof long === "string" && long.endsWith("a… (70000 bytes)"));
    assert.deepEqual(describeBytes(Buffer.alloc(70_000, 0xff)), { hex: "ff".repeat(65_536), length: 70_000 });
  });

  test("says what is out of bounds, and the status of a call that failed", () => {
    using plugin = guest("statuses");
    plugin.request().respond();
    const text = plugin.transcript({ times: false });
    assert.match(text, /"\(out of bounds\)"/);
    assert.match(text, / = InvalidMemoryAccess/);
  });

  test("hears a call that ends the guest", () => {
    using plugin = loadPlugin(
      new WatGuest().on("proxy_on_request_headers", "(drop (call $proc_exit (i32.const 3))) (i32.const 0)").bytes(),
    );
    plugin.request();
    const last = plugin.callbacks.at(-1);
    assert.deepEqual(
      [last?.fault?.kind, last?.hostCalls.map(({ name, arguments: args, status }) => [name, args, status])],
      ["exit", [["proc_exit", { code: 3 }, undefined]]],
    );
    assert.match(plugin.transcript(), /proc_exit\(code=3\) = the end of the guest/);
  });
});
