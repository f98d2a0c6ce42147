// What a worker makes of patches of route configurations: what the main thread has, with the objects that it had before.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RouteCutter, RouteJoiner } from "../../../sidecar/publish/route-patch.ts";
import type { RouteConfiguration, VirtualHost } from "../../../xds/model/route.ts";

/** Only identities count here: a host is its name. */
const host = (name: string): VirtualHost => ({ name, routes: [{ name: `${name} route` }] }) as unknown as VirtualHost;
const config = (virtualHosts: readonly VirtualHost[], outer: object): RouteConfiguration =>
  ({ name: "r", headers: outer, virtualHosts }) as unknown as RouteConfiguration;

test("RouteJoiner makes of each patch what RouteCutter was given", () => {
  const pool = Array.from({ length: 12 }, (_, i) => host(`h${i}`));
  const outers = [{ a: 1 }, { b: 2 }];
  const version = fc.record({
    name: fc.constantFrom("x", "y"),
    hosts: fc.shuffledSubarray(pool),
    outer: fc.constantFrom(...outers),
    isRemoval: fc.boolean(),
    isRestart: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(version, { maxLength: 20 }), (versions) => {
      const cutter = new RouteCutter();
      let joiner = new RouteJoiner();
      for (const { name, hosts, outer, isRemoval, isRestart } of versions) {
        if (isRestart) {
          cutter.reset();
          joiner = new RouteJoiner();
        }
        const whole = config(hosts, outer);
        const changes = isRemoval ? { set: [], removed: [name] } : { set: [[name, whole] as const], removed: [] };
        const joined = joiner.join(structuredClone(cutter.cut(changes)));
        assert.deepEqual(joined, changes);
      }
    }),
    { numRuns: 500 },
  );
});

test("a patch carries the changed host alone, and the worker keeps its objects of the others", () => {
  const [cutter, joiner] = [new RouteCutter(), new RouteJoiner()];
  const hosts = Array.from({ length: 1_000 }, (_, i) => host(`h${i}`));
  const outer = {};
  const send = (whole: RouteConfiguration) => {
    const cut = cutter.cut({ set: [["r", whole]], removed: [] });
    const [, joined] = joiner.join(structuredClone(cut)).set[0] ?? [];
    assert.ok(joined);
    return { size: JSON.stringify(cut).length, joined };
  };
  const first = send(config(hosts, outer));
  const second = send(config(hosts.with(500, host("new")), outer));
  assert.ok(first.size > 30_000 && second.size < 300, `${first.size} then ${second.size}`);
  assert.equal(second.joined.virtualHosts[499], first.joined.virtualHosts[499]);
  assert.equal(second.joined.virtualHosts[500]?.name, "new");
  assert.equal(second.joined.virtualHosts[501], first.joined.virtualHosts[501]);
  assert.equal(second.joined.headers, first.joined.headers);
});
