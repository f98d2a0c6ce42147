// What the real SDKs' modules call, in order, with texts and answers: golden transcripts in transcripts.test.ts.snapshot.
// They catch a change of order, of a status or of an argument that no other test looks at.
// Refresh: node --test --test-update-snapshots test/plugins/transcripts.test.ts, and read the difference.

import { test } from "node:test";
import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { STATUS_NAMES } from "../../plugins/abi/constants.ts";
import { PluginRuntime } from "../../plugins/plugin-runtime.ts";
import { FakeStream } from "./support/fake-stream.ts";
import { fakePorts } from "./support/fake-ports.ts";
import { exampleBytes, goodModule, specOf } from "./support/specs.ts";

/** Which arguments are a text: index of its pointer; its length follows. */
const TEXTS: Readonly<Record<string, readonly number[]>> = {
  proxy_log: [1],
  proxy_get_property: [0],
  proxy_get_header_map_value: [1],
  proxy_add_header_map_value: [1, 3],
  proxy_replace_header_map_value: [1, 3],
};

const CONFIGURATION = '{"headers":[{"name":"X-Wasm","value":"yes"},{"name":"server","value":"plugin"}]}';

for (const example of ["go", "rust", "assemblyscript", "cpp"] as const) {
  test(`transcript of the ${example} example`, (t) => {
    const lines: string[] = [];
    const calls: string[] = [];
    const runtime = new PluginRuntime({
      ports: fakePorts(),
      observer: {
        hook(record) {
          lines.push(`${CALLBACK_NAMES[record.callback]} on ${record.contextId}`, ...calls.splice(0));
          if (record.action >= 0) lines.push(`  returns ${record.action}`);
        },
      },
      onHostCall(vm, name, args, result) {
        if (!name.startsWith("proxy_")) return;
        const texts = (TEXTS[name] ?? []).map((at) => vm.memory.utf8(Number(args[at]), Number(args[at + 1])));
        calls.push(`  ${name}(${texts.map((text) => JSON.stringify(text)).join(", ")}) = ${STATUS_NAMES[result ?? 0]}`);
      },
    });
    const spec = specOf(goodModule(exampleBytes(example)), { pluginConfiguration: Buffer.from(CONFIGURATION) });
    const loaded = runtime.load(spec);
    if (!loaded.ok) throw new Error(loaded.problem);
    const stream = new FakeStream();
    const context = loaded.plugin.createHttpContext(stream);
    context.onRequestHeaders(3, true);
    stream.respond("server", "origin");
    context.onResponseHeaders(2, false);
    context.onResponseBody(0, true);
    context.onLog();
    context.close();
    runtime.unload(loaded.plugin);
    lines.push("response headers", ...stream.map(2).pairs.map((text) => `  ${text}`));
    t.assert.snapshot(lines, { serializers: [(value) => (value as string[]).join("\n")] });
  });
}
