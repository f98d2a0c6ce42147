import assert from "node:assert/strict";
import { test } from "node:test";
import { Demands, hostKey } from "../../xds/demands.ts";
import type { Demand } from "../../xds/model/demand.ts";
import { VIRTUAL_HOST_TYPE } from "../../xds/type-urls.ts";
import { ManualXdsClock } from "../support/xds-clock.ts";

const host = (name: string): Demand => ({ key: hostKey(name), kind: "host", routes: "r", name });

function scene() {
  const clock = new ManualXdsClock();
  const orphans: string[] = [];
  const demands = new Demands({ clock, onChange() {}, onOrphan: (name) => orphans.push(name) });
  const names = () => demands.list.map(({ name }) => name);
  const respond = (name: string, aliases: readonly string[], removed: readonly string[] = []) => {
    const resource = {
      name,
      version: "1",
      typeUrl: VIRTUAL_HOST_TYPE,
      bytes: new Uint8Array(),
      ttlMs: undefined,
      aliases,
    };
    const resources = removed.length > 0 ? [] : [resource];
    demands.onHosts({
      kind: "delta",
      typeUrl: VIRTUAL_HOST_TYPE,
      version: "",
      nonce: "n",
      resources,
      removed,
      controlPlane: "",
    });
  };
  return { clock, demands, orphans, names, respond };
}

test("Demands lets go in ten seconds of what the server does not have, unless it has come", () => {
  const { clock, demands, names } = scene();
  demands.add(host("r/a"));
  demands.add(host("r/b"));
  demands.add(host("r/a"));
  const settled = new Set([hostKey("r/a"), hostKey("r/b")]);
  demands.review(settled, () => true);
  clock.advance(9_999);
  assert.deepEqual(names(), ["r/a", "r/b"]);
  demands.review(settled, ({ name }) => name === "r/b");
  clock.advance(1);
  assert.deepEqual(names(), ["r/a"]);
});

test("Demands lets a host go that the server takes away, under all of its names", () => {
  const { demands, names, respond, orphans } = scene();
  for (const name of ["r/a", "r/b", "r/c"]) demands.add(host(name));
  respond("r/vhost", ["r/a", "r/b"]);
  respond("", [], ["r/vhost"]);
  assert.deepEqual(names(), ["r/c"]);
  assert.deepEqual(orphans, []);
});

test("Demands keeps ten thousand, and lets made-up ones go before those that serve", () => {
  const { demands, names, respond, orphans } = scene();
  demands.add(host("r/good"));
  respond("r/vhost", ["r/good"]);
  for (let i = 0; i < 9_999; i++) demands.add(host(`r/junk-${i}`));
  demands.review(new Set(demands.list.map(({ key }) => key)), ({ name }) => name !== "r/good");
  for (let i = 0; i < 5_000; i++) demands.add(host(`r/more-${i}`));
  assert.equal(names().length, 10_000);
  assert.equal(demands.dropped, 5_000);
  assert.ok(names().includes("r/good"));
  // Nothing but demands that may still be answered: the oldest goes, and the virtual host that only it wanted.
  demands.review(new Set(), () => false);
  demands.add(host("r/last"));
  assert.ok(!names().includes("r/good"));
  assert.deepEqual(orphans, ["r/vhost"]);
});
