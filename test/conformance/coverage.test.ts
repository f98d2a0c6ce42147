// Every host function of each ABI version is called by a case with that version, and every callback that a host can be brought
// to make is made in one: read from the scripts and from what was recorded of Envoy and of our host.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CALLBACK_NAMES } from "../../plugins/abi/callbacks.ts";
import { V0_1_0 } from "../../plugins/abi/v0-1-0.ts";
import { V0_2_0 } from "../../plugins/abi/v0-2-0.ts";
import { V0_2_1 } from "../../plugins/abi/v0-2-1.ts";
import { casesOf, readCases } from "./case.ts";
import { Golden } from "./results.ts";

/** Callbacks that no request can bring about, with the reason. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  proxy_on_foreign_function: "no foreign function of either host calls back",
};

const cases = casesOf(readCases());
const golden = new Golden();

suite("each ABI version", () => {
  for (const { version, hostFunctions } of [V0_1_0, V0_2_0, V0_2_1]) {
    const own = cases.filter(({ abi }) => abi === version);

    test(`${version}: every host function is called and answers`, () => {
      const said = own.flatMap((one) => {
        const recorded = golden.of(one);
        const seen = recorded?.outrigger ?? recorded?.envoy;
        return [...(seen?.guest ?? []), ...(seen?.root ?? [])];
      });
      const called = new Set(said.flatMap((line) => /^(?:\(\d\) )? {2}(\w+) .*= \d|^ {2}(\w+) = \d/.exec(line) ?? []));
      assert.deepEqual(
        hostFunctions.filter((name) => !called.has(name)),
        [],
      );
    });

    test(`${version}: every callback is called`, () => {
      const said = own.flatMap((one) => {
        const recorded = golden.of(one);
        return [...(recorded?.envoy.guest ?? []), ...(recorded?.envoy.root ?? [])];
      });
      const called = new Set(said.map((line) => `proxy_on_${/^(?:\(\d\) )?(\w+)/.exec(line)?.[1] ?? ""}`));
      assert.deepEqual(
        CALLBACK_NAMES.filter((name) => !called.has(name) && UNREACHABLE[name] === undefined),
        [],
      );
    });
  }
});
