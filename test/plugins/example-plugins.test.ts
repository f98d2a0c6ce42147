// The tiny plugin as the real SDKs build it: one header added, every callback observed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { exampleBytes, goodModule, specOf } from "./support/specs.ts";

const CONFIGURATION = Buffer.from('{"headers":[{"name":"X-Go-Wasm","value":"APISIX"}]}');

const EXAMPLES = [
  { name: "go", language: "go", abi: "0.2.0" },
  { name: "rust", language: "rust", abi: "0.2.1" },
  { name: "assemblyscript", language: "assemblyscript", abi: "0.2.0" },
  { name: "cpp", language: "unknown", abi: "0.2.1" },
] as const;

for (const example of EXAMPLES) {
  test(`the ${example.name} example adds its header to the response`, () => {
    const module = goodModule(exampleBytes(example.name));
    assert.equal(module.abi, example.abi);
    assert.equal(module.language, example.language);
    const ports = fakePorts();
    const hooks: string[] = [];
    const runtime = new PluginRuntime({
      ports,
      observer: {
        hook: (record) =>
          hooks.push(`${CALLBACK_NAMES[record.callback]} +${record.headersAdded + record.headersReplaced}`),
      },
    });
    const spec = specOf(module, {
      name: "custom-response-header",
      rootId: "custom-response-header",
      pluginConfiguration: CONFIGURATION,
    });
    const loaded = runtime.load(spec);
    if (!loaded.ok) assert.fail(`${loaded.problem}\n${ports.log.lines.join("\n")}`);
    const stream = new FakeStream();
    const context = loaded.plugin.createHttpContext(stream);
    assert.equal(context.onRequestHeaders(3, true), 0);
    stream.respond("server", "x");
    assert.equal(context.onResponseHeaders(2, false), 0, ports.log.lines.join("\n"));
    assert.equal(stream.map(2).get("x-go-wasm"), "APISIX");
    stream.bodies[1] = Buffer.from("hello");
    assert.equal(context.onResponseBody(5, true), 0);
    context.onLog();
    context.close();
    assert.ok(hooks.includes("proxy_on_response_headers +1"), hooks.join("\n"));
    assert.equal(hooks.at(-1), "proxy_on_delete +0");
    assert.deepEqual(stream.journal, []);
  });
}
