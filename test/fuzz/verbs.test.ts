// What strangers give the verbs: APISIX files of any shape, questions about any request, answers of any admin port.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { translateApisix } from "../../sidecar/apisix/apisix-bootstrap.ts";
import { type Plain, writeYaml } from "../../sidecar/apisix/yaml-writer.ts";
import { explanationText, isExplanation } from "../../sidecar/cli/asking/explain-text.ts";
import { plain } from "../../sidecar/cli/asking/paint.ts";
import { askedRequest } from "../../sidecar/explain/asked-request.ts";
import { parseYaml, plainJson } from "../../xds/decode/yaml-document.ts";

const scalar = fc.oneof(
  fc.constantFrom("/a", "/b*", "*.x", "GET", "chash", "http_a", "==", "~~", "1", "", "$x", "tag"),
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const KEYS = (
  "id uri uris host hosts methods vars priority plugins upstream upstream_id service_id plugin_config_id timeout nodes type key " +
  "hash_on weight port connect headers set add remove regex_uri conf redirect cors proxy-rewrite fault-injection abort delay _meta " +
  "disable tag routes services upstreams global_rules plugin_configs keepalive_pool pass_host status"
).split(" ");
const { any } = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie("any"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie("any"), { maxKeys: 6 }),
  ),
}));
const rules = fc.record(
  {
    routes: fc.array(any, { maxLength: 4 }),
    services: any,
    upstreams: any,
    plugin_configs: any,
    global_rules: any,
    extra: any,
  },
  { requiredKeys: [] },
);
const CONFIG = { name: "config.yaml", text: "wasm: { plugins: [{ name: tag, priority: 1, file: x.wasm }] }" };

suite("fuzz: verbs", () => {
  test("translateApisix() gives a bootstrap for any file, and a place for each finding", () => {
    fc.assert(
      fc.property(rules, (value) => {
        const translation = translateApisix({ name: "apisix.yaml", text: JSON.stringify(value) }, CONFIG);
        if (translation.ok) {
          writeYaml(translation.bootstrap);
          assert.ok(translation.findings.every(({ line, text }) => line > 0 && text !== ""));
        }
      }),
    );
  });

  test("writeYaml() writes what is read as the same", () => {
    const value: fc.Arbitrary<Plain> = fc.letrec<{ value: Plain }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string({ unit: "binary" }),
        fc.constantFrom("yes", "null", "1", "0x1", "1e3", "-", "- a", "a: b", "#a", "~", "2026-01-01", ".inf", "a/b"),
        fc.integer(),
        fc.boolean(),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie("value"), { maxKeys: 3, noNullPrototype: true }),
      ),
    })).value;
    fc.assert(
      fc.property(value, (written) => {
        const read = parseYaml(writeYaml({ written }), "x.yaml");
        assert.ok(read.ok && read.value.root !== undefined, JSON.stringify(read));
        assert.deepEqual(plainJson(read.value.root), { written });
      }),
      { numRuns: 40 },
    );
  });

  test("askedRequest() makes one request of a question, whatever stands in it", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("/x\r\nHost: b", "/x HTTP/1.1", "http://a/", "a: b\r\nc: d"),
    );
    fc.assert(
      fc.property(
        fc.oneof(text, fc.constant("GET")),
        text,
        fc.array(text, { maxLength: 3 }),
        (method, url, headers) => {
          const asked = askedRequest({ method, url, headers, listener: "", from: "127.0.0.1" });
          if (typeof asked !== "string") {
            const lines = Buffer.from(asked.bytes).toString("latin1").split("\r\n");
            assert.ok(lines.length <= headers.length + 4, lines.join("|"));
          }
        },
      ),
    );
  });

  test("isExplanation() takes nothing that cannot be printed", () => {
    const words =
      "listener chain request routes host end tcp passed more outcomes share cluster hosts filters route why name address".split(
        " ",
      );
    const part = fc.letrec((tie) => ({
      part: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.double(),
        fc.array(tie("part"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...words), tie("part"), { maxKeys: 6 }),
      ),
    })).part;
    const base = { listener: { name: "a", address: "b", why: "c" }, passed: [], more: 0, outcomes: [] };
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...words), part), (value) => {
        const answer: unknown = { ...base, ...value };
        if (isExplanation(answer)) {
          assert.ok(!explanationText(answer, plain).includes("\u001b"));
        }
      }),
    );
  });
});
