import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRegistry } from "@bufbuild/protobuf";
import { file_google_protobuf_struct, file_google_protobuf_wrappers, StructSchema } from "@bufbuild/protobuf/wkt";
import { lazyRegistry } from "../../../xds/descriptors/lazy-registry.ts";
import {
  file_envoy_config_core_v3_base,
  HeaderValueSchema,
  RoutingPriority,
} from "../../../xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  file_envoy_config_route_v3_route_components,
  RouteMatchSchema,
} from "../../../xds/gen/envoy/config/route/v3/route_components_pb.ts";

const FILES = [
  file_google_protobuf_struct,
  file_google_protobuf_wrappers,
  file_envoy_config_core_v3_base,
  file_envoy_config_route_v3_route_components,
];

describe("lazyRegistry()", () => {
  const registry = lazyRegistry(FILES);

  it("finds what the runtime's own finds, nested types too", () => {
    const runtime = createRegistry(...FILES);
    const types = [...runtime];
    assert.ok(types.length > 100, `${types.length} types`);
    assert.deepEqual(
      [...registry].map(({ typeName }) => typeName),
      types.map(({ typeName }) => typeName),
    );
    for (const { kind, typeName } of types) {
      assert.equal(registry.get(typeName), runtime.get(typeName), typeName);
      assert.equal(registry.getMessage(typeName) !== undefined, kind === "message", typeName);
      assert.equal(registry.getEnum(typeName) !== undefined, kind === "enum", typeName);
    }
  });

  it("gives the messages that generated code exports", () => {
    assert.equal(registry.getMessage("google.protobuf.Struct"), StructSchema);
    assert.equal(registry.getMessage("envoy.config.core.v3.HeaderValue"), HeaderValueSchema);
    assert.equal(registry.getMessage("envoy.config.route.v3.RouteMatch"), RouteMatchSchema);
    assert.equal(registry.getEnum("envoy.config.core.v3.RoutingPriority")?.value[RoutingPriority.HIGH]?.name, "HIGH");
  });

  it("finds nothing else", () => {
    for (const name of [
      "",
      "envoy",
      "envoy.config.core.v3",
      "envoy.config.core.v3.HeaderValue.key",
      "RouteMatch",
      "a.b",
    ]) {
      assert.equal(registry.get(name), undefined, name);
    }
  });
});
