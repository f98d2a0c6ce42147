import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { keepAliveTimeoutMs } from "../../../sidecar/upstream/keep-alive.ts";

describe("keepAliveTimeoutMs()", () => {
  const cases = [
    { name: "a second less than the upstream's", value: "timeout=5", cluster: 3_600_000, expect: 4_000 },
    { name: "with max before it", value: "max=100, timeout=75", cluster: 3_600_000, expect: 74_000 },
    { name: "quoted, upper case, with spaces", value: 'Timeout = "30"', cluster: 3_600_000, expect: 29_000 },
    { name: "half of a single second", value: "timeout=1", cluster: 3_600_000, expect: 500 },
    { name: "the cluster's when shorter", value: "timeout=60", cluster: 10_000, expect: 10_000 },
    { name: "the upstream's when the cluster has none", value: "timeout=60", cluster: 0, expect: 59_000 },
    { name: "no reuse for zero", value: "timeout=0", cluster: 3_600_000, expect: -1 },
    { name: "the cluster's for anything else", value: "xtimeout=5; max=3", cluster: 3_600_000, expect: 3_600_000 },
    { name: "the cluster's for a number that is none", value: "timeout=-5", cluster: 7, expect: 7 },
  ];
  for (const { name, value, cluster, expect } of cases) {
    it(`gives ${name}: ${value}`, () => {
      assert.equal(keepAliveTimeoutMs(HeaderMap.from([["Keep-Alive", value]]), cluster), expect);
    });
  }
});
