// A virtual host that moves between VHDS and its routes: for a moment it is in both, and the routes serve all the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import type { Snapshot } from "../../xds/model/snapshot.ts";
import { LISTENER_TYPE, ROUTE_TYPE, VIRTUAL_HOST_TYPE } from "../../xds/type-urls.ts";
import type { FakeStream } from "../support/fake-control-plane.ts";
import { HostConflicts } from "../../xds/host-conflicts.ts";
import { decodeResource } from "../../xds/decode/resource.ts";
import type { RouteConfiguration, VirtualHost } from "../../xds/model/route.ts";
import { withVirtualHosts } from "../../xds/virtual-hosts.ts";
import { ManualXdsClock } from "../support/xds-clock.ts";
import { listener, one } from "../support/xds-resources.ts";
import { delta, scene } from "../support/xds-scene.ts";

const ADS = { ads: {}, resource_api_version: "V3" };
const host = (name: string, domains: readonly string[]) => ({
  name,
  domains,
  routes: [{ match: { prefix: "/" }, direct_response: { status: 200 } }],
});
const resource = (typeUrl: string, content: object): FileResource =>
  one(JSON.stringify({ "@type": typeUrl, ...content }));
const routesWith = (...virtual_hosts: readonly object[]): FileResource =>
  resource(ROUTE_TYPE, { name: "routes", virtual_hosts, vhds: { config_source: ADS } });

/** Which host has which domain, in the order of the table. */
const domainsOf = ({ routes }: Snapshot): string[] =>
  (routes.get("routes")?.virtualHosts ?? []).flatMap(({ name, domains }) => domains.map((each) => `${name} ${each}`));

async function asked(stream: FakeStream, typeUrl: string): Promise<void> {
  while ((await stream.next()).request.typeUrl !== typeUrl);
}

test("a host that moves from VHDS into its routes has its domains once at each moment", async (t) => {
  const { client, stream, until, snapshots } = await scene(t, "DELTA_GRPC");
  const base = host("base", ["base.test"]);
  stream.send(delta(LISTENER_TYPE, "1", [listener("in")]));
  await asked(stream, ROUTE_TYPE);
  stream.send(delta(ROUTE_TYPE, "2", [routesWith(base)]));
  const moving = resource(VIRTUAL_HOST_TYPE, host("routes/moving", ["Moving.test", "kept.test"]));
  await asked(stream, VIRTUAL_HOST_TYPE);
  stream.send(delta(VIRTUAL_HOST_TYPE, "3", [moving]));
  await until("the host", (snapshot) => domainsOf(snapshot).length === 3);
  stream.send(delta(ROUTE_TYPE, "4", [routesWith(base, host("moved", ["moving.test"]))]));
  const both = await until("the moved host", (snapshot) =>
    domainsOf(snapshot).some((each) => each.startsWith("moved")),
  );
  assert.deepEqual(domainsOf(both), ["base base.test", "moved moving.test", "routes/moving kept.test"]);
  stream.send(delta(VIRTUAL_HOST_TYPE, "5", [], ["routes/moving"]));
  const after = await until("the end of the other", (snapshot) => domainsOf(snapshot).length === 2);
  assert.deepEqual(domainsOf(after), ["base base.test", "moved moving.test"]);
  // And back, the routes last.
  stream.send(delta(VIRTUAL_HOST_TYPE, "6", [moving]));
  await until("the host again", (snapshot) => domainsOf(snapshot).length === 3);
  stream.send(delta(ROUTE_TYPE, "7", [routesWith(base)]));
  await until("the host alone", (snapshot) => domainsOf(snapshot).includes("routes/moving moving.test"));
  for (const { snapshot } of snapshots.all) {
    const domains = domainsOf(snapshot).map((each) => each.split(" ")[1]);
    assert.equal(new Set(domains).size, domains.length, domains.join());
  }
  assert.deepEqual(
    client.status().resources.filter(({ error }) => error !== undefined),
    [],
  );
});

test("HostConflicts tells once of a domain that stays in both", () => {
  const model = <T>({ typeUrl, value }: FileResource): T => {
    const decoded = decodeResource(typeUrl, value);
    assert.ok(decoded.ok);
    return decoded.value.value as T;
  };
  const config = model<RouteConfiguration>(routesWith(host("base", ["base.test", "both.test"])));
  const there = model<VirtualHost>(resource(VIRTUAL_HOST_TYPE, host("routes/there", ["both.test", "own.test"])));
  const elsewhere = model<VirtualHost>(resource(VIRTUAL_HOST_TYPE, host("routes/there", ["own.test"])));
  const routes = (each: VirtualHost) =>
    new Map([["routes", withVirtualHosts(config, new Map([["routes/there", each]]))]]);
  const clock = new ManualXdsClock();
  const told: string[] = [];
  const log = { debug() {}, info() {}, warn: (_: string, fields: object) => told.push(JSON.stringify(fields)) };
  const conflicts = new HostConflicts(clock, log);
  conflicts.review(routes(there));
  clock.advance(4_000);
  conflicts.review(routes(elsewhere));
  clock.advance(10_000);
  assert.deepEqual(told, [], "a move");
  conflicts.review(routes(there));
  clock.advance(4_000);
  conflicts.review(routes({ ...there }));
  clock.advance(2_000);
  conflicts.review(routes(there));
  clock.advance(10_000);
  assert.deepEqual(told, ['{"routes":"routes","domains":"both.test"}']);
  conflicts.review(routes(elsewhere));
  conflicts.review(routes(there));
  clock.advance(5_000);
  assert.equal(told.length, 2);
  conflicts.close();
});
