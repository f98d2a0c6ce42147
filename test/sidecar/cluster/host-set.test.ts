import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HostSet } from "../../../sidecar/cluster/host-set.ts";
import type { StreamPool } from "../../../sidecar/upstream/stream-pool.ts";
import type { Address } from "../../../xds/model/address.ts";
import { buildAssignment } from "../../support/cluster-builders.ts";

class FakePool implements StreamPool {
  readonly calls: string[] = [];
  isEmpty = true;
  acquire(): void {}
  cancel(): boolean {
    return false;
  }
  redirect(address: Address): void {
    this.calls.push(`redirect ${address.kind === "tcp" ? address.host : address.path}`);
  }
  drain(): void {
    this.calls.push("drain");
  }
  dispose(): void {
    this.calls.push("dispose");
  }
}

function createSet(logical = false): { set: HostSet; pools: Map<string, FakePool> } {
  const pools = new Map<string, FakePool>();
  const set = new HostSet((host) => {
    const pool = new FakePool();
    pools.set(host.key, pool);
    return pool;
  }, logical);
  return { set, pools };
}

describe("HostSet", () => {
  it("update() keeps the host of an address and changes it in place", () => {
    const { set } = createSet();
    set.update(buildAssignment([{ port: 1 }, { port: 2 }]));
    const before = set.get("127.0.0.1:2");
    const { membershipChanged } = set.update(
      buildAssignment([{ port: 1 }], [{ port: 2, weight: 7, health: "degraded", hostname: "b" }]),
    );
    assert.equal(membershipChanged, false);
    const after = set.get("127.0.0.1:2");
    assert.equal(after, before);
    assert.deepEqual(
      [after?.weight, after?.health, after?.priority, after?.hostname, after?.availability],
      [7, "degraded", 1, "b", "degraded"],
    );
  });

  it("update() drains the pools of hosts that are gone, once", () => {
    const { set, pools } = createSet();
    set.update(buildAssignment([{ port: 1 }, { port: 2 }]));
    assert.equal(set.update(buildAssignment([{ port: 2 }])).membershipChanged, true);
    set.update(buildAssignment([{ port: 2 }]));
    assert.deepEqual(pools.get("127.0.0.1:1")?.calls, ["drain"]);
    assert.deepEqual(pools.get("127.0.0.1:2")?.calls, []);
    assert.deepEqual(
      set.hosts.map((host) => host.key),
      ["127.0.0.1:2"],
    );
  });

  it("update() makes a new host when an address comes back", () => {
    const { set } = createSet();
    set.update(buildAssignment([{ port: 1 }]));
    const before = set.get("127.0.0.1:1");
    set.update(buildAssignment([]));
    set.update(buildAssignment([{ port: 1 }]));
    assert.notEqual(set.get("127.0.0.1:1"), before);
  });

  it("update() takes an address named twice once, with the highest priority", () => {
    const { set } = createSet();
    const twice = buildAssignment([{ port: 1, weight: 3 }], [{ port: 1, weight: 5 }]);
    set.update({ ...twice, localities: twice.localities.toReversed() });
    assert.deepEqual(
      set.hosts.map((host) => [host.priority, host.weight]),
      [[0, 3]],
    );
  });

  it("with DNS names as identity, a new address redirects the pool and keeps it", () => {
    const { set, pools } = createSet(true);
    set.update(buildAssignment([{ port: 1, host: "10.0.0.1", hostname: "db.test" }]));
    const before = set.hosts[0];
    const { membershipChanged } = set.update(buildAssignment([{ port: 1, host: "10.0.0.2", hostname: "db.test" }]));
    assert.equal(membershipChanged, false);
    assert.equal(set.hosts[0], before);
    assert.deepEqual(pools.get("db.test")?.calls, ["redirect 10.0.0.2"]);
  });

  it("dispose() reaches hosts that are gone and still have connections", () => {
    const { set, pools } = createSet();
    set.update(buildAssignment([{ port: 1 }, { port: 2 }, { port: 3 }]));
    (pools.get("127.0.0.1:1") as FakePool).isEmpty = false;
    set.update(buildAssignment([{ port: 3 }]));
    set.update(buildAssignment([{ port: 3 }]));
    set.dispose();
    assert.deepEqual(pools.get("127.0.0.1:1")?.calls, ["drain", "dispose"]);
    // Its pool was empty at the second update: it was forgotten.
    assert.deepEqual(pools.get("127.0.0.1:2")?.calls, ["drain"]);
    assert.deepEqual(pools.get("127.0.0.1:3")?.calls, ["dispose"]);
    assert.equal(set.hosts.length, 0);
  });
});
