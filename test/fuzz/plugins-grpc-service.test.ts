// Targets of gRPC calls come from guests: no bytes make the reader throw, and what it answers can go on the wire.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isFieldName, isFieldValue } from "../../plugins/field-syntax.ts";
import { readGrpcService } from "../../plugins/grpc-service.ts";
import { writeFields } from "../../plugins/proto-fields.ts";

const field = fc.tuple(
  fc.integer({ min: 1, max: 6 }),
  fc.oneof(fc.nat(1000), fc.uint8Array({ minLength: 1, maxLength: 20 })),
);
const message = fc.array(field, { maxLength: 4 }).map(writeFields);
const nested = fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), message), { maxLength: 5 }).map(writeFields);

test("readGrpcService() never throws, and what it reads can be sent", () => {
  fc.assert(
    fc.property(fc.oneof(nested, message, fc.uint8Array({ maxLength: 40 })), (bytes) => {
      const target = readGrpcService(bytes);
      if (typeof target === "string") return;
      assert.ok(isFieldValue(target.authority));
      for (let i = 0; i < target.metadata.length; i += 2) {
        assert.ok(isFieldName(target.metadata[i] ?? "") && isFieldValue(target.metadata[i + 1] ?? "\0"));
      }
      assert.ok(target.maxMessageBytes >= 0);
    }),
  );
});

test("readGrpcService() takes names of clusters for no service", () => {
  for (const name of ["", "auth", "grpc", "outbound|443||a.b", "h1", "x1", "hello", "\n", "p1"]) {
    assert.equal(readGrpcService(Buffer.from(name)), "not-a-service", name);
  }
});
