// The verb `explain`: what it says of a request is what becomes of the same request, in the real process and of the same bootstrap
// that does not run.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Explanation } from "../../sidecar/explain/explanation.ts";
import { EXPLAIN } from "../../sidecar/cli/asking/explain.ts";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { printed } from "../support/cli-printer.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { until } from "../support/sidecar-story.ts";

const CHOSEN = "type.googleapis.com/envoy.config.route.v3.FilterConfig";

const owned = new AsyncDisposableStack();
let sidecar: SidecarProcess;
let sameFile: string;

const VIRTUAL_HOSTS = [
  {
    name: "shop",
    domains: ["shop.example", "*.shop.example"],
    routes: [
      {
        name: "only-x",
        match: { prefix: "/", headers: [{ name: "x-foo", string_match: { exact: "1" } }] },
        route: { cluster: "blue" },
      },
      {
        name: "debug",
        match: { path: "/cart", query_parameters: [{ name: "debug", present_match: true }] },
        direct_response: { status: 418, body: { inline_string: "teapot" } },
      },
      {
        name: "some",
        match: { prefix: "/some", runtime_fraction: { default_value: { numerator: 25 }, runtime_key: "some.share" } },
        route: { cluster: "blue" },
      },
      {
        name: "many",
        match: { prefix: "/many" },
        route: {
          weighted_clusters: {
            clusters: [
              { name: "blue", weight: 30 },
              { name: "green", weight: 70 },
            ],
          },
        },
      },
      {
        name: "moved",
        match: { path_separated_prefix: "/moved" },
        redirect: { host_redirect: "new.example", prefix_rewrite: "/n" },
      },
      {
        name: "cart",
        match: { prefix: "/cart" },
        route: { cluster: "green", prefix_rewrite: "/v2/cart", timeout: "3s", host_rewrite_literal: "inner" },
        typed_per_filter_config: { trap: { "@type": CHOSEN, disabled: true } },
      },
      {
        name: "lost",
        match: { prefix: "/lost" },
        route: { cluster_header: "x-to", cluster_not_found_response_code: "NOT_FOUND" },
      },
      { match: { prefix: "/some" }, route: { cluster: "green" } },
    ],
  },
];

const ROUTES = {
  "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  name: "found",
  virtual_hosts: [
    {
      name: "tls",
      domains: ["tls.example"],
      require_tls: "ALL",
      routes: [{ match: { prefix: "/" }, route: { cluster: "blue" } }],
    },
    { name: "all", domains: ["*.example"], routes: [{ match: { prefix: "/" }, route: { cluster: "origin" } }] },
  ],
};

before(async () => {
  const origin = owned.use(await RecordingOrigin.start(() => undefined));
  const routesFile = join(mkdtempSync(join(tmpdir(), "explain-")), "routes.json");
  owned.defer(() => rmSync(dirname(routesFile), { recursive: true }));
  writeFileSync(routesFile, JSON.stringify({ resources: [ROUTES] }));
  const config = bootstrap({
    listeners: [
      listener("in", {
        virtualHosts: VIRTUAL_HOSTS,
        filters: [wasmFilter("trap", guest("trap"), "a configuration")],
        manager: { normalize_path: true },
      }),
      listener("other"),
      listener("discovered", {
        manager: {
          route_config: undefined,
          rds: { route_config_name: "found", config_source: { path_config_source: { path: routesFile } } },
        },
      }),
    ],
    clusters: [cluster("blue", [origin.port]), cluster("green", [origin.port]), cluster("origin", [origin.port])],
    runtime: { "some.share": 40 },
  });
  sidecar = owned.use(
    await SidecarProcess.start((folder) => {
      sameFile = join(folder, "same.json");
      writeFileSync(sameFile, JSON.stringify(config));
      return config;
    }),
  );
});
after(() => owned.disposeAsync());

async function explain(...argv: readonly string[]) {
  const { io, out, err } = printed();
  const admin = argv.includes("-c") ? [] : ["--admin", `127.0.0.1:${sidecar.adminPort}`];
  const code = await EXPLAIN.run([...argv, ...admin], io);
  return { code, out: out(), err: err() };
}

async function explained(...argv: readonly string[]): Promise<Explanation> {
  const { code, out, err } = await explain(...argv, "--listener", "in", "-o", "json");
  assert.equal(code, 0, err);
  return JSON.parse(out) as Explanation;
}

interface Recorded {
  readonly route: string;
  readonly cluster: string;
  readonly status: number;
  readonly request_id: string;
}

/** What became of the same request. */
async function made(path: string, headers: Readonly<Record<string, string>>): Promise<Recorded> {
  const id = crypto.randomUUID();
  await new Promise<void>((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port: sidecar.port("in"),
      path,
      headers: { ...headers, "x-request-id": id },
      agent: false,
    };
    request(options, (response) => response.resume().on("end", resolve))
      .on("error", reject)
      .end();
  });
  const { traces } = await until(
    `the record of ${path}`,
    () => sidecar.adminJson<{ traces: readonly Recorded[] }>("/traces"),
    (answer) => answer.traces.some((trace) => trace.request_id === id),
  );
  return traces.find((trace) => trace.request_id === id) as Recorded;
}

suite("explain", { timeout: 60_000 }, () => {
  const REQUESTS: readonly (readonly [path: string, headers: Readonly<Record<string, string>>])[] = [
    ["/cart?x=1", { host: "shop.example" }],
    ["/cart?debug", { host: "www.shop.example" }],
    ["/cart", { host: "shop.example", "x-foo": "1" }],
    ["/moved/a", { host: "SHOP.example" }],
    ["/moved-not", { host: "shop.example" }],
    ["/a/../lost", { host: "shop.example", "x-to": "nowhere" }],
    ["/lost", { host: "shop.example", "x-to": "blue" }],
    ["/cart", { host: "elsewhere.example" }],
    ["/some", { host: "shop.example" }],
    ["/many", { host: "shop.example" }],
  ];
  for (const [path, headers] of REQUESTS) {
    test(`says what becomes of ${path} of ${JSON.stringify(headers)}`, async () => {
      const flags = Object.entries({ ...headers, "x-request-id": "1" }).flatMap(([name, value]) => [
        "-H",
        `${name}: ${value}`,
      ]);
      const explanation = await explained("GET", path, ...flags);
      assert.deepEqual(await explained("GET", path, ...flags, "-c", sameFile), {
        ...explanation,
        listener: { ...explanation.listener, address: "127.0.0.1:0" },
      });
      const { route, cluster: name, status } = await made(path, headers);
      const outcome = explanation.outcomes.find(
        (each) =>
          (each.route?.name ?? "") === route &&
          (each.cluster?.problem === "" ? each.cluster.name : "") === (status === 404 ? "" : name),
      );
      const shown = JSON.stringify(explanation, undefined, 1);
      assert.ok(
        outcome !== undefined || (route === "" && explanation.end !== undefined),
        `${route} ${name} ${status}: ${shown}`,
      );
      if (status >= 300) {
        assert.match(outcome?.action ?? explanation.end ?? "", new RegExp(`\\b${status}\\b`), shown);
      }
    });
  }

  test("names what was passed by and why, the hosts, and filters with the route's say", async () => {
    const { code, out, err } = await explain(
      "GET",
      "http://shop.example/cart?x=1",
      "--listener",
      "in",
      "-H",
      "x-foo: 2",
    );
    assert.deepEqual([code, err], [0, ""]);
    const expected = `GET http://shop.example/cart?x=1
listener in at 127.0.0.1:${sidecar.port("in")}: as asked
filter chain CHAIN: the only one
routes in-routes, in the listener
virtual host shop: domain "shop.example"
  not route 1 "only-x" (prefix "/", header x-foo exact "1"): header x-foo is "2", not exact "1"
  not route 2 "debug" (path "/cart", query parameter debug present): query parameter debug is missing, not present
  not route 3 "some" (prefix "/some", 25 % of requests unless the runtime key some.share says otherwise): the path is not prefix "/some"
  not route 4 "many" (prefix "/many"): the path is not prefix "/many"
  not route 5 "moved" (path separated prefix "/moved"): the path is not path separated prefix "/moved"
route 6 of 8 "cart": prefix "/cart"
  forward, timeout 3 s
  cluster green: round_robin, 1 host
    HOST  healthy
  goes upstream with host inner, path /v2/cart?x=1
  through the filters
    (off) trap                 plugin trap  by the route
    envoy.filters.http.router  router
`;
    const plain = out
      .replace(/filter chain \S+:/, "filter chain CHAIN:")
      .replace(/^ {4}127\S+ {2}healthy/m, "    HOST  healthy");
    assert.equal(plain, expected);
    const other = await explain("GET", "http://shop.example/many", "--listener", "in");
    assert.match(other.out, /^ {4}trap +plugin trap +configuration a configuration$/m);
  });

  test("gives the shares of weights and runtime fractions, with the runtime that holds", async () => {
    const shares = async (path: string) =>
      (await explained("GET", `http://shop.example${path}`)).outcomes.map(({ share, route, cluster: to }) => [
        route?.place,
        to?.name,
        Math.round(share * 1000),
      ]);
    assert.deepEqual(await shares("/many"), [
      [4, "blue", 300],
      [4, "green", 700],
    ]);
    assert.deepEqual(await shares("/some"), [
      [3, "blue", 400],
      [8, "green", 600],
    ]);
    assert.match(
      (await explain("GET", "http://shop.example/many", "--listener", "in")).out,
      /^30 % of requests: route 4 of 8 "many": /m,
    );
  });

  test("knows routes that were discovered, and virtual hosts that want TLS", async () => {
    const found = await explain("GET", "http://a.example/x", "--listener", "discovered");
    assert.match(
      found.out,
      /^routes found, by RDS\nvirtual host all: domain "\*\.example"\nroute 1 of 1: prefix "\/"\n/m,
    );
    const tls = await explain("GET", "http://tls.example/x?y", "--listener", "discovered");
    assert.match(tls.out, /^the virtual host wants TLS: redirect 301 to https:\/\/tls\.example\/x\?y$/m);
    const port = await explain("GET", "http://tls.example:81/", "--listener", "discovered");
    assert.match(
      port.out,
      /^no virtual host has a domain for "tls\.example:81"; .*: 404, flag NR; with the Host tls\.example there would be one$/m,
    );
    const file = await explain("GET", "http://a.example/x", "--listener", "discovered", "-c", sameFile);
    assert.match(file.out, /^the routes "found" have not come: 404, flag NR$/m);
  });

  test("finds the listener by the URL's port, and names them when it cannot", async () => {
    const found = await explain("GET", `http://shop.example:${sidecar.port("in")}/cart`);
    assert.match(found.out, /^listener in at \S+: it has the URL's port \d+$/m);
    const lost = await explain("GET", "http://shop.example/cart");
    assert.equal(lost.code, 1);
    assert.match(
      lost.err,
      /answers 400: no listener has port 80; name one with --listener: there are in, other, discovered$/m,
    );
    const fromFile = await explain("GET", "http://shop.example/cart", "-c", sameFile);
    assert.deepEqual(
      [fromFile.code, fromFile.err],
      [1, "outrigger explain: no listener has port 80; name one with --listener: there are in, other, discovered\n"],
    );
  });

  test("says what the codec refuses", async () => {
    for (const [argv, says] of [
      [["GET", "http://shop.example/%00"], /refused before it comes to a route: 400 path_normalization_failed/],
      [["NEW", "http://shop.example/"], /refused before it comes to a route: 400 http1.codec_error: unknown method/],
      [["GET", "http://shop.example/", "-H", "transfer-encoding: x"], /refused before it comes to a route: /],
    ] as const) {
      assert.match((await explained(...argv)).end ?? "", says);
    }
  });

  test("tells of a request that was made, by its id", async () => {
    const { request_id: id } = await made("/nothing", { host: "shop.example" });
    const { code, out } = await explain(id);
    assert.equal(code, 0);
    assert.match(out, /GET shop\.example\/nothing {2}404 NR route_not_found/);
    assert.match(out, /^ {2}NR: no route, or no filter chain, matches$/m);
    const lost = await explain("no-such-id");
    assert.equal(lost.code, 1);
    assert.match(lost.err, /^outrigger explain: no request "no-such-id" among the last \d+ that the sidecar remembers/);
  });

  test("refuses what makes no question", async () => {
    for (const [argv, says] of [
      [[], /needs METHOD and URL, or a request's id/],
      [["/cart"], /needs a method before "\/cart", such as GET/],
      [["id", "-H", "a: b"], /--header goes with METHOD and URL/],
      [["GET", "ftp://x/"], /"ftp:\/\/x\/" is no URL/],
      [["G T", "/"], /"G T" is no method/],
      [["GET", "/", "-H", "no colon"], /header "no colon" must be NAME: VALUE/],
      [["GET", "/", "-H", "a: b\r\nc: d"], /must be NAME: VALUE/],
      [["GET", "/", "x"], /unexpected argument "x"/],
    ] as const) {
      const { code, err } = await explain(...argv);
      assert.equal(code, 2);
      assert.match(err, says);
    }
    for (const [argv, says] of [
      [["GET", "/", "--listener", "none"], /no listener "none"; there are in, other, discovered/],
    ] as const) {
      const { code, err } = await explain(...argv);
      assert.equal(code, 1);
      assert.match(err, says);
    }
  });
});
