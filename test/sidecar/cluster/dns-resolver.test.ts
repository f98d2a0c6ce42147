import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { DnsResolver } from "../../../sidecar/cluster/dns-resolver.ts";
import { StatsTable } from "../../../sidecar/stats/table.ts";
import type { Cluster } from "../../../xds/model/cluster.ts";
import type { ClusterLoadAssignment } from "../../../xds/model/endpoints.ts";
import { addressText } from "../../../sidecar/upstream/address-text.ts";
import { buildAssignment, buildCluster } from "../../support/cluster-builders.ts";

/** A resolver whose answers and timers the test holds. */
class DnsFixture {
  readonly stats = new StatsTable({ onDefine() {} });
  /** By `name/family`; a missing one is a failure. Change it between refreshes. */
  readonly answers: Record<string, readonly string[]>;
  readonly lookups: string[] = [];
  readonly emitted: ClusterLoadAssignment[] = [];
  readonly timers: { delayMs: number; run: () => void }[] = [];
  readonly resolver: DnsResolver;

  constructor(answers: Record<string, readonly string[]>) {
    this.answers = answers;
    this.resolver = new DnsResolver({
      stats: this.stats,
      onResolved: (assignment) => this.emitted.push(assignment),
      lookup: (hostname, family) => {
        const key = `${hostname}/${family}`;
        this.lookups.push(key);
        const found = this.answers[key];
        return found === undefined ? Promise.reject(new Error("ENOTFOUND")) : Promise.resolve(found);
      },
      schedule: (delayMs, run) => {
        const timer = { delayMs, run };
        this.timers.push(timer);
        return () => {
          const index = this.timers.indexOf(timer);
          if (index >= 0) {
            this.timers.splice(index, 1);
          }
        };
      },
    });
  }

  /** Everything that the present answers lead to. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  async update(...clusters: readonly Cluster[]): Promise<void> {
    this.resolver.update(clusters);
    await this.settle();
  }

  /** All waits are over. */
  async refresh(): Promise<void> {
    for (const timer of this.timers.splice(0)) {
      timer.run();
    }
    await this.settle();
  }

  /** Addresses of the last assignment, and how many there were. */
  get last(): string {
    const endpoints = this.emitted.at(-1)?.localities.flatMap((group) => group.endpoints) ?? [];
    return `${this.emitted.length}: ${endpoints.map(({ address }) => addressText(address)).join(" ")}`;
  }

  counter(name: string): number {
    return this.stats.counter(`cluster.backend.update_${name}`).value + 0;
  }
}

function dns(kind: "strict_dns" | "logical_dns", hosts: readonly string[], parts: Partial<Cluster> = {}): Cluster {
  const assignment = buildAssignment(hosts.map((host) => ({ host, port: 80, weight: 2 })));
  return buildCluster(assignment, { dnsLookupFamily: "v4_only", ...parts, discovery: { kind, assignment } });
}

describe("DnsResolver", () => {
  it("STRICT_DNS makes a host of every address, and leaves IP addresses as they are", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1", "10.0.0.2"] });
    await fixture.update(dns("strict_dns", ["a.test", "10.9.9.9"]));
    assert.equal(fixture.last, "1: 10.0.0.1:80 10.0.0.2:80 10.9.9.9:80");
    const [first] = fixture.emitted[0]?.localities[0]?.endpoints ?? [];
    assert.equal(fixture.emitted[0]?.clusterName, "backend");
    assert.equal(first?.hostname, "a.test");
    assert.equal(first?.weight, 2);
    fixture.resolver.close();
  });

  it("STRICT_DNS looks up again after the refresh rate; only another set of addresses is news", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1", "10.0.0.2"] });
    await fixture.update(dns("strict_dns", ["a.test"], { dnsRefreshRateMs: 7_000 }));
    assert.deepEqual(
      fixture.timers.map(({ delayMs }) => delayMs),
      [7_000],
    );
    fixture.answers["a.test/4"] = ["10.0.0.2", "10.0.0.1", "10.0.0.1"];
    await fixture.refresh();
    assert.equal(fixture.last, "1: 10.0.0.1:80 10.0.0.2:80");
    fixture.answers["a.test/4"] = ["10.0.0.3", "10.0.0.2"];
    await fixture.refresh();
    assert.equal(fixture.last, "2: 10.0.0.2:80 10.0.0.3:80");
    assert.equal(fixture.counter("attempt"), 3);
    assert.equal(fixture.counter("success"), 3);
    fixture.resolver.close();
  });

  it("LOGICAL_DNS takes the first address of each answer, under the name's identity", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1", "10.0.0.2"] });
    await fixture.update(dns("logical_dns", ["a.test"]));
    assert.equal(fixture.last, "1: 10.0.0.1:80");
    fixture.answers["a.test/4"] = ["10.0.0.2", "10.0.0.1"];
    await fixture.refresh();
    assert.equal(fixture.last, "2: 10.0.0.2:80");
    assert.equal(fixture.emitted[1]?.localities[0]?.endpoints[0]?.hostname, "a.test");
    fixture.resolver.close();
  });

  it("a failure keeps the last good addresses and comes again after the failure rate", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1"] });
    await fixture.update(dns("strict_dns", ["a.test"], { dnsFailureRefreshMs: 1_500 }));
    delete fixture.answers["a.test/4"];
    await fixture.refresh();
    assert.equal(fixture.last, "1: 10.0.0.1:80");
    assert.deepEqual(
      fixture.timers.map(({ delayMs }) => delayMs),
      [1_500],
    );
    assert.equal(fixture.counter("failure"), 1);
    fixture.answers["a.test/4"] = ["10.0.0.9"];
    await fixture.refresh();
    assert.equal(fixture.last, "2: 10.0.0.9:80");
    fixture.resolver.close();
  });

  it("a first failure ends the warming with what there is", async () => {
    const fixture = new DnsFixture({ "b.test/4": ["10.0.0.2"] });
    await fixture.update(dns("strict_dns", ["a.test"]));
    assert.equal(fixture.last, "1: ");
    await fixture.update(dns("strict_dns", ["a.test", "b.test"]));
    assert.equal(fixture.last.slice(3), "10.0.0.2:80");
    fixture.resolver.close();
  });

  it("an empty answer removes the hosts and is counted", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1"] });
    await fixture.update(dns("strict_dns", ["a.test"]));
    fixture.answers["a.test/4"] = [];
    await fixture.refresh();
    assert.equal(fixture.last, "2: ");
    assert.equal(fixture.counter("empty"), 1);
    fixture.resolver.close();
  });

  const families = [
    { family: "v4_only", lookups: ["a.test/4"], last: "10.0.0.1:80" },
    { family: "v6_only", lookups: ["a.test/6"], last: "[fd00::1]:80" },
    { family: "auto", lookups: ["a.test/6"], last: "[fd00::1]:80" },
    { family: "v4_preferred", lookups: ["a.test/4"], last: "10.0.0.1:80" },
    { family: "all", lookups: ["a.test/4", "a.test/6"], last: "10.0.0.1:80 [fd00::1]:80" },
  ] as const;
  for (const { family, lookups, last } of families) {
    it(`dns_lookup_family ${family} asks for ${lookups.join(" and ")}`, async () => {
      const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1"], "a.test/6": ["fd00::1"] });
      await fixture.update(dns("strict_dns", ["a.test"], { dnsLookupFamily: family }));
      assert.deepEqual(fixture.lookups, lookups);
      assert.equal(fixture.last, `1: ${last}`);
      fixture.resolver.close();
    });
  }

  it("AUTO falls back to IPv4, V4_PREFERRED to IPv6, ALL to whichever answers", async () => {
    const fixture = new DnsFixture({ "four.test/4": ["10.0.0.1"], "six.test/6": ["fd00::1"], "six.test/4": [] });
    await fixture.update(dns("strict_dns", ["four.test"], { dnsLookupFamily: "auto" }));
    assert.equal(fixture.last, "1: 10.0.0.1:80");
    await fixture.update(dns("strict_dns", ["six.test"], { dnsLookupFamily: "v4_preferred" }));
    assert.equal(fixture.last, "2: [fd00::1]:80");
    await fixture.update(dns("strict_dns", ["four.test"], { dnsLookupFamily: "all" }));
    assert.equal(fixture.last, "3: 10.0.0.1:80");
    fixture.resolver.close();
  });

  it("update() leaves an unchanged cluster alone and carries addresses over to a changed one", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1"] });
    const model = dns("strict_dns", ["a.test"]);
    await fixture.update(model);
    await fixture.update(model);
    assert.equal(fixture.lookups.length, 1);
    // The name fails now: the changed cluster still has what the name had.
    delete fixture.answers["a.test/4"];
    await fixture.update({ ...model });
    assert.equal(fixture.last.slice(3), "10.0.0.1:80");
    assert.equal(fixture.timers.length, 1);
    fixture.resolver.close();
  });

  it("update() and close() end lookups of clusters that are gone; late answers are ignored", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1"] });
    await fixture.update(dns("strict_dns", ["a.test"]));
    fixture.resolver.update([]);
    assert.equal(fixture.timers.length, 0);
    fixture.resolver.update([dns("strict_dns", ["a.test"])]);
    fixture.resolver.close();
    await fixture.settle();
    assert.equal(fixture.emitted.length, 1);
    assert.equal(fixture.timers.length, 0);
  });

  it("a cluster that need not be warm is emitted at once", async () => {
    const fixture = new DnsFixture({ "a.test/4": ["10.0.0.1"] });
    fixture.resolver.update([dns("strict_dns", ["a.test"], { waitForWarmOnInit: false })]);
    assert.equal(fixture.emitted.length, 0);
    await fixture.settle();
    assert.equal(fixture.emitted[0]?.localities[0]?.endpoints.length, 0);
    assert.equal(fixture.last, "2: 10.0.0.1:80");
    fixture.resolver.close();
  });
});
