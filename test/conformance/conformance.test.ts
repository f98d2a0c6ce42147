// Runs the cases of cases/ on our host and compares what is seen with what Envoy 1.40 did (test/fixtures/conformance/); with an Envoy binary at
// hand, runs them on Envoy too and checks that test/fixtures/conformance/ is still what it does. Every difference has a reason in its case.
// After a change of cases or of behaviour: UPDATE_CONFORMANCE=1 node --test test/conformance/conformance.test.ts
// writes test/fixtures/conformance/ and the table in plugins/README.md anew (needs Envoy); read the diff.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { type Case, casesOf, readCases } from "./case.ts";
import type { Observation } from "./observation.ts";
import { Golden, isSame, resultsMarkdown, trimmed, withResults, writeGolden } from "./results.ts";
import { runCases } from "./run.ts";
import { envoyKind, OUTRIGGER } from "./subject.ts";

const README = join(import.meta.dirname, "../../plugins/README.md");
const rows = readCases();
const cases = casesOf(rows);
const onEnvoy = cases.filter(({ row }) => row.crashes_envoy !== true);
const binary = findEnvoy();
const isUpdate = process.env["UPDATE_CONFORMANCE"] === "1" && binary !== undefined;

let ours = new Map<string, Observation>();
let theirs = new Map<string, Observation>();
let golden = new Golden();

before(async () => {
  [ours, theirs] = await Promise.all([
    runCases(OUTRIGGER, cases),
    binary === undefined ? new Map<string, Observation>() : runCases(envoyKind(binary), onEnvoy),
  ]);
  if (isUpdate) {
    writeGolden(cases, theirs, ours);
    golden = new Golden();
    writeFileSync(README, withResults(readFileSync(README, "utf8"), resultsMarkdown(rows, golden)));
  }
});

function recordedOf(one: Case) {
  const recorded = golden.of(one);
  assert.ok(recorded !== undefined, "nothing is recorded: run with UPDATE_CONFORMANCE=1");
  return recorded;
}

suite("our host does what is recorded of it, for each case and ABI version", () => {
  for (const [row, own] of Map.groupBy(cases, (one) => one.row)) {
    test(`${row.family}: ${row.name}`, () => {
      for (const one of own) {
        const { envoy, outrigger } = recordedOf(one);
        assert.deepEqual(trimmed(ours.get(one.id)), outrigger ?? envoy, `ABI ${one.abi}`);
      }
      const isDifferent = own.some((one) => recordedOf(one).outrigger !== undefined);
      assert.equal(
        row.differs !== undefined,
        isDifferent,
        "`differs` says why, where we differ from Envoy and only there",
      );
    });
  }
});

suite("Envoy does what is recorded of it", { skip: binary === undefined ? ENVOY_MISSING : false }, () => {
  for (const [family, own] of Map.groupBy(onEnvoy, ({ row }) => row.family)) {
    test(family, () => {
      const changed = own.filter((one) => !isSame(trimmed(theirs.get(one.id)), recordedOf(one).envoy));
      for (const one of changed) {
        assert.deepEqual(trimmed(theirs.get(one.id)), recordedOf(one).envoy, `${one.row.name}, ABI ${one.abi}`);
      }
    });
  }
});

test("every recorded case is still there", () => {
  assert.deepEqual(golden.orphans(rows), []);
});

test("plugins/README.md has the table of results", () => {
  const text = readFileSync(README, "utf8");
  assert.equal(text, withResults(text, resultsMarkdown(rows, golden)), "run with UPDATE_CONFORMANCE=1");
});
