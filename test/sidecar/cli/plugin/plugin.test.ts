// The verb `plugin`: picks one of its own verbs, and says which there are.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pluginVerb } from "../../../../sidecar/cli/plugin.ts";
import { PLUGIN_VERBS } from "../../../../sidecar/cli/plugin/plugin.ts";
import { printed } from "../../../support/cli-printer.ts";

const example = "plugins/examples/go/plugin.wasm";

for (const [what, argv, problem] of [
  ["no verb", [], /^outrigger plugin: needs a verb \(.*\brun\b/],
  ["a flag first", ["--json"], /needs a verb before --json/],
  ["a verb that is nearly one", ["rum"], /unknown verb "rum", did you mean "run"\?/],
  ["a verb that is none", ["frobnicate"], /unknown verb "frobnicate" \(.*\brun\b/],
] as const) {
  test(`plugin with ${what} is wrong usage`, async () => {
    const { io, err } = printed();
    assert.equal(await pluginVerb.run(argv, io), 2);
    assert.match(err(), problem);
    assert.match(err(), /Try "outrigger help plugin"/);
  });
}

test("plugin's words name all of its verbs", () => {
  assert.equal(pluginVerb.summary, `tools for plugin authors: ${PLUGIN_VERBS.map(({ name }) => name).join(", ")}`);
});

test("plugin's help lists its verbs, and a verb's help its flags", async () => {
  assert.match(await pluginVerb.help(), /outrigger plugin run FILE\.wasm/);
  assert.match(await pluginVerb.help(["run", "--help"]), /^outrigger plugin run FILE\.wasm/);
  assert.match(await pluginVerb.help(["run"]), /--memory-mib MIB/);
});

test("plugin runs the verb that its first word names", async () => {
  const { io, out } = printed();
  assert.equal(await pluginVerb.run(["run", example], io), 0);
  assert.match(out(), /ABI 0\.\d\.\d/);
});
