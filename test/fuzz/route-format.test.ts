// Properties of format strings: compiling and writing never throw, one stream is one line.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { compileFormat, compileJsonFormat } from "../../sidecar/telemetry/format.ts";
import { OPERATORS } from "../../sidecar/telemetry/format-operators.ts";
import { buildFacts, buildRequest, buildResponse, stateOf } from "../sidecar/telemetry/facts.ts";

const CONTEXT = { hostname: "h", environment: {} };
const RUNS = { numRuns: 500 };

const name = fc.constantFrom(...Object.keys(OPERATORS), "NOPE");
const operator = fc
  .tuple(
    name,
    fc.constantFrom("", "(x-a)", "(:path?x-a)", "(%Y%3f)", "()", "(NUMBER)"),
    fc.constantFrom("", ":0", ":5"),
  )
  .map(([command, args, length]) => `%${command}${args}${length}%`);
const format = fc.array(fc.oneof(operator, fc.string({ maxLength: 6 }), fc.constantFrom("%", "%%", "(", ":")), {
  maxLength: 8,
});
const text = fc.string({ unit: "binary", maxLength: 30 });

const facts = fc
  .record({ value: text, details: text, flags: text, address: text, time: fc.double(), status: fc.integer() })
  .map(({ value, details, flags, address, time, status }) =>
    buildFacts({
      requestHead: buildRequest({ "x-a": value, "x-envoy-original-path": details }),
      responseHead: buildResponse(status, { "x-a": value, "grpc-status": flags }),
      responseCodeDetails: details,
      responseFlags: flags,
      upstreamAddress: address,
      upstreamFailure: value,
      startedAt: time,
      endedAt: time,
      remoteAddress: address,
      filterState: stateOf("wasm.x-a", value),
    }),
  );

describe("compileFormat()", () => {
  it("never throws, and its text is latin1 on one line", () => {
    const property = fc.property(format, facts, (parts, stream) => {
      const compiled = compileFormat(parts.join("").replaceAll(/[\r\n]/g, ""), CONTEXT);
      if (compiled.ok) {
        const line = compiled.format.render(stream);
        // oxlint-disable-next-line no-control-regex -- latin1 without line breaks
        assert.match(line, /^[^\r\n\u0100-\uffff]*$/);
      }
    });
    fc.assert(property, RUNS);
  });

  it("takes every operator in some form", () => {
    for (const command of Object.keys(OPERATORS)) {
      const forms = [`%${command}%`, `%${command}(x)%`, `%${command}(ROUTE:x)%`].map(
        (form) => compileFormat(form, CONTEXT).ok,
      );
      assert.ok(forms.includes(true), command);
    }
  });
});

describe("compileJsonFormat()", () => {
  it("never throws, and its line parses", () => {
    const property = fc.property(fc.dictionary(text, format), fc.boolean(), facts, (fields, omit, stream) => {
      const joined = Object.fromEntries(Object.entries(fields).map(([field, parts]) => [field, parts.join("")]));
      const compiled = compileJsonFormat(joined, omit, CONTEXT);
      if (compiled.ok) {
        const line = compiled.format.render(stream);
        assert.equal(line.indexOf("\n"), line.length - 1);
        JSON.parse(Buffer.from(line, "latin1").toString("utf8"));
      }
    });
    fc.assert(property, RUNS);
  });
});
