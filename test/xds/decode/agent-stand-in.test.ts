// What Istio's agent pushes for a plugin whose code it could not have: the plugin without code, by its policy. Other RBAC filters
// are refused, also those that look alike.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { RBAC_TYPE } from "../../../xds/decode/agent-stand-in.ts";
import { formatIssues } from "../../../xds/decode/issues.ts";
import { decodeResource } from "../../../xds/decode/resource.ts";
import { TypedExtensionConfigSchema } from "../../../xds/gen/envoy/config/core/v3/extension_pb.ts";
import { EXTENSION_CONFIG_TYPE } from "../../../xds/type-urls.ts";

/** RBAC with rules_stat_prefix, and before it `rules`. */
function decoded(statPrefix: string, rules: readonly number[] | undefined) {
  const head = rules === undefined ? [] : [0x0a, rules.length, ...rules];
  const value = Buffer.concat([Buffer.from([...head, 0x32, statPrefix.length]), Buffer.from(statPrefix)]);
  const typedConfig = create(AnySchema, { typeUrl: `type.googleapis.com/${RBAC_TYPE}`, value });
  const resource = create(TypedExtensionConfigSchema, { name: "stamp", typedConfig });
  return decodeResource(EXTENSION_CONFIG_TYPE, toBinary(TypedExtensionConfigSchema, resource));
}

test("decodeResource() takes the agent's stand-ins for plugins without code", () => {
  for (const [statPrefix, rules, policy] of [
    ["wasm-default-allow", undefined, "open"],
    ["wasm-default-deny", [], "closed"],
  ] as const) {
    const result = decoded(statPrefix, rules);
    assert.ok(result.ok && result.value.kind === "plugin");
    const { config } = result.value.value;
    assert.ok(config.kind === "wasm");
    const { code, failurePolicy, name } = config.plugin;
    assert.deepEqual([name, code.kind, failurePolicy], ["stamp", "missing", policy]);
  }
});

test("decodeResource() refuses any other RBAC filter", () => {
  // Rules of action DENY without policies let everything pass.
  for (const [statPrefix, rules] of [
    ["wasm-default-allow", []],
    ["wasm-default-deny", undefined],
    ["wasm-default-deny", [0x08, 1]],
    ["other", undefined],
  ] as const) {
    const result = decoded(statPrefix, rules);
    assert.match(result.ok ? "" : formatIssues(result.issues), /HTTP filter .*RBAC is not supported/);
  }
});
