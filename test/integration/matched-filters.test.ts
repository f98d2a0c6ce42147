// Filters under a tree of matchers (ExtensionWithMatcher): Envoy and outrigger with the same bootstrap pass the same ones by.
// Each filter puts its name into a field of the request and of the response, and into trailers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { exchange, TRAILERS_ENABLED, UPSTREAM_TRAILERS_ENABLED } from "../support/trailers-exchange.ts";
import { logged, names } from "../support/tcp-plugins.ts";
import { until } from "../support/sidecar-story.ts";

const TYPE = "type.googleapis.com/envoy.extensions";
const MATCHER = `${TYPE}.common.matching.v3.ExtensionWithMatcher`;

const SKIP = {
  action: { name: "skip", typed_config: { "@type": `${TYPE}.filters.common.matcher.action.v3.SkipFilter` } },
};
const input = (header_name: string, of = "RequestHeader") => ({
  name: "input",
  typed_config: { "@type": `type.googleapis.com/envoy.type.matcher.v3.Http${of}MatchInput`, header_name },
});
const is = (name: string, value_match: object, of?: string) => ({
  single_predicate: { input: input(name, of), value_match },
});
const list = (...matchers: readonly (readonly [predicate: object, onMatch?: object])[]) => ({
  matcher_list: { matchers: matchers.map(([predicate, on_match = SKIP]) => ({ predicate, on_match })) },
});
const map = (by: string, name: string, entries: object) => ({
  matcher_tree: { input: input(name), [`${by}_match_map`]: { map: entries } },
});

const type = (name: string, fields: object = {}) => ({
  name: "input",
  typed_config: { "@type": `type.googleapis.com/envoy.type.matcher.v3.Http${name}MatchInput`, ...fields },
});
const parameter = (query_param: string, value_match: object) => ({
  single_predicate: { input: type("RequestQueryParam", { query_param }), value_match },
});
const status = (of: "" | "Class", value_match: object) => ({
  single_predicate: { input: type(`ResponseStatusCode${of}`), value_match },
});

const network = (of: string, value_match: object) => ({
  single_predicate: {
    input: { name: "input", typed_config: { "@type": `${TYPE}.matching.common_inputs.network.v3.${of}Input` } },
    value_match,
  },
});

const INPUTS = `${TYPE}.matching.common_inputs`;
const extension = (type: string, fields: object = {}) => ({ name: "it", typed_config: { "@type": type, ...fields } });
const any = (input: object, matcher: object) => ({ single_predicate: { input, ...matcher } });
const custom = (type: string, fields: object) => ({
  custom_match: extension(`${TYPE}.matching.input_matchers.${type}`, fields),
});
const range = (address_prefix: string, prefix_len: number) => ({ address_prefix, prefix_len });
const inRanges = (...cidr_ranges: readonly object[]) => custom("ip.v3.Ip", { cidr_ranges, stat_prefix: "ip" });
const metadata = (fields: object) =>
  any(
    extension(`${INPUTS}.network.v3.DynamicMetadataInput`, { filter: "f", path: [{ key: "k" }] }),
    custom("metadata.v3.Metadata", fields),
  );
const state = (key: string, exact: string) =>
  any(extension(`${INPUTS}.network.v3.FilterStateInput`, { key }), { value_match: { exact } });
const variable = (name: string, value_match: object) =>
  any(extension(`${INPUTS}.environment_variable.v3.Config`, { name }), { value_match });
const customTree = (header: string, type: string, fields: object) => ({
  matcher_tree: {
    input: input(header),
    custom_match: extension(`type.googleapis.com/xds.type.matcher.v3.${type}`, fields),
  },
});

const X = is("x", { exact: "a" });
const Y = is("y", { exact: "b" });
const ORIGIN = is("x-origin", { exact: "o" }, "ResponseHeader");
const regex = { safe_regex: { regex: "a.c", google_re2: {} } };

const TREES: Readonly<Record<string, object | undefined>> = {
  none: undefined,
  empty: {},
  exact: list([X]),
  "ignoring-case": list([is("X", { exact: "A", ignore_case: true })]),
  regex: list([is("x", regex)]),
  joined: list([is("x", { contains: "a,b" })], [is("x", { suffix: "z" })]),
  method: list([is(":method", { exact: "PUT" })], [is(":authority", { prefix: "shop" }), { matcher: list([Y]) }]),
  and: list([{ and_matcher: { predicate: [X, Y] } }]),
  or: list([{ or_matcher: { predicate: [X, Y] } }]),
  not: list([{ not_matcher: X }]),
  "on-no-match": { ...list([X, { matcher: list([Y]) }]), on_no_match: { matcher: list([is("z", { exact: "c" })]) } },
  "next-in-list": list([X, { matcher: list([Y]) }], [is("z", { exact: "c" })]),
  map: { ...map("exact", "x", { a: SKIP, z: { matcher: list([Y]) } }), on_no_match: { matcher: list([Y]) } },
  prefixes: {
    ...map("prefix", ":path", { "/a": { matcher: list([Y]) }, "/a/b": { matcher: list([X]) }, "/c": SKIP }),
    on_no_match: { matcher: list([is("z", { exact: "c" })]) },
  },
  response: list([ORIGIN]),
  status: list([is(":status", { prefix: "4" }, "ResponseHeader")]),
  "either-side": list([{ or_matcher: { predicate: [ORIGIN, X] } }]),
  "both-sides": list([{ and_matcher: { predicate: [X, ORIGIN] } }]),
  "waits-for-first": list([ORIGIN], [X]),
  "not-response": list([{ not_matcher: ORIGIN }]),
  "request-trailer": list([is("t", { exact: "1" }, "RequestTrailer")]),
  "response-trailer": list([is("x-end", { exact: "e" }, "ResponseTrailer")]),
  query: list([parameter("q", { exact: "a b&c" })]),
  "query-name": list([parameter("q x", { prefix: "1" })], [parameter("empty", { exact: "" })]),
  "not-query": list([{ not_matcher: parameter("q", { exact: "1" }) }]),
  "source-ip": list([network("SourceIP", { exact: "127.0.0.1" })]),
  "forwarded-ip": list([network("SourceIP", { exact: "10.1.2.3" })]),
  "source-port": list([network("SourcePort", { exact: "0" })]),
  "direct-source-ip": list([network("DirectSourceIP", { exact: "127.0.0.1" })]),
  "destination-ip": list([network("DestinationIP", { prefix: "127." })]),
  "destination-port": list([{ not_matcher: network("DestinationPort", { exact: "0" }) }]),
  "server-name": list([{ not_matcher: network("ServerName", { prefix: "a" }) }]),
  "status-code": list([status("", { exact: "418" })]),
  "status-class": list([status("Class", { exact: "2xx" })]),
  "source-type": list([network("SourceType", { exact: "local" })]),
  "no-namespace": list([{ not_matcher: network("NetworkNamespace", { prefix: "/" }) }]),
  "no-uri-san": list([
    { not_matcher: any(extension(`${INPUTS}.ssl.v3.UriSanInput`), { value_match: { prefix: "s" } }) },
  ]),
  subject: list([any(extension(`${INPUTS}.ssl.v3.SubjectInput`), { value_match: { exact: "" } })]),
  state: list([state("mine", "a")]),
  "no-state": list([{ not_matcher: state("other", "") }]),
  "no-variable": list([{ not_matcher: variable("NO_SUCH_VARIABLE", { exact: "" }) }]),
  "metadata-present": list([metadata({ value: { present_match: true } })]),
  "metadata-absent": list([metadata({ value: { present_match: false } })]),
  "metadata-inverted": list([metadata({ value: { string_match: { exact: "a" } }, invert: true })]),
  "metadata-null": list([metadata({ value: { null_match: {} } })]),
  "metadata-or": list([
    metadata({ value: { or_match: { value_matchers: [{ bool_match: true }, { present_match: false }] } } }),
  ]),
  "in-range": list([any(input("x-ip"), inRanges(range("10.1.0.0", 16), range("fd00::", 8), range("192.168.1.7", 32)))]),
  "source-in-range": list([
    any(extension(`${INPUTS}.network.v3.DirectSourceIPInput`), inRanges(range("127.0.0.0", 8))),
  ]),
  ranges: {
    ...customTree("x-ip", "IPMatcher", {
      range_matchers: [
        { ranges: [range("0.0.0.0", 0)], exclusive: true, on_match: SKIP },
        { ranges: [range("10.0.0.0", 8)], on_match: SKIP },
        { ranges: [range("10.1.0.0", 16), range("fd00::", 8)], on_match: { matcher: list([Y]) } },
        { ranges: [range("192.168.0.0", 16)], on_match: { matcher: list([Y]) } },
      ],
    }),
    on_no_match: { matcher: list([is("z", { exact: "c" })]) },
  },
  domains: {
    ...customTree("x-name", "ServerNameMatcher", {
      domain_matchers: [
        { domains: ["*"], on_match: { matcher: list([is("z", { exact: "c" })]) } },
        { domains: ["*.com", "a.example.com"], on_match: { matcher: list([Y]) } },
        { domains: ["*.example.com", "org"], on_match: SKIP },
        { domains: ["a.example.com.org"], on_match: { matcher: list([is("z", { exact: "c" })]) } },
      ],
    }),
    on_no_match: SKIP,
  },
  "by-route": list([X]),
};

const ROUTE_TREES = {
  "by-route": { "@type": `${MATCHER}PerRoute`, xds_matcher: list([Y]) },
  none: { "@type": `${MATCHER}PerRoute`, xds_matcher: list([Y]) },
  exact: { "@type": `${MATCHER}PerRoute` },
};

const added = (key: string, name: string) => [{ append: { header: { key, value: name } } }];
const filter = (name: string, tree: object | undefined) => ({
  name,
  typed_config: {
    "@type": MATCHER,
    ...(tree === undefined ? {} : { xds_matcher: tree }),
    extension_config: {
      name: "inner",
      typed_config: {
        "@type": `${TYPE}.filters.http.header_mutation.v3.HeaderMutation`,
        mutations: {
          request_mutations: added("x-passed", name),
          response_mutations: added("x-passed", name),
          request_trailers_mutations: added("x-passed-end", name),
          response_trailers_mutations: added("x-passed-end", name),
        },
      },
    },
  },
});

type Fields = Readonly<Record<string, string | string[]>>;
const REQUESTS: readonly (readonly [path: string, headers: Fields, trailers?: Record<string, string>])[] = [
  ["/", {}],
  ["/", { x: "a" }],
  ["/", { x: "A", y: "b" }],
  ["/", { x: "abc", z: "c" }],
  ["/", { x: ["a", "b"] }],
  ["/", { x: "a", y: "b" }],
  ["/", { x: "z", y: "b" }],
  ["/", { x: "a", z: "c" }],
  ["/a/b/c", { x: "a" }],
  ["/a/b/c", { y: "b" }],
  ["/a", { x: "a" }],
  ["/c", {}],
  ["/trailers", { x: "a" }, { t: "1" }],
  ["/trailers", {}, { t: "2" }],
  ["/route", { x: "a" }],
  ["/route", { y: "b" }],
  ["/direct", { x: "a" }],
  ["/", { "x-forwarded-for": "10.9.9.9, 10.1.2.3" }],
  ["/?q=1&q=a%20b%26c", {}],
  ["/?p&q=a%20b%26c&q=1", {}],
  ["/?q=a+b%26c", {}],
  ["/?q%20x=1", {}],
  ["/?empty", {}],
  ["/?empty=", {}],
  ["/?Q=1&=q&q=%31", {}],
  ["/?q=%zz%3", {}],
  ...[
    "10.1.2.3",
    "10.2.2.3",
    "11.0.0.1",
    "192.168.1.7",
    "192.168.1.8",
    "fd00::1",
    "fe80::1",
    "::ffff:10.1.2.3",
    "no",
    "",
  ].flatMap((ip): (readonly [string, Fields])[] => [
    ["/", { "x-ip": ip }],
    ["/", { "x-ip": ip, y: "b" }],
    ["/", { "x-ip": ip, z: "c" }],
  ]),
  ...[
    "a.example.com",
    "b.example.com",
    "A.example.com",
    "x.com",
    "com",
    "org",
    "a.org",
    "a.example.com.org",
    "",
    "a..com",
  ].flatMap((name): (readonly [string, Fields])[] => [
    ["/", { "x-name": name }],
    ["/", { "x-name": name, y: "b" }],
    ["/", { "x-name": name, z: "c" }],
  ]),
  ["/", { "x-state": "a" }],
  ["/", { "x-state": "b" }],
];

const SETS_STATE = {
  name: "state",
  typed_config: {
    "@type": `${TYPE}.filters.http.set_filter_state.v3.Config`,
    on_request_headers: [
      {
        object_key: "mine",
        factory_key: "envoy.string",
        format_string: { text_format_source: { inline_string: "%REQ(x-state)%" } },
        skip_if_empty: true,
      },
    ],
  },
};

const ANSWER =
  "HTTP/1.1 200 OK\r\nx-origin: o\r\ntransfer-encoding: chunked\r\ntrailer: x-end\r\n\r\n2\r\nhi\r\n0\r\nx-end: e\r\n\r\n";
const ROUTES = [
  { match: { prefix: "/direct" }, direct_response: { status: 418 } },
  { match: { prefix: "/route" }, route: { cluster: "origin" }, typed_per_filter_config: ROUTE_TREES },
  { match: { prefix: "/" }, route: { cluster: "origin" } },
];

async function seen(envoy: string | undefined): Promise<readonly unknown[]> {
  await using origin = await RecordingOrigin.start(() => ANSWER);
  const filters = [SETS_STATE, ...Object.entries(TREES).map(([name, tree]) => filter(name, tree))];
  const listeners = [listener("http", { filters, manager: TRAILERS_ENABLED, routes: ROUTES })];
  const config = bootstrap({ listeners, clusters: [cluster("origin", [origin.port], UPSTREAM_TRAILERS_ENABLED)] });
  await using proxy = await ProxyProcess.start(envoy, config);
  const results: unknown[] = [];
  for (const [path, headers, trailers] of REQUESTS) {
    const response = await exchange(proxy.port("http"), path, headers, trailers);
    const arrived = path === "/direct" ? undefined : origin.requests.at(-1);
    const values = (fields: readonly (readonly [string, string])[] = []) =>
      fields.filter(([name]) => name.startsWith("x-passed")).map(([, value]) => value);
    results.push({
      request: [path, headers, response.statusCode],
      requestHeaders: values(arrived?.fields),
      requestTrailers: values(arrived?.trailers),
      responseHeaders: response.headersDistinct["x-passed"],
      responseTrailers: response.trailersDistinct["x-passed-end"],
    });
  }
  return results;
}

const envoy = findEnvoy();

test(
  "a tree of matchers passes the same filters by as in Envoy",
  { skip: envoy === undefined ? ENVOY_MISSING : false },
  async () => {
    const [ours, theirs] = await Promise.all([seen(undefined), seen(envoy)]);
    for (const [index, result] of ours.entries()) {
      assert.deepEqual(result, theirs[index]);
    }
  },
);

/** Callbacks of a plugin under a tree, by request. */
async function callbacks(envoy: string | undefined): Promise<readonly unknown[]> {
  await using origin = await RecordingOrigin.start(() => "HTTP/1.1 200 OK\r\nx-origin: o\r\ncontent-length: 0\r\n\r\n");
  const tree = list([X], [{ and_matcher: { predicate: [Y, ORIGIN] } }]);
  const typed_config = {
    "@type": MATCHER,
    xds_matcher: tree,
    extension_config: wasmFilter("callbacks", guest("callbacks")),
  };
  const listeners = [listener("http", { filters: [{ name: "callbacks", typed_config }] })];
  const config = bootstrap({ listeners, clusters: [cluster("origin", [origin.port])] });
  await using proxy = await ProxyProcess.start(envoy, config, ["--component-log-level", "wasm:info"]);
  const results: unknown[] = [];
  for (const headers of [{}, { x: "a" }, { y: "b" }]) {
    const from = logged(proxy, "callbacks").length;
    const asked = request({ port: proxy.port("http"), headers });
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    const lines = await until(
      "the stream's end",
      () => names(logged(proxy, "callbacks").slice(from)),
      (all) => all.includes("proxy_on_delete []"),
    );
    results.push([headers, lines]);
  }
  return results;
}

test(
  "a plugin under a tree has the callbacks that it has in Envoy",
  { skip: envoy === undefined ? ENVOY_MISSING : false },
  async () => {
    const [ours, theirs] = await Promise.all([callbacks(undefined), callbacks(envoy)]);
    assert.deepEqual(ours, theirs);
  },
);
