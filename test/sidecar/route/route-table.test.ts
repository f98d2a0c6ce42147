import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { compileRoutes, pickCluster } from "../../../sidecar/route/route-table.ts";
import type { WeightedCluster } from "../../../xds/model/route.ts";
import {
  buildConfig,
  buildDirect,
  buildForward,
  buildHead,
  buildHost,
  buildRoute,
  buildTable,
  exact,
  NO_HEADERS,
  OPTIONS,
  prefix,
  routeName,
} from "./builders.ts";

describe("RouteTable.select() on virtual hosts", () => {
  const config = buildConfig([
    buildHost("any", ["*"]),
    buildHost("prefix", ["foo.*", "foo.bar.*"]),
    buildHost("longer-prefix", ["foo.bar.baz.*"]),
    buildHost("suffix", ["*.example.com"]),
    buildHost("longer-suffix", ["*-x.example.com", "*.deep.example.com"]),
    buildHost("exact", ["foo.example.com", "Upper.Example.com", "foo.example.com:8080"]),
  ]);
  const table = compileRoutes(config, OPTIONS);
  const cases = [
    { authority: "foo.example.com", host: "exact" },
    { authority: "FOO.example.COM", host: "exact" },
    { authority: "upper.example.com", host: "exact" },
    { authority: "foo.example.com:8080", host: "exact" },
    // A port that no domain names: the suffix does not fit either, the prefix does.
    { authority: "foo.example.com:81", host: "prefix" },
    { authority: "www.example.com", host: "suffix" },
    { authority: "a.b.example.com", host: "suffix" },
    { authority: "a-x.example.com", host: "longer-suffix" },
    { authority: "q.deep.example.com", host: "longer-suffix" },
    { authority: ".example.com", host: "any" },
    { authority: "example.com", host: "any" },
    { authority: "foo.org", host: "prefix" },
    { authority: "foo.bar.baz.org", host: "longer-prefix" },
    { authority: "foo.", host: "any" },
    { authority: "", host: undefined },
  ];
  for (const { authority, host } of cases) {
    it(`gives ${JSON.stringify(authority)} to ${String(host)}`, () => {
      assert.equal(table.select(buildHead("/", { authority }), { random: 0 })?.virtualHost.name, host);
    });
  }

  it("ignores the port when told to, but not the colons of an IPv6 address", () => {
    const ports = compileRoutes(
      buildConfig([buildHost("v4", ["a.test"]), buildHost("v6", ["[::1]"])], { ignorePortInHostMatching: true }),
      OPTIONS,
    );
    const hostOf = (authority: string) => ports.select(buildHead("/", { authority }), { random: 0 })?.virtualHost.name;
    assert.deepEqual(["a.test:80", "a.test", "[::1]:80", "[::1]", "b.test:80"].map(hostOf), [
      "v4",
      "v4",
      "v6",
      "v6",
      undefined,
    ]);
  });

  it("reports a domain that two virtual hosts name", () => {
    const { problems } = compileRoutes(buildConfig([buildHost("a", ["x"]), buildHost("b", ["X"])]), OPTIONS);
    assert.deepEqual(problems, ['Virtual host "b": domain "X" is there already']);
  });
});

describe("RouteTable.select() on routes", () => {
  it("takes the first route that matches, in order", () => {
    const table = buildTable([
      buildRoute("prefix", { path: prefix("/a") }),
      buildRoute("exact", { path: exact("/a/b") }),
      buildRoute("rest"),
    ]);
    assert.deepEqual(
      ["/a/b", "/ab", "/b"].map((path) => routeName(table, buildHead(path))),
      ["prefix", "prefix", "rest"],
    );
  });

  it("leaves the query and the fragment out of path matching", () => {
    const table = buildTable([buildRoute("exact", { path: exact("/a") })]);
    assert.deepEqual(
      ["/a?x=1", "/a#f", "/a", "/a/"].map((path) => routeName(table, buildHead(path))),
      ["exact", "exact", "exact", undefined],
    );
  });

  it("ends a path-separated prefix at a slash or at the end", () => {
    const table = buildTable([
      buildRoute("api", { path: { kind: "path_separated_prefix", value: "/api", caseSensitive: true } }),
    ]);
    assert.deepEqual(
      ["/api", "/api/x", "/api?q", "/apix", "/ap"].map((path) => routeName(table, buildHead(path))),
      ["api", "api", "api", undefined, undefined],
    );
  });

  it("folds case only when told to", () => {
    const table = buildTable([
      buildRoute("path", { path: { kind: "path", value: "/Exact", caseSensitive: false } }),
      buildRoute("prefix", { path: { kind: "prefix", value: "/Pre", caseSensitive: false } }),
      buildRoute("strict", { path: prefix("/S") }),
    ]);
    assert.deepEqual(
      ["/eXACT", "/pREfix", "/s"].map((path) => routeName(table, buildHead(path))),
      ["path", "prefix", undefined],
    );
  });

  it("matches a regex against the whole path", () => {
    const table = buildTable([buildRoute("re", { path: { kind: "regex", value: "/b[io]t" } })]);
    assert.deepEqual(
      ["/bit", "/bot?q=1", "/bite", "/x/bit"].map((path) => routeName(table, buildHead(path))),
      ["re", "re", undefined, undefined],
    );
  });

  it("gives CONNECT only to a connect matcher, and nothing else to it", () => {
    const table = buildTable([buildRoute("connect", { path: { kind: "connect" } }), buildRoute("rest")]);
    assert.equal(routeName(table, buildHead("", { method: "CONNECT" })), "connect");
    assert.equal(routeName(table, buildHead("/")), "rest");
    assert.equal(routeName(buildTable([buildRoute("rest")]), buildHead("", { method: "CONNECT" })), undefined);
  });

  it("matches gRPC by its content type", () => {
    const table = buildTable([buildRoute("grpc", { grpc: true })]);
    const typed = (type: string) => routeName(table, buildHead("/", { headers: { "Content-Type": type } }));
    assert.deepEqual(["application/grpc", "application/grpc+proto", "application/grpc-web", "text/plain"].map(typed), [
      "grpc",
      "grpc",
      undefined,
      undefined,
    ]);
  });

  it("lets a runtime fraction through below its probability, and a runtime key override it", () => {
    const fraction = { numerator: 25, denominator: 100, runtimeKey: "share" } as const;
    const routes = [buildRoute("some", { runtimeFraction: fraction }), buildRoute("rest")];
    const table = buildTable(routes);
    assert.equal(routeName(table, buildHead("/"), 0.2499), "some");
    assert.equal(routeName(table, buildHead("/"), 0.25), "rest");
    const off = buildTable(routes, { ...OPTIONS, runtime: { share: 0 } });
    assert.equal(routeName(off, buildHead("/"), 0), "rest");
    const half = buildTable(routes, {
      ...OPTIONS,
      runtime: { share: { numerator: 5_000, denominator: "TEN_THOUSAND" } },
    });
    assert.equal(routeName(half, buildHead("/"), 0.49), "some");
    assert.equal(routeName(half, buildHead("/"), 0.5), "rest");
  });

  it("gives the same object for the same route", () => {
    const table = buildTable([buildRoute("a")]);
    assert.equal(table.select(buildHead("/x"), { random: 0 }), table.select(buildHead("/y"), { random: 0.9 }));
  });

  it("redirects to https where the virtual host requires TLS", () => {
    const table = compileRoutes(
      buildConfig([
        buildHost("all", ["all.test"], { requireTls: "all" }),
        buildHost("external", ["ext.test"], { requireTls: "external_only" }),
      ]),
      OPTIONS,
    );
    const select = (authority: string, headers: Readonly<Record<string, string>>, isTls = false) =>
      table.select(buildHead("/p?q", { authority, headers }), { random: 0, isTls });
    const redirected = select("all.test", {});
    assert.equal(redirected?.redirect?.location(buildHead("/p?q", { authority: "all.test" })), "https://all.test/p?q");
    assert.equal(redirected.virtualHost.name, "all");
    assert.equal(select("all.test", {}, true)?.route?.name, "all-route");
    assert.equal(select("all.test", { "x-forwarded-proto": "https" })?.route?.name, "all-route");
    assert.equal(select("ext.test", {})?.action.kind, "redirect");
    assert.equal(select("ext.test", { "x-envoy-internal": "true" })?.route?.name, "external-route");
  });
});

describe("compileRoutes()", () => {
  it("takes over virtual hosts that did not change, when all around them is the same", () => {
    const [kept, gone, fresh] = [buildHost("kept", ["a"]), buildHost("gone", ["b"]), buildHost("fresh", ["c"])];
    const before = buildConfig([kept, gone]);
    const previous = compileRoutes(before, OPTIONS);
    const select = (table: typeof previous, authority: string) =>
      table.select(buildHead("/", { authority }), { random: 0 });
    const next = compileRoutes({ ...before, virtualHosts: [fresh, kept] }, { ...OPTIONS, previous });
    assert.ok(select(next, "a") !== undefined && select(next, "a") === select(previous, "a"));
    assert.equal(select(next, "b"), undefined);
    assert.equal(select(next, "c")?.virtualHost, fresh);
    // Runtime fractions are compiled in; so is what stands around the hosts.
    const runtime = compileRoutes(before, { ...OPTIONS, runtime: {}, previous });
    assert.notEqual(select(runtime, "a"), select(previous, "a"));
    const around = compileRoutes({ ...before, mostSpecificHeaderMutationsWins: true }, { ...OPTIONS, previous });
    assert.notEqual(select(around, "a"), select(previous, "a"));
  });

  it("makes the same table with the one before as without, whatever comes, goes, moves or changes", () => {
    const domains = [["a"], ["b", "*.x"], ["c"], ["x.*"], ["*"]];
    const step = fc.record({
      order: fc.oneof({ weight: 3, arbitrary: fc.constant(domains) }, fc.shuffledSubarray(domains)),
      versions: fc.array(fc.constantFrom("1", "2"), { minLength: 5, maxLength: 5 }),
    });
    const around = buildConfig([]);
    const known = new Map<string, ReturnType<typeof buildHost>>();
    const hostOf = (own: readonly string[], version: string | undefined) => {
      const key = `${own.join()} ${version}`;
      const host = known.get(key) ?? buildHost(key, own);
      known.set(key, host);
      return host;
    };
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 6 }), (steps) => {
        let previous: ReturnType<typeof compileRoutes> | undefined;
        for (const { order, versions } of steps) {
          const config = { ...around, virtualHosts: order.map((own, at) => hostOf(own, versions[at])) };
          const [table, anew] = [compileRoutes(config, { ...OPTIONS, previous }), compileRoutes(config, OPTIONS)];
          for (const authority of ["a", "b", "c", "w.x", "x.w", "other"]) {
            const [one, other] = [table, anew].map((each) => each.select(buildHead("/", { authority }), { random: 0 }));
            assert.equal(one?.virtualHost, other?.virtualHost);
          }
          assert.deepEqual(table.problems, anew.problems);
          previous = table;
        }
      }),
    );
  });

  it("reports a regex that cannot be compiled with its place, and never matches it", () => {
    const table = buildTable([buildRoute("bad", { path: { kind: "regex", value: "/(" } })]);
    assert.equal(table.problems.length, 1);
    assert.match(table.problems[0] ?? "", /^Virtual host "all": route 0 "bad": Cannot compile regex "\/\(": /);
    assert.equal(routeName(table, buildHead("/(")), undefined);
  });

  it("reports unknown clusters only when it is told which exist", () => {
    const routes = [
      buildRoute("a"),
      buildRoute("w", {}, { action: buildForward({ cluster: weighted(["c", 1], ["d", 1]) }) }),
    ];
    assert.deepEqual(buildTable(routes).problems, []);
    assert.deepEqual(buildTable(routes, { ...OPTIONS, clusters: new Set(["c"]) }).problems, [
      'Virtual host "all": route 1 "w": unknown cluster "d"',
    ]);
  });

  it("bounds a direct response's body", () => {
    const config = (max: number) =>
      buildConfig([buildHost("h", ["*"], { routes: [buildRoute("d", {}, { action: buildDirect("hello") })] })], {
        maxDirectResponseBodyBytes: max,
      });
    const table = compileRoutes(config(5), OPTIONS);
    assert.deepEqual(table.problems, []);
    assert.equal(Buffer.from(table.select(buildHead("/"), { random: 0 })?.body ?? []).toString(), "hello");
    assert.equal(compileRoutes(config(4), OPTIONS).problems.length, 1);
  });

  it("reads a body from elsewhere through the option", () => {
    const action = {
      kind: "direct_response",
      bodyFormat: undefined,
      status: 200,
      body: { kind: "file", path: "b.txt" },
    } as const;
    const routes = [buildRoute("d", {}, { action })];
    assert.equal(buildTable(routes).problems.length, 1);
    const table = buildTable(routes, { ...OPTIONS, readData: () => Buffer.from("from file") });
    assert.equal(Buffer.from(table.select(buildHead("/"), { random: 0 })?.body ?? []).toString(), "from file");
  });
});

function weighted(...entries: readonly (readonly [string, number])[]) {
  const clusters = entries.map(([name, weight]): WeightedCluster => ({
    name,
    clusterHeader: "",
    weight,
    hostRewrite: "",
    headers: NO_HEADERS,
    perFilterConfig: {},
  }));
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return { kind: "weighted", clusters, totalWeight, randomHeader: "x-random" } as const;
}

describe("pickCluster()", () => {
  const pick = (cluster: ReturnType<typeof buildForward>["cluster"], random: number, headers = {}) => {
    const table = buildTable([buildRoute("r", {}, { action: buildForward({ cluster }) })]);
    const head = buildHead("/", { headers });
    const match = table.select(head, { random });
    assert.ok(match);
    return pickCluster(match, head, random);
  };

  it("splits by cumulative weight", () => {
    const split = weighted(["a", 1], ["zero", 0], ["b", 2], ["c", 97]);
    const names = [0, 0.0099, 0.01, 0.0299, 0.03, 0.9999].map((random) => pick(split, random)?.clusterName);
    assert.deepEqual(names, ["a", "a", "b", "b", "c", "c"]);
  });

  it("takes the random value from a header, and its own when the header holds no unsigned 64-bit number", () => {
    const split = weighted(["a", 50], ["b", 50]);
    const named = (value: string) => pick(split, 0, { "x-random": value })?.clusterName;
    assert.deepEqual(["49", "50", "18446744073709551615", "18446744073709551616", "-1", "x"].map(named), [
      "a",
      "b",
      // 2^64 - 1 is 15 modulo 100.
      "a",
      "a",
      "a",
      "a",
    ]);
    assert.equal(named("18446744073709551575"), "b");
  });

  it("reads the cluster's name from a header, empty when it is missing", () => {
    const cluster = { kind: "header", header: "X-Cluster" } as const;
    assert.equal(pick(cluster, 0, { "x-cluster": "there" })?.clusterName, "there");
    assert.equal(pick(cluster, 0)?.clusterName, "");
  });

  it("gives nothing for a route that does not forward", () => {
    const head = buildHead("/");
    const match = buildTable([buildRoute("d", {}, { action: buildDirect("") })]).select(head, { random: 0 });
    assert.ok(match);
    assert.equal(pickCluster(match, head, 0), undefined);
  });
});
