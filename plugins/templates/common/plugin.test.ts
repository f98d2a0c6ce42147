// Tests of the built plugin in outrigger's own host, without sockets: "make test" builds it and runs them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadPlugin } from "outrigger/plugins/testing";

const MODULE = new URL("plugin.wasm", import.meta.url);

test("every response has the header, with the configuration as its value", () => {
  using plugin = loadPlugin(MODULE, { configuration: "hello from a test" });
  const stream = plugin.request({ path: "/" });
  stream.respond({ status: 200, body: "body" });
  assert.equal(stream.response.headers.get("x-{{name}}"), "hello from a test");
  assert.equal(stream.response.body.toString(), "body");
  assert.equal(plugin.fault, undefined);
});

test("without a configuration the value is hello", () => {
  using plugin = loadPlugin(MODULE);
  const stream = plugin.request({ path: "/" });
  stream.respond({ status: 204 });
  assert.equal(stream.response.headers.get("x-{{name}}"), "hello");
});

test("what it is configured with is logged", () => {
  using plugin = loadPlugin(MODULE, { configuration: "one" });
  assert.deepEqual(
    plugin.logs.filter(({ level }) => level === "info"),
    [{ level: "info", message: "{{name}}: configured with one" }],
  );
});
