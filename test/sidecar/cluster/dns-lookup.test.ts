import assert from "node:assert/strict";
import { it } from "node:test";

import { createSystemLookup, resolveName } from "../../../sidecar/cluster/dns-lookup.ts";

it("createSystemLookup() finds localhost and reports a name that does not exist", async () => {
  const lookup = createSystemLookup();
  assert.deepEqual(await lookup("localhost", 4, false), ["127.0.0.1"]);
  // Not a name at all, so that no server is asked.
  await assert.rejects(lookup("a..b", 4, false));
  // More at a time than run at a time.
  const many = await Promise.all(Array.from({ length: 12 }, () => lookup("localhost", 4, false)));
  assert.equal(many.length, 12);
});

it("resolveName() rejects only when no family has an answer", async () => {
  const failing = (): Promise<readonly string[]> => Promise.reject(new Error("SERVFAIL"));
  for (const family of ["auto", "all", "v4_only", "v4_preferred"] as const) {
    await assert.rejects(resolveName("a.test", family, failing), /SERVFAIL/);
  }
  assert.deepEqual(await resolveName("a.test", "auto", () => Promise.resolve([])), []);
});
