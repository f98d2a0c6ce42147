import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { compileFormat, compileJsonFormat, DEFAULT_ACCESS_LOG_FORMAT } from "../../../sidecar/telemetry/format.ts";
import type { StreamFacts } from "../../../sidecar/telemetry/stream-facts.ts";
import type { JsonFormat } from "../../../xds/model/access-log.ts";
import { buildFacts, buildRequest, buildResponse, stateOf } from "./facts.ts";

const CONTEXT = { hostname: "pod-1", environment: { ZONE: "eu" } };

function render(text: string, facts: StreamFacts = buildFacts(), missing = "-"): string {
  const compiled = compileFormat(text, CONTEXT, missing);
  assert.ok(compiled.ok, compiled.ok ? "" : compiled.problem);
  return compiled.format.render(facts);
}

describe("compileFormat()", () => {
  it("writes Envoy's default line", () => {
    const facts = buildFacts({
      requestHead: buildRequest({
        "x-envoy-original-path": "/first",
        "X-Forwarded-For": "1.2.3.4",
        "User-Agent": "curl",
        "x-request-id": "id-1",
      }),
      responseHead: buildResponse(200, { "x-envoy-upstream-service-time": "3" }),
    });
    assert.equal(
      render(DEFAULT_ACCESS_LOG_FORMAT, facts),
      '[2026-01-31T12:34:56.789Z] "GET /first HTTP/1.1" 200 - 11 22 9 3 "1.2.3.4" "curl" "id-1" "a.test" "10.1.0.1:8080"\n',
    );
  });

  it("writes the default line of a stream that never got anywhere", () => {
    const facts = buildFacts({
      responseHead: undefined,
      status: 0,
      responseFlags: "DC",
      requestBodyBytes: 0,
      responseBodyBytes: 0,
      upstreamAddress: "",
    });
    assert.equal(
      render(DEFAULT_ACCESS_LOG_FORMAT, facts),
      '[2026-01-31T12:34:56.789Z] "GET /p?q HTTP/1.1" 0 DC 0 0 9 - "-" "-" "-" "a.test" "-"\n',
    );
  });

  const flagged = buildFacts({ responseFlags: "UF,URX", upstreamFailure: "connection refused" });
  const grpc = buildFacts({ responseTrailers: HeaderMap.from([["grpc-status", "5"]]) });
  const cases: readonly { format: string; facts?: StreamFacts; text: string }[] = [
    { format: "plain 100%%", text: "plain 100%" },
    { format: "é", text: Buffer.from("é", "utf8").toString("latin1") },
    {
      format: "%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(HOST)% %REQ(:SCHEME)%",
      text: "GET /p?q a.test a.test http",
    },
    { format: "%REQ(x-a?x-b)%", facts: buildFacts({ requestHead: buildRequest({ "X-B": "b" }) }), text: "b" },
    { format: "%REQ(x-a):2%", facts: buildFacts({ requestHead: buildRequest({ "x-a": "abcdef" }) }), text: "ab" },
    { format: "%RESP(:status)% %TRAILER(grpc-status)%", facts: grpc, text: "200 5" },
    {
      format: "%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%",
      facts: grpc,
      text: "NotFound NOT_FOUND 5",
    },
    {
      format: "%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%",
      facts: flagged,
      text: "UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded",
    },
    { format: "%UPSTREAM_TRANSPORT_FAILURE_REASON%", facts: flagged, text: "connection_refused" },
    { format: "%RESPONSE_CODE_DETAILS%", facts: buildFacts({ responseCodeDetails: "a b" }), text: "a_b" },
    {
      format: "%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%",
      facts: buildFacts({ responseCodeDetails: "a b" }),
      text: "a b",
    },
    {
      format: "%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%",
      text: "9 1 2 4 5",
    },
    {
      format: "%RESPONSE_TX_DURATION% %RESPONSE_DURATION%",
      facts: buildFacts({ endedAt: 0, upstreamFirstByteAt: 0 }),
      text: "- -",
    },
    { format: "%BYTES_RECEIVED% %BYTES_SENT% %REQUEST_HEADERS_BYTES% %RESPONSE_HEADERS_BYTES%", text: "11 22 100 50" },
    {
      format: "%UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%",
      text: "cluster 10.1.0.1:8080 10.1.0.1 8080",
    },
    {
      format: "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
      facts: buildFacts({ upstreamAddress: "[::1]:80" }),
      text: "::1",
    },
    {
      format: "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
      text: "203.0.113.7:0 203.0.113.7 10.0.0.9:4444",
    },
    {
      format: "%DOWNSTREAM_REMOTE_ADDRESS%",
      facts: buildFacts({ remoteAddress: "::1", remotePort: 5 }),
      text: "[::1]:5",
    },
    { format: "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT% %CONNECTION_ID%", text: "10.0.0.1:80 80 7" },
    { format: "%ROUTE_NAME% %REQUESTED_SERVER_NAME% %PROTOCOL%", text: "route - HTTP/1.1" },
    {
      format:
        "%REQUESTED_SERVER_NAME(SNI_ONLY:HOST)% %REQUESTED_SERVER_NAME(SNI_FIRST)% %REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)%",
      text: "- a.test -",
    },
    {
      format:
        "%REQUESTED_SERVER_NAME(SNI_FIRST)% %REQUESTED_SERVER_NAME(HOST_FIRST)% %REQUESTED_SERVER_NAME(HOST_FIRST:HOST)%",
      facts: buildFacts({
        requestedServerName: "sni.test",
        requestHead: buildRequest({ "x-envoy-original-host": "o.test" }),
      }),
      text: "sni.test o.test a.test",
    },
    { format: "%HOSTNAME% %ENVIRONMENT(ZONE)% %ENVIRONMENT(NONE)%", text: "pod-1 eu -" },
    {
      format: "%DYNAMIC_METADATA(a:b)% %FILTER_STATE(wasm.k:PLAIN)%",
      facts: buildFacts({ filterState: stateOf("wasm.k", "v") }),
      text: "- v",
    },
    {
      format: "%PATH(NQ)% %QUERY_PARAM(q)% %QUERY_PARAMS%",
      facts: buildFacts({ requestHead: buildRequest({ "x-envoy-original-path": "/o?q=1&r" }) }),
      text: "/o 1 q=1&r",
    },
    {
      format: "%START_TIME(%s %3f %6f %Y/%m/%dT%H:%M:%S%z %E3S %b %e %j)%",
      text: "1769862896 789 789000 2026/01/31T12:34:56+0000 56.789 Jan 31 031",
    },
    { format: "%TRACE_ID%", facts: buildFacts({ traceId: "ab" }), text: "ab" },
  ];
  for (const { format, facts, text } of cases) {
    it(`writes ${format}`, () => assert.equal(render(format, facts), text));
  }

  it("writes absent values as told", () => {
    assert.equal(render("a%REQ(x)%b", buildFacts(), ""), "ab");
  });

  it("keeps control characters of values out of the line", () => {
    const facts = buildFacts({ requestHead: buildRequest({ "x-a": "a\r\nb\0c\td" }) });
    assert.equal(render("%REQ(x-a)%\n", facts), "a\\r\\nb\\x00c\td\n");
  });

  it("passes bytes of a header on as they came", () => {
    const facts = buildFacts({ requestHead: buildRequest({ "x-a": "\xc3\xa9" }) });
    assert.equal(render("%REQ(x-a)%", facts), "\xc3\xa9");
  });

  it("says that a text is constant", () => {
    const compiled = compileFormat("100%%", CONTEXT);
    assert.equal(compiled.ok && compiled.format.constant, "100%");
    const changing = compileFormat("%PROTOCOL%", CONTEXT);
    assert.equal(changing.ok && changing.format.constant, undefined);
  });

  const broken = [
    { format: "%NOPE%", problem: /unknown operator %NOPE%/ },
    { format: "%toString%", problem: /no valid operator at position 0/ },
    { format: "a %", problem: /no valid operator at position 2/ },
    { format: "%REQ%", problem: /%REQ% needs an argument/ },
    { format: "%REQ()%", problem: /%REQ% needs an argument/ },
    { format: "%REQ(a?b?c)%", problem: /at most one alternative/ },
    { format: "%PROTOCOL(x)%", problem: /%PROTOCOL% takes no arguments/ },
    { format: "%PROTOCOL:3%", problem: /%PROTOCOL% takes no length/ },
    { format: "%START_TIME(%Q)%", problem: /time directive/ },
    { format: "%GRPC_STATUS(x)%", problem: /takes CAMEL_STRING/ },
    { format: "%PATH(x)%", problem: /takes WQ or NQ/ },
  ];
  for (const { format, problem } of broken) {
    it(`refuses ${format}`, () => {
      const compiled = compileFormat(format, CONTEXT);
      assert.match(compiled.ok ? "" : compiled.problem, problem);
    });
  }
});

describe("compileJsonFormat()", () => {
  const json = (fields: JsonFormat, facts = buildFacts(), omitEmptyValues = false): string => {
    const compiled = compileJsonFormat(fields, omitEmptyValues, CONTEXT);
    assert.ok(compiled.ok, compiled.ok ? "" : compiled.problem);
    return compiled.format.render(facts);
  };
  // What Envoy 1.40 writes for the same fields.
  const fields = {
    code: "%RESPONSE_CODE%",
    miss: "%REQ(X-NO)%",
    mix: "a%REQ(X-NO)%b",
    num: 5,
    bool: true,
    nul: null,
    nested: { b: "%PROTOCOL%", a: ["%REQ(x)%x", 1] },
  };

  it("keeps types, sorts names and ends the line", () => {
    assert.equal(
      json(fields),
      '{"bool":true,"code":200,"miss":null,"mix":"a-b","nested":{"a":["-x",1],"b":"HTTP/1.1"},"nul":null,"num":5}\n',
    );
  });

  it("leaves absent values and then empty objects out when told to", () => {
    const facts = buildFacts();
    assert.equal(
      json({ code: "%RESPONSE_CODE%", miss: "%REQ(n)%", mix: "a%REQ(n)%b", nested: { b: "%REQ(n)%" } }, facts, true),
      '{"code":200,"mix":"ab"}\n',
    );
    assert.equal(json({ miss: "%REQ(n)%" }, facts, true), "{}\n");
  });

  it("escapes values, and writes UTF-8, or each byte by itself where it is none", () => {
    for (const [value, expected] of [
      ['a"b\\c\r\n\xc3\xa9', 'a"b\\c\r\né'],
      ["\xc3\xa9\xff", "\u00c3\u00a9\u00ff"],
    ] as const) {
      const line = json({ v: "%REQ(x-a)%" }, buildFacts({ requestHead: buildRequest({ "x-a": value }) }));
      assert.equal(line.split("\n").length, 2);
      assert.deepEqual(JSON.parse(Buffer.from(line, "latin1").toString("utf8")), { v: expected });
    }
  });

  it("stops after a mebibyte, whatever the client sends", () => {
    const facts = buildFacts({ requestHead: buildRequest({ "x-a": "a".repeat(60_000) }) });
    const many = Array.from({ length: 1_000 }, () => "%REQ(x-a)%");
    for (const compiled of [
      compileFormat(many.join(""), CONTEXT),
      compileJsonFormat({ list: [...many, { inner: many }], text: many.join("") }, false, CONTEXT),
    ]) {
      const length = compiled.ok ? compiled.format.render(facts).length : 0;
      assert.ok(length > 1_024 * 1_024 && length < 1_024 * 1_024 + 70_000, String(length));
    }
  });

  it("refuses a broken field", () => {
    const compiled = compileJsonFormat({ a: { b: "%NOPE%" } }, false, CONTEXT);
    assert.match(compiled.ok ? "" : compiled.problem, /unknown operator/);
  });

  it("bounds nesting", () => {
    let deep: JsonFormat = { a: "x" };
    for (let depth = 0; depth < 100; depth++) {
      deep = { a: deep };
    }
    assert.equal(compileJsonFormat(deep, false, CONTEXT).ok, false);
  });
});
