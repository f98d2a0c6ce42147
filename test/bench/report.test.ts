/** The arithmetic of the bench: a wrong median or ratio would be believed. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { compare, median, renderComparisons, renderTable, type Series } from "./report.ts";
import { parseWrk, type Sample } from "./variants.ts";

function series(name: string, cpuUs: readonly number[], p99Ms: readonly number[], residentMib = 100): Series {
  const sample = { requests: 10, errors: 0, requestsPerSecond: 5, p50Ms: 1, p99Ms: 1, cpuUs: 1, foreignShare: 0 };
  const full = cpuUs.map((cpu): Sample => ({ ...sample, cpuUs: cpu }));
  const fixed = p99Ms.map((p99): Sample => ({ ...sample, p99Ms: p99 }));
  return { name, full, fixed, residentMib };
}

test("median() takes the middle, or the mean of the two middles", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test("compare() compares round by round and judges by the target", () => {
  // Medians alone would say 30 / 60 = 0.5; the rounds say 0.25, 0.5, 0.4.
  const all = [series("outrigger", [10, 30, 40], [1, 2, 3]), series("envoy", [40, 60, 100], [2, 2, 2])];
  const found = compare(all);
  const cpu = found.find((one) => one.what.includes("no plugin, ours / Envoy") && one.what.startsWith("CPU"));
  assert.deepEqual([cpu?.value, cpu?.target, cpu?.isMet], [0.4, 0.42, true]);
  const late = found.find((one) => one.what.startsWith("p99") && one.what.includes("no plugin"));
  assert.deepEqual([late?.value, late?.isMet], [1, true]);
  assert.equal(
    found.some((one) => one.what.includes("nginx")),
    false,
  );
});

test("compare() calls a target missed when it is", () => {
  const all = [series("outrigger", [20], [1]), series("outrigger-go", [26], [1], 151)];
  const found = compare(all);
  assert.deepEqual(
    found.map((one) => [one.value, one.isMet]),
    [
      [6, false],
      [151, false],
    ],
  );
  assert.match(renderComparisons(found), /6\.0 µs {3}at most 5: MISSED/);
});

test("renderTable() gives each variant a line and adds up its errors", () => {
  const bad = series("nginx", [1], [1]);
  const errors = bad.full.map((sample) => ({ ...sample, errors: 3 }));
  const lines = renderTable([series("outrigger", [12.34], [1]), { ...bad, full: errors }], 1000).split("\n");
  assert.equal(lines.length, 4);
  assert.match(lines[2] ?? "", /^outrigger +12\.3 /);
  assert.match(lines[3] ?? "", / 3 +0$/);
});

test("parseWrk() reads times in any unit and counts every kind of error", () => {
  const report = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.19ms  401.41us   9.80ms   91.51%
    Req/Sec    22.98k     1.05k   24.62k    75.00%
  Latency Distribution
     50%  812.00us
     75%    2.31ms
     90%    2.50ms
     99%    1.20s
  45714 requests in 2.00s, 9.02MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  22851.27
Transfer/sec:      4.51MB
`;
  const read = parseWrk(report);
  assert.deepEqual(read, { requests: 45714, errors: 15, requestsPerSecond: 22851.27, p50Ms: 0.812, p99Ms: 1200 });
  assert.throws(() => parseWrk("unable to connect"), /wrk said/);
});
