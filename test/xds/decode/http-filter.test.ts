// HTTP filters that are not supported: left out when they say that they are optional, unless they protect what is behind them.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { BUILTIN_FILTER_TYPES, BUILTIN_SETTINGS_TYPES } from "../../../xds/decode/builtin-filter.ts";
import { HTTP_WASM_TYPE, MATCHED_TYPE, ROUTER_TYPE } from "../../../xds/decode/filter-config.ts";
import { formatIssues } from "../../../xds/decode/issues.ts";
import { MATCHER_TYPE } from "../../../xds/decode/per-filter-config.ts";
import { messageTypes } from "../../../xds/decode/registry.ts";
import { decodeResource } from "../../../xds/decode/resource.ts";
import { EXTENSION_ROWS } from "../../../xds/fields.ts";
import { LISTENER_TYPE } from "../../../xds/type-urls.ts";

const PREFIX = "type.googleapis.com/";
const HCM = `${PREFIX}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;

/** What is wrong with a listener that has a filter of this type, given as JSON in an envelope, before the router. */
function problem(typeName: string, isOptional: boolean): string {
  const typed_config = { "@type": `${PREFIX}udpa.type.v1.TypedStruct`, type_url: PREFIX + typeName, value: { a: 1 } };
  const router = { "@type": `${PREFIX}envoy.extensions.filters.http.router.v3.Router` };
  const http_filters = [
    { name: "it", is_optional: isOptional, typed_config },
    { name: "router", typed_config: router },
  ];
  const manager = { "@type": HCM, stat_prefix: "s", http_filters, route_config: {} };
  const json: JsonValue = {
    "@type": LISTENER_TYPE,
    name: "l",
    address: { socket_address: { address: "127.0.0.1", port_value: 80 } },
    filter_chains: [{ filters: [{ name: "hcm", typed_config: manager }] }],
  };
  const decoded = decodeResource(LISTENER_TYPE, fromJson(AnySchema, json, { registry: messageTypes }).value);
  return decoded.ok ? "" : formatIssues(decoded.issues);
}

suite("an HTTP filter that is not supported", () => {
  test("refuses the listener, unless it is optional", () => {
    assert.match(
      problem("made.Up", false),
      /^\S+http_filters\[0\].*: HTTP filter made.Up is not supported; supported: /,
    );
    assert.equal(problem("made.Up", true), "");
  });

  for (const name of [
    "rbac.v3.RBAC",
    "jwt_authn.v3.JwtAuthentication",
    "ext_authz.v3.ExtAuthz",
    "csrf.v3.CsrfPolicy",
  ]) {
    test(`refuses it always when it protects: ${name}`, () => {
      assert.match(problem(`envoy.extensions.filters.http.${name}`, true), /unprotected$/);
    });
  }

  test("is none of those that the table calls supported", () => {
    const known = [ROUTER_TYPE, HTTP_WASM_TYPE, MATCHED_TYPE, ...BUILTIN_FILTER_TYPES].toSorted();
    assert.deepEqual(EXTENSION_ROWS["HTTP filters"].supported.toSorted(), known);
    const settings = [
      HTTP_WASM_TYPE,
      MATCHER_TYPE,
      "envoy.extensions.wasm.v3.PluginConfig",
      ...BUILTIN_SETTINGS_TYPES,
    ].toSorted();
    assert.deepEqual(EXTENSION_ROWS["Settings of HTTP filters for routes"].supported.toSorted(), settings);
  });

  test("has no effect when it only annotates: the alpn filter of Istio", () => {
    assert.equal(problem("istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", false), "");
  });
});
