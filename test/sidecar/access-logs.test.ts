import assert from "node:assert/strict";
import { test } from "node:test";
import { AccessLogs } from "../../sidecar/access-logs.ts";
import type { PluginLease } from "../../sidecar/plugin/plugin-pool.ts";
import { buildFacts } from "./telemetry/facts.ts";

test("AccessLogs holds its plugins until the last stream that began under it is over", () => {
  const events: string[] = [];
  const lease = { release: () => events.push("released") } as unknown as PluginLease;
  const logs = new AccessLogs([{ log: ({ status }) => events.push(`logged ${status}`) }], [lease]);
  logs.begin();
  logs.begin();
  logs.end(buildFacts({ status: 1 }));
  logs.release();
  assert.deepEqual(events, ["logged 1"]);
  logs.end(buildFacts({ status: 2 }));
  assert.deepEqual(events, ["logged 1", "logged 2", "released"]);
});

test("AccessLogs without streams gives its plugins back at once", () => {
  let isReleased = false;
  const lease = { release: () => (isReleased = true) } as unknown as PluginLease;
  new AccessLogs([], [lease]).release();
  assert.equal(isReleased, true);
});
