// Every property of the model has a reader outside the decoders, or stands here with the rows of the table of fields that
// say "accepted" or "refused" of it. With decode/field-effect.test.ts this keeps the word "supported" true: that test
// follows a field into the model, this one follows the model out of it. By words, so a common word proves little.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldStatus } from "../../xds/fields.ts";
import { sourceFiles, sourceText } from "../support/source-imports.ts";

const ROUTE = "envoy.config.route.v3";
const HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const RETRIES = [`${ROUTE}.RouteAction.retry_policy`, `${ROUTE}.VirtualHost.retry_policy`];

/** Properties without a reader, and the rows that say so. */
const NOT_YET: Readonly<Record<string, readonly string[]>> = {
  subdirectory: ["envoy.config.bootstrap.v3.RuntimeLayer.disk_layer"],
  drainTimeoutMs: [`${HCM}.drain_timeout`],
  drainType: ["envoy.config.listener.v3.Listener.drain_type"],
  listenerFiltersTimeoutMs: ["envoy.config.listener.v3.Listener.listener_filters_timeout"],
  startChildSpan: ["envoy.extensions.filters.http.router.v3.Router.start_child_span"],
  nackOnCodeCacheMiss: ["envoy.extensions.wasm.v3.VmConfig.nack_on_code_cache_miss"],
  reloadBackoffMs: ["envoy.extensions.wasm.v3.PluginConfig.reload_config"],
  hostSelectionMaxAttempts: RETRIES,
  numRetries: RETRIES,
  perTryIdleTimeoutMs: RETRIES,
  perTryTimeoutMs: RETRIES,
  retriableHeaders: RETRIES,
  retriableRequestHeaders: RETRIES,
  retriableStatusCodes: RETRIES,
  retryOn: RETRIES,
  retryPolicy: RETRIES,
  spawnUpstreamSpan: [`${HCM}.Tracing.spawn_upstream_span`],
  verbose: [`${HCM}.Tracing.verbose`],
};

/** Properties that need no reader outside the decoders, and why. */
const DECODED_ONLY: Readonly<Record<string, string>> = {
  codec: "the decoder refuses HTTP/2, which leaves HTTP/1.1",
  dynamicParameters: "goes to the control plane inside nodeBytes",
  listenerFilters: "the decoder takes inspectors only, and warns that they have no effect",
  totalWeight: "readers add the weights up themselves",
  typeUrls: "checked by the decoder",
  validateClusters: "checked by the decoder for inline routes, which warns in others",
};

const FILES = sourceFiles();

function isReader(file: string): boolean {
  return !/^xds\/(?:decode|model|gen|field-rows)\//.test(file);
}

const WORDS = new Set(FILES.filter(isReader).flatMap((file) => sourceText(file).match(/\w+/g) ?? []));

const PROPERTIES = new Set(
  FILES.filter((file) => file.startsWith("xds/model/")).flatMap((file) =>
    [...sourceText(file).matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name ?? ""),
  ),
);

const UNREAD = [...PROPERTIES].filter((name) => !WORDS.has(name));

// An entry of the lists that got its reader since is idle, and can go.
test("every property of the model has a reader, or a reason", () => {
  assert.deepEqual(
    UNREAD.filter((name) => !(name in NOT_YET) && !(name in DECODED_ONLY)),
    [],
  );
});

test("the table does not call a field supported whose property has no reader", () => {
  for (const property of UNREAD) {
    for (const field of NOT_YET[property] ?? []) {
      const at = field.lastIndexOf(".");
      const { kind } = fieldStatus(field.slice(0, at), field.slice(at + 1));
      assert.ok(kind === "accepted" || kind === "refused", `${field} is ${kind}, but ${property} has no reader`);
    }
  }
});
