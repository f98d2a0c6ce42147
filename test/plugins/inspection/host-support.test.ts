// The tables of what the host has are true to the host.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { CALLBACK_NAMES } from "../../../plugins/abi/callbacks.ts";
import { CALLBACK_TYPES, HOST_FUNCTION_TYPES, WASI_FUNCTION_TYPES } from "../../../plugins/abi/function-types.ts";
import { envFunctions } from "../../../plugins/hostcalls/table.ts";
import { wasiFunctions } from "../../../plugins/hostcalls/wasi.ts";
import { isCalled, supportOf } from "../../../plugins/inspection/host-support.ts";
import { loaded } from "../support/loaded.ts";
import { WatGuest } from "../support/wat-guest.ts";

const PLUGINS = new URL("../../../plugins/", import.meta.url);

test("every host function has a type with as many parameters as it takes, and no other has one", () => {
  const { plugin } = loaded(new WatGuest());
  const vm = plugin.root?.vm ?? assert.fail("the guest did not start");
  for (const [functions, types] of [
    [envFunctions(vm), HOST_FUNCTION_TYPES],
    [wasiFunctions(vm), WASI_FUNCTION_TYPES],
  ] as const) {
    assert.deepEqual(Object.keys(types).toSorted(), Object.keys(functions).toSorted());
    for (const [name, run] of Object.entries(functions)) {
      const [parameters = ""] = (types[name] ?? "").split(":");
      // Those that need none of their arguments declare none.
      if (run.length > 0) assert.equal(run.length, parameters.length, name);
    }
  }
});

test("every callback has a type", () => {
  assert.deepEqual(
    CALLBACK_NAMES.filter((name) => !Object.hasOwn(CALLBACK_TYPES, name)),
    [],
  );
});

test("a callback counts as called when the host's code calls it", () => {
  const code = readdirSync(PLUGINS)
    // hook-scratch.ts describes callbacks, those that are never called, too.
    .filter((file) => file.endsWith(".ts") && file !== "hook-scratch.ts")
    .map((file) => readFileSync(new URL(file, PLUGINS), "utf8"))
    .join("\n");
  for (const name of CALLBACK_NAMES) {
    const words = name.replace(/^proxy_/, "").split("_");
    const key = words.map((word) => (word[0] ?? "").toUpperCase() + word.slice(1)).join("");
    assert.equal(isCalled(name), new RegExp(`Callback\\.${key}\\b`).test(code), name);
  }
});

test("supportOf() tells what a call would meet", () => {
  const cases = [
    ["env", "proxy_log", "function", "implemented"],
    ["env", "pthread_equal", "function", "implemented"],
    ["env", "proxy_new_in_9", "function", "stubbed"],
    ["env", "abort", "function", "unlinkable"],
    ["env", "memory", "memory", "unlinkable"],
    ["env", "toString", "function", "unlinkable"],
    ["wasi_unstable", "proc_exit", "function", "implemented"],
    ["wasi_snapshot_preview1", "path_open", "function", "refusing"],
    ["wasi_snapshot_preview1", "toString", "function", "stubbed"],
    ["js", "eval", "function", "unlinkable"],
  ] as const;
  for (const [module, name, kind, support] of cases) {
    assert.equal(supportOf({ module, name, kind, type: undefined }), support, `${module}.${name}`);
  }
});
