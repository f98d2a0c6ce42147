// The property catalogue over the facts of one stream, without Envoy: test/integration/properties.test.ts has that.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { encodePropertyValue } from "../../../plugins/hostcalls/properties.ts";
import type { PropertyItem } from "../../../plugins/property-value.ts";
import { streamProperty } from "../../../sidecar/filter/stream-properties.ts";
import type { StreamInfo } from "../../../sidecar/filter/stream-info.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { fakeHead, fakeInfo } from "../telemetry/fake-requests.ts";
import { stateOf } from "../telemetry/facts.ts";

function read(path: string, fields: Partial<StreamInfo> = {}): PropertyItem | undefined {
  const segments = path.split(".");
  return streamProperty(
    fakeInfo(
      fakeHead([
        ["X-Two", "1"],
        ["x-two", "2"],
      ]),
      fields,
    ),
    segments.join("\0"),
    segments,
  );
}

function hex(path: string, fields: Partial<StreamInfo> = {}): string | undefined {
  const value = read(path, fields);
  const bytes = value === undefined ? undefined : encodePropertyValue(value);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("hex");
}

suite("streamProperty()", () => {
  test("steps into metadata, whose parts have their own types", () => {
    const metadata = message([1, message([1, text("ns")], [2, struct({ on: "2001", list: "32070a051a03616263" })])]);
    const fields = { routeMetadata: metadata };
    assert.equal(hex("xds.route_metadata", fields), metadata.toString("hex"));
    assert.equal(read("xds.route_metadata.filter_metadata.ns.on", fields), true);
    assert.equal(read("xds.route_metadata.filter_metadata.ns.list.0", fields), "abc");
    assert.equal(read("xds.route_metadata.filter_metadata.ns.list.1", fields), undefined);
    assert.equal(read("xds.route_metadata.filter_metadata.other", fields), undefined);
    assert.equal(read("xds.route_metadata.nothing", fields), undefined);
  });

  test("metadata that is no message has no parts, and does not throw", () => {
    const fields = { routeMetadata: Buffer.from("0aff", "hex") };
    assert.equal(hex("xds.route_metadata.filter_metadata", fields), "00000000");
    assert.equal(hex("xds.route_metadata", fields), "0aff");
  });

  test("a map of headers has each name once, its values joined", () => {
    const headers = read("request.headers");
    assert.ok(headers !== null && typeof headers === "object" && "entries" in headers);
    const named = Object.fromEntries(headers.entries as [string, string][]);
    assert.equal(named["x-two"], "1,2");
    assert.equal(read("request.headers.X-TWO"), "1,2");
    assert.equal(hex("response.headers"), "00000000");
  });

  test("a group has parts and no form as a whole", () => {
    assert.equal(hex("request"), undefined);
    assert.ok(read("request") !== undefined);
    assert.equal(read("request.headers.nope"), undefined);
    assert.equal(read("nothing"), undefined);
  });

  test("sizes are those of names and values, as Envoy counts them", () => {
    const response = { status: 200, reason: "", headers: HeaderMap.from([["a", "bc"]]) };
    assert.deepEqual(read("response.headers_bytes", { responseHead: response }), { kind: "int", value: 3 + 10 });
    assert.deepEqual(read("response.grpc_status", { responseHead: { ...response, status: 404 } }), {
      kind: "int",
      value: 12,
    });
  });

  test("what a plugin stored is found by its path, in filter_state, and before the old names", () => {
    const fields = { filterState: stateOf("wasm.route_name", "mine") };
    assert.equal(hex("route_name", fields), Buffer.from("mine").toString("hex"));
    assert.equal(hex("route_name"), Buffer.from("orders").toString("hex"));
    const segments = ["filter_state", "wasm.route_name"];
    const state = streamProperty(fakeInfo(fakeHead(), fields), segments.join("\0"), segments);
    assert.deepEqual(state, Buffer.from("mine"));
    const two = { filterState: stateOf("wasm.a\0b", "both") };
    assert.equal(hex("a.b", two), Buffer.from("both").toString("hex"));
  });

  test("protobuf state has the parts of its message", () => {
    const declared = { type: "protobuf", schema: "type.googleapis.com/google.protobuf.Struct" } as const;
    const fields = { filterState: stateOf("wasm.peer", struct({ on: "2001" }), declared) };
    assert.equal(read("peer.on", fields), true);
    assert.equal(hex("peer", fields), struct({ on: "2001" }).toString("hex"));
  });
});

function text(value: string): Buffer {
  return Buffer.from(value);
}

/** Length-delimited fields of less than 128 bytes. */
function message(...fields: readonly (readonly [number, Buffer])[]): Buffer {
  return Buffer.concat(fields.flatMap(([number, bytes]) => [Buffer.of(number * 8 + 2, bytes.length), bytes]));
}

/** A Struct; values are serialised google.protobuf.Value in hex. */
function struct(values: Readonly<Record<string, string>>): Buffer {
  return message(
    ...Object.entries(values).map(
      ([key, value]) => [1, message([1, text(key)], [2, Buffer.from(value, "hex")])] as const,
    ),
  );
}
