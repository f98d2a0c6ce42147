// The filter header_mutation: Envoy and outrigger with the same bootstrap send the same fields, trailers and paths.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { RecordingOrigin } from "../support/recording-origin.ts";
import { exchange, TRAILERS_ENABLED, UPSTREAM_TRAILERS_ENABLED } from "../support/trailers-exchange.ts";

const TYPE = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3";
const NAME = "envoy.filters.http.header_mutation";

const append = (key: string, value: string, append_action = "APPEND_IF_EXISTS_OR_ADD", more: object = {}) => ({
  append: { header: { key, value }, append_action, ...more },
});
const parameter = (key: string, value: string, action = "APPEND_IF_EXISTS_OR_ADD") => ({
  append: { record: { key, value }, action },
});
const perRoute = (mutations: object) => ({
  [NAME]: { "@type": `${TYPE}.HeaderMutationPerRoute`, mutations },
});

const OWN = {
  request_mutations: [
    append("X-One", "own"),
    { remove: "X-Gone" },
    append("x-gone", "back of %REQ(x-one)%", "ADD_IF_ABSENT"),
    append("x-seen", "%REQ(x-gone)%, %REQ(:path)%"),
    append("x-path", "%REQ_WITHOUT_QUERY(:path)% %REQ_WITHOUT_QUERY(x-none?x-set)% %REQ_WITHOUT_QUERY(:path):3%"),
    append("x-there", "over", "OVERWRITE_IF_EXISTS"),
    append("x-not-there", "over", "OVERWRITE_IF_EXISTS"),
    append("x-set", "own", "OVERWRITE_IF_EXISTS_OR_ADD"),
    append("x-empty", "%REQ(none)%"),
    { append: { header: { key: "x-both", value: "text", raw_value: "cmF3" } } },
    append("x-kept", "%REQ(none)%", "APPEND_IF_EXISTS_OR_ADD", { keep_empty_value: true }),
    { remove_on_match: { key_matcher: { prefix: "x-secret-" } } },
    { remove_on_match: { key_matcher: { exact: "X-CASE", ignore_case: true } } },
  ],
  query_parameter_mutations: [
    parameter("added", "%REQ(x-one)%"),
    parameter("once", "new", "ADD_IF_ABSENT"),
    parameter("there", "over", "OVERWRITE_IF_EXISTS"),
    parameter("not-there", "over", "OVERWRITE_IF_EXISTS"),
    parameter("set", "own", "OVERWRITE_IF_EXISTS_OR_ADD"),
    { remove: "gone" },
  ],
  response_mutations: [
    append("x-answer", "own"),
    { remove: "server" },
    append("x-code", "%RESPONSE_CODE% to %REQ(x-one)% by %RESP(x-origin)%"),
    { remove_on_match: { key_matcher: { suffix: "-internal" } } },
  ],
  request_trailers_mutations: [append("x-trailer", "%REQ(x-one)%"), { remove: "x-trailer-gone" }],
  response_trailers_mutations: [append("x-end", "own"), { remove: "x-end-gone" }],
  formatters: [
    {
      name: "it",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
      },
    },
  ],
};

const level = (name: string) => ({
  request_mutations: [append("x-one", name), append("x-set", name, "OVERWRITE_IF_EXISTS_OR_ADD")],
  query_parameter_mutations: [parameter("set", name, "OVERWRITE_IF_EXISTS_OR_ADD")],
  response_mutations: [append("x-answer", name)],
  request_trailers_mutations: [append("x-trailer", name)],
  response_trailers_mutations: [append("x-end", name)],
});

const ROUTES = {
  name: "routes",
  // Routes' own changes see the response too.
  response_headers_to_add: [append("x-routed", "%RESPONSE_CODE%, %RESP(x-origin)%").append],
  typed_per_filter_config: perRoute(level("table")),
  virtual_hosts: [
    {
      name: "host",
      domains: ["*"],
      typed_per_filter_config: perRoute(level("host")),
      routes: [
        { match: { prefix: "/direct" }, direct_response: { status: 418 } },
        {
          match: { prefix: "/route" },
          route: { cluster: "origin" },
          typed_per_filter_config: perRoute(level("route")),
        },
        // The path as it came chooses, not the one that the filter makes.
        { match: { prefix: "/by", query_parameters: [{ name: "set", present_match: true }] }, redirect: {} },
        {
          match: { prefix: "/off" },
          route: { cluster: "origin" },
          typed_per_filter_config: {
            [NAME]: { "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", disabled: true },
          },
        },
        { match: { prefix: "/" }, route: { cluster: "origin" } },
      ],
    },
  ],
};

const BODY =
  "HTTP/1.1 200 OK\r\nx-origin: o\r\nx-host-internal: h\r\nx-answer: origin\r\ntransfer-encoding: chunked\r\n" +
  "trailer: x-end\r\n\r\n2\r\nhi\r\n0\r\nx-end: origin\r\nx-end-gone: g\r\n\r\n";

type Sent = readonly [path: string, headers?: Readonly<Record<string, string>>, trailers?: Record<string, string>];
const REQUESTS: readonly Sent[] = [
  ["/plain"],
  ["/plain", { "x-one": "client", "x-gone": "1", "x-there": "1", "x-set": "1", "x-secret-a": "1", "x-case": "1" }],
  ["/plain?there=1&there=2&gone=1&once=0&b=2&a=1&set=9"],
  ["/plain?a&=b&&c=d=e&%41%2d=%7e%2Fx&plus=a+b&"],
  ["/plain?"],
  ["/plain?bad=%zz%4&q=a?b"],
  ["/route?x=1", { "x-set": "client" }],
  ["/route", {}, { "x-trailer": "client", "x-trailer-gone": "1" }],
  ["/by"],
  ["/off?b=1&a=2", { "x-gone": "1" }],
  ["/direct"],
];

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

async function seen(envoy: string | undefined, mostSpecificWins: boolean): Promise<unknown> {
  await using origin = await RecordingOrigin.start(() => BODY);
  const filter = {
    name: NAME,
    typed_config: {
      "@type": `${TYPE}.HeaderMutation`,
      mutations: OWN,
      most_specific_header_mutations_wins: mostSpecificWins,
    },
  };
  const manager = { route_config: ROUTES, ...TRAILERS_ENABLED };
  const listeners = [listener("http", { filters: [filter], manager })];
  const config = bootstrap({ listeners, clusters: [cluster("origin", [origin.port], UPSTREAM_TRAILERS_ENABLED)] });
  await using proxy = await ProxyProcess.start(envoy, config);
  const answers: unknown[] = [];
  for (const [path, headers = {}, trailers] of REQUESTS) {
    const response = await exchange(proxy.port("http"), path, headers, trailers);
    const answer = Object.entries(response.headersDistinct).filter(([name]) => /^(x-(?!envoy)|server)/.test(name));
    answers.push([path, response.statusCode, answer, response.trailersDistinct]);
  }
  assert.deepEqual(origin.garbage, []);
  const arrived = origin.requests.map(({ fields, target, trailers }) => [
    target,
    fields
      .filter(([name]) => /^x-(?!envoy|forwarded|request-id)/.test(name))
      .map((field) => field.join(": "))
      .toSorted(byText),
    trailers,
  ]);
  return { answers, arrived };
}

const envoy = findEnvoy();

for (const mostSpecificWins of [false, true]) {
  test(
    `fields, trailers and queries are changed as by Envoy, the most specific level ${mostSpecificWins ? "last" : "first"}`,
    { skip: envoy === undefined ? ENVOY_MISSING : false },
    async () => {
      const [ours, theirs] = await Promise.all([seen(undefined, mostSpecificWins), seen(envoy, mostSpecificWins)]);
      assert.deepEqual(ours, theirs);
    },
  );
}
