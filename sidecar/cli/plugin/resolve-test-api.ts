// Loaded with --import before a plugin's test files by `plugin test`: makes "outrigger/plugins/testing" mean this copy of it, wherever
// the tests are and whether or not outrigger is installed there.

import { registerHooks } from "node:module";

const TEST_API = new URL("../../../plugins/testing/index.ts", import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "outrigger/plugins/testing"
      ? { url: TEST_API, format: TEST_API.endsWith(".ts") ? "module-typescript" : "module", shortCircuit: true }
      : next(specifier, context),
});
