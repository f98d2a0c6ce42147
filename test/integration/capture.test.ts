// A whole pod in network namespaces: real rules, a sidecar as user 1337 without capabilities (with CAP_NET_ADMIN for TPROXY), an
// application that knows nothing. Every flow reaches the address that it was meant for through the sidecar, which has seen it.

import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import { ADDRESSES, CapturedPod, NAMES, type Version } from "../support/captured-pod.ts";
import { until } from "../support/sidecar-story.ts";
import { namespacesMissing } from "../support/network-namespace.ts";

const skip = namespacesMissing();

/** As access logs write it. */
const at = (host: string, port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

for (const [mode, backend] of [
  ["REDIRECT", "nft"],
  ["TPROXY", "iptables"],
] as const) {
  void suite(`capture by ${mode}, rules by ${backend}`, { skip }, () => {
    let pod: CapturedPod;
    const cleanUps: (() => unknown)[] = [];
    after(async () => {
      for (const cleanUp of cleanUps.toReversed()) await cleanUp();
    });

    test("the pod starts", async () => {
      pod = await CapturedPod.start({ after: (cleanUp) => cleanUps.push(cleanUp) }, mode, backend);
    });

    for (const version of ["v4", "v6"] as const satisfies readonly Version[]) {
      const address = ADDRESSES[version];
      /** Who the application sees behind a captured inbound connection. */
      const client = mode === "TPROXY" ? address.outside : address.inbound;
      const path = (name: string): string => `/${version}/${name}`;

      test(`${version} out: HTTP to a service's address`, async () => {
        const command = { do: "http", host: address.service, port: 80, path: path("service") } as const;
        const seen = await pod.app.see({ ...command, headers: { host: "orders.shop.svc.cluster.local" } });
        assert.deepEqual([seen.who, seen.at, seen.from], ["outside", `${address.service} 80`, address.pod]);
        const flow = await pod.flow("service", (each) => each.path === path("service"));
        assert.deepEqual(
          [flow.chain, flow.local, flow.upstream],
          ["outbound-80", at(address.service, 80), at(address.service, 80)],
        );
        assert.match(flow.direct, /:15001$/);
      });

      test(`${version} out: a service by its DNS name, HTTP and TCP`, async () => {
        const seen = await pod.app.see({ do: "http", host: NAMES[version], port: 80, path: path("name") });
        assert.deepEqual([seen.who, seen.at], ["outside", `${address.service} 80`]);
        const flow = await pod.flow("name", (each) => each.path === path("name"));
        assert.deepEqual([flow.chain, flow.upstream], ["outbound-80", at(address.service, 80)]);
        const tcp = await pod.app.see({ do: "tcp", host: NAMES[version], port: 9998 });
        assert.deepEqual([tcp.who, tcp.at], ["outside", `${address.service} 9998`]);
        const passed = await pod.flow("TCP by name", (each) => each.local === at(address.service, 9998));
        assert.equal(passed.cluster, "PassthroughCluster");
      });

      test(`${version} out: HTTP to any other address at the service's port`, async () => {
        const seen = await pod.app.see({ do: "http", host: address.outside, port: 80, path: path("direct") });
        assert.deepEqual([seen.who, seen.at], ["outside", `${address.outside} 80`]);
        assert.equal((await pod.flow("direct", (each) => each.path === path("direct"))).chain, "outbound-80");
      });

      test(`${version} out: TCP to a port that no listener has passes through`, async () => {
        const seen = await pod.app.see({ do: "tcp", host: address.service, port: 9999 });
        assert.deepEqual([seen.who, seen.at], ["outside", `${address.service} 9999`]);
        const flow = await pod.flow("passthrough", (each) => each.local === at(address.service, 9999));
        assert.deepEqual([flow.chain, flow.cluster], ["virtualOutbound-catchall-tcp", "PassthroughCluster"]);
      });

      test(`${version} out: TCP to an address that has a listener of its own`, async () => {
        const seen = await pod.app.see({ do: "tcp", host: address.service, port: 7000 });
        assert.deepEqual([seen.who, seen.at], ["outside", `${ADDRESSES.v4.service} 7001`]);
        const flow = await pod.flow("own listener", (each) => each.local === at(address.service, 7000));
        assert.deepEqual([flow.chain, flow.cluster], ["service-7000", "moved"]);
      });

      test(`${version} out: a header names the destination, the cluster its port`, async () => {
        const host = ADDRESSES[version === "v4" ? "v6" : "v4"].service;
        const headers = { "x-envoy-original-dst-host": at(host, 1) };
        const seen = await pod.app.see({
          do: "http",
          host: address.service,
          port: 8888,
          path: path("header"),
          headers,
        });
        assert.equal(seen.at, `${host} 80`);
      });

      test(`${version} out: an excluded port is not captured`, async () => {
        const seen = await pod.app.see({ do: "tcp", host: address.service, port: 3306 });
        assert.deepEqual([seen.who, seen.at, seen.from], ["outside", `${address.service} 3306`, address.pod]);
        assert.ok(!pod.flows().some(({ local }) => local === at(address.service, 3306)));
      });

      test(`${version} out and in: the application calls itself by its service's address`, async () => {
        const seen = await pod.app.see({ do: "http", host: address.own, port: 80, path: path("self") });
        assert.deepEqual([seen.who, seen.at, seen.path], ["app", `${address.pod} 8080`, path("self")]);
        const flows = ["own-v4", "own-v6", "inbound-8080"];
        await pod.flow("out", (each) => each.path === path("self") && each.chain === `own-${version}`);
        const inbound = await pod.flow("in", (each) => each.path === path("self") && each.chain === "inbound-8080");
        assert.equal(inbound.local, at(address.pod, 8080));
        assert.equal(pod.flows().filter((each) => each.path === path("self") && flows.includes(each.chain)).length, 2);
      });

      test(`${version} in: HTTP to the pod's address`, async () => {
        const seen = await pod.world.see({ do: "http", host: address.pod, port: 8080, path: path("in") });
        assert.deepEqual([seen.who, seen.at, seen.from], ["app", `${address.pod} 8080`, client]);
        const flow = await pod.flow("in", (each) => each.path === path("in"));
        assert.deepEqual([flow.chain, flow.local], ["inbound-8080", at(address.pod, 8080)]);
        assert.ok(flow.remote.startsWith(version === "v4" ? `${address.outside}:` : `[${address.outside}]:`));
      });

      test(`${version} in: TCP to a port that no filter chain has`, async () => {
        const seen = await pod.world.see({ do: "tcp", host: address.pod, port: 9000 });
        assert.deepEqual([seen.who, seen.at, seen.from], ["app", `${address.pod} 9000`, client]);
        const flow = await pod.flow("tcp in", (each) => each.local === at(address.pod, 9000));
        assert.deepEqual([flow.chain, flow.cluster], ["virtualInbound", "InboundPassthroughCluster"]);
      });

      test(`${version} in: an excluded port, and the application calling itself by the pod's address, are not captured`, async () => {
        const direct = await pod.world.see({ do: "http", host: address.pod, port: 8090, path: path("excluded") });
        assert.deepEqual([direct.who, direct.from], ["app", address.outside]);
        const own = await pod.app.see({ do: "http", host: address.pod, port: 8080, path: path("own") });
        assert.deepEqual([own.who, own.from], ["app", address.pod]);
        assert.ok(!pod.flows().some((each) => [path("excluded"), path("own")].includes(each.path)));
      });

      test(`${version}: a connection straight to the sidecar's ports does not go round in circles`, async () => {
        const hosts = [version === "v4" ? "127.0.0.1" : "::1", address.pod];
        const before = await connections(pod);
        for (const [host, port] of hosts.flatMap((each) => [[each, 15_001] as const, [each, 15_006] as const])) {
          assert.match(await pod.app.ask({ do: "tcp", host, port }), /^closed|ECONNRESET/);
        }
        for (const port of [15_001, 15_006]) {
          assert.match(await pod.world.ask({ do: "tcp", host: address.pod, port }), /^closed|ECONNRESET/);
        }
        // From outside both are captured first: what is meant for 15001 comes to it once more, and ends there.
        assert.ok((await connections(pod)) - before <= 8);
      });
    }

    test("every request and connection has a span", async () => {
      const { traces } = JSON.parse(await pod.admin("/traces?limit=200")) as Traces;
      for (const version of ["v4", "v6"]) {
        for (const name of ["service", "name", "direct", "header", "in"]) {
          assert.equal(traces.filter((each) => each.path === `/${version}/${name}`).length, 1, `/${version}/${name}`);
        }
        // Out of the pod, and in again.
        assert.equal(traces.filter((each) => each.path === `/${version}/self`).length, 2);
      }
      // As many as the access log has, which writes a line for each.
      for (const cluster of ["PassthroughCluster", "moved", "InboundPassthroughCluster"]) {
        const spans = traces.filter((each) => each.path === "" && each.cluster === cluster);
        await until(
          `as many lines as spans of ${cluster}`,
          () => pod.flows().filter((each) => each.path === "-" && each.cluster === cluster).length,
          (lines) => lines === spans.length,
        );
        assert.ok(spans.length >= 2, cluster);
        assert.ok(spans.every(({ hooks }) => hooks.some((each) => each.callback === "proxy_on_new_connection")));
      }
    });

    test("the sidecar had nothing to complain of", () => {
      assert.deepEqual(pod.sidecar.stderr.all, []);
    });
  });
}

interface Traces {
  readonly traces: readonly {
    readonly path: string;
    readonly cluster?: string;
    readonly hooks: readonly { readonly callback: string }[];
  }[];
}

/** Accepted by all listeners so far. */
async function connections(pod: CapturedPod): Promise<number> {
  const stats = await pod.admin("/stats?filter=listener.*downstream_cx_total&format=text");
  return Array.from(stats.matchAll(/downstream_cx_total: (\d+)/g), ([, count]) => Number(count)).reduce(
    (a, b) => a + b,
    0,
  );
}
