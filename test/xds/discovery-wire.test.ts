// Discovery messages to bytes and back, and bytes that are none.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cutText } from "../../xds/intake.ts";
import { resourceName } from "../../xds/decode/resource.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse, parseNode } from "../../xds/discovery-wire.ts";
import type { DiscoveryRequest, DiscoveryResponse } from "../../xds/discovery-messages.ts";
import { peekName } from "../../xds/response-shape.ts";
import { ENDPOINTS_TYPE, RESOURCE_WRAPPER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import { endpoints, renamed, routes } from "../support/xds-resources.ts";

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const error = fc.option(
  fc.tuple(fc.nat(16), text).map(([code, message]) => ({ code, message })),
  { nil: undefined },
);
const common = { typeUrl: text, nonce: text, error, withNode: fc.boolean() };
const request: fc.Arbitrary<DiscoveryRequest> = fc.oneof(
  fc.record({ kind: fc.constant("sotw" as const), version: text, names: fc.array(text), ...common }),
  fc.record({
    kind: fc.constant("delta" as const),
    subscribe: fc.array(text),
    unsubscribe: fc.array(text),
    initialVersions: fc
      .array(fc.tuple(text, text))
      .map((pairs) => new Map(pairs.filter(([name]) => name !== "__proto__"))),
    ...common,
  }),
);

test("encodeRequest() and decodeRequest() agree", () => {
  const node = parseNode(Buffer.from([0x0a, 1, 0x6e]));
  fc.assert(
    fc.property(request, (sent) => {
      const parsed = decodeRequest(sent.kind, encodeRequest(sent, node));
      assert.ok(parsed.ok);
      assert.deepEqual(parsed.value.request, { ...sent });
      assert.equal(parsed.value.node?.id, sent.withNode ? "n" : undefined);
    }),
  );
});

test("encodeResponse() and decodeResponse() agree", () => {
  const bytes = fc.uint8Array({ maxLength: 20 });
  const ttlMs = fc.option(fc.nat(100_000), { nil: undefined });
  const named = fc.record({ name: text, version: text, typeUrl: text, bytes, ttlMs });
  const head = { typeUrl: text, version: text, nonce: text, controlPlane: text };
  const response: fc.Arbitrary<DiscoveryResponse> = fc.oneof(
    fc.record({
      kind: fc.constant("sotw" as const),
      ...head,
      resources: fc.array(
        fc.record({
          name: fc.constant(""),
          version: fc.constant(""),
          typeUrl: text,
          bytes,
          ttlMs: fc.constant(undefined),
        }),
      ),
    }),
    fc.record({ kind: fc.constant("delta" as const), ...head, resources: fc.array(named), removed: fc.array(text) }),
  );
  fc.assert(
    fc.property(response, (sent) => {
      const parsed = decodeResponse(sent.kind, encodeResponse(sent));
      assert.ok(parsed.ok);
      assert.deepEqual(parsed.value, plain(sent));
    }),
  );
});

/** The same without null prototypes, which generated records may have. */
function plain(response: DiscoveryResponse): DiscoveryResponse {
  return { ...response, resources: response.resources.map((each) => ({ ...each })) } as DiscoveryResponse;
}

test("decodeResponse() takes the wrapper of a state-of-the-world resource off", () => {
  const inner: DiscoveryResponse = {
    kind: "delta",
    typeUrl: ROUTE_TYPE,
    version: "",
    nonce: "",
    resources: [{ name: "r", version: "7", typeUrl: ROUTE_TYPE, bytes: Buffer.from("x"), ttlMs: 2_500 }],
    removed: [],
    controlPlane: "",
  };
  // The delta response's only resource is the wrapper's bytes: field 2, length-delimited, before the type URL.
  const encoded = encodeResponse(inner);
  const wrapper = encoded.subarray(2, 2 + (encoded[1] as number));
  const resources = [{ name: "", version: "", typeUrl: RESOURCE_WRAPPER_TYPE, bytes: wrapper, ttlMs: undefined }];
  const parsed = decodeResponse("sotw", encodeResponse({ ...inner, kind: "sotw", resources }));
  assert.ok(parsed.ok);
  const [unwrapped] = parsed.value.resources;
  assert.deepEqual({ ...unwrapped, bytes: Buffer.from(unwrapped?.bytes ?? []) }, inner.resources[0]);
});

test("decodeRequest(), decodeResponse() and peekName() never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const variant of ["sotw", "delta"] as const) {
        decodeRequest(variant, bytes);
        decodeResponse(variant, bytes);
      }
      peekName(bytes);
    }),
  );
});

test("peekName() finds the name that decoding finds", () => {
  for (const [template, typeUrl] of [
    [routes("r", "c"), ROUTE_TYPE],
    [endpoints("e"), ENDPOINTS_TYPE],
  ] as const) {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 300 }), (name) => {
        const { value } = renamed(template, name);
        assert.equal(peekName(value), resourceName(typeUrl, value));
      }),
    );
  }
});

test("cutText() keeps to its limit in bytes and counts what it leaves out", () => {
  assert.equal(cutText(["a", "b"], 100), "a\nb");
  assert.match(cutText(["a".repeat(120), "b", "c"], 100), /^a{60}… and 2 more$/);
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.integer({ min: 64, max: 200 }), (lines, max) => {
      assert.ok(Buffer.byteLength(cutText(lines, max)) <= max);
    }),
  );
});
