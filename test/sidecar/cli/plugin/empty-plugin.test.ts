// The plugin that does nothing is the module of its text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_PLUGIN, EMPTY_PLUGIN_TEXT } from "../../../../sidecar/cli/plugin/empty-plugin.ts";
import { watBytes } from "../../../plugins/support/specs.ts";

test("EMPTY_PLUGIN is its text, assembled", () => {
  assert.deepEqual(Buffer.from(watBytes(EMPTY_PLUGIN_TEXT)), EMPTY_PLUGIN);
});
