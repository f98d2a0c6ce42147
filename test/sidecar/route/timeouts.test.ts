import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { grpcTimeoutMs, requestTimeouts } from "../../../sidecar/route/timeouts.ts";
import type { ForwardAction } from "../../../xds/model/route.ts";
import { buildForward, buildHead } from "./builders.ts";

const ROUTER = { suppressEnvoyHeaders: false, respectsExpectedTimeout: false };

describe("requestTimeouts()", () => {
  const run = (more: Partial<ForwardAction>, headers: Readonly<Record<string, string>> = {}) =>
    requestTimeouts(buildForward(more), buildHead("/", { headers }), ROUTER);
  const asking = (ms: string) => ({ "x-envoy-upstream-rq-timeout-ms": ms });
  const cases = [
    { says: "the route's own", got: run({ timeoutMs: 3_000 }), requestMs: 3_000 },
    { says: "off when the route says 0", got: run({ timeoutMs: 0 }), requestMs: 0 },
    { says: "the request's header over the route's", got: run({}, asking("250")), requestMs: 250 },
    { says: "off when the header says 0", got: run({}, asking("0")), requestMs: 0 },
    { says: "the route's when the header is malformed", got: run({}, asking("-1")), requestMs: 15_000 },
    { says: "none beside max_stream_duration", got: run({ maxStreamDurationMs: 9 }), requestMs: 0, maxStreamMs: 9 },
    { says: "an endless stream", got: run({ maxStreamDurationMs: 0 }), requestMs: 0, maxStreamMs: 0 },
    {
      says: "grpc-timeout, capped",
      got: run({ grpcTimeoutHeaderMaxMs: 500 }, { "grpc-timeout": "1S" }),
      requestMs: 0,
      maxStreamMs: 500,
    },
    {
      says: "grpc-timeout, not capped by 0, less the offset",
      got: run({ grpcTimeoutHeaderMaxMs: 0, grpcTimeoutHeaderOffsetMs: 100 }, { "grpc-timeout": "1S" }),
      requestMs: 0,
      maxStreamMs: 900,
    },
    {
      says: "a passed grpc-timeout as soon as possible",
      got: run({ grpcTimeoutHeaderMaxMs: 500, grpcTimeoutHeaderOffsetMs: 600 }, { "grpc-timeout": "1S" }),
      requestMs: 0,
      maxStreamMs: 1,
    },
    {
      says: "max_stream_duration without a grpc-timeout",
      got: run({ grpcTimeoutHeaderMaxMs: 500, maxStreamDurationMs: 800 }, { "grpc-timeout": "soon" }),
      requestMs: 0,
      maxStreamMs: 800,
    },
    {
      says: "max_grpc_timeout no say in what is not gRPC",
      got: run({ timeoutMs: 3_000, maxGrpcTimeoutMs: 500 }, { "grpc-timeout": "1S" }),
      requestMs: 3_000,
    },
    {
      says: "a gRPC request its own time, capped by max_grpc_timeout",
      got: run({ maxGrpcTimeoutMs: 500 }, { "grpc-timeout": "1S", "content-type": "application/grpc" }),
      requestMs: 500,
    },
  ];
  for (const { says, got, requestMs, maxStreamMs } of cases) {
    it(`gives ${says}`, () => assert.deepEqual(got, { requestMs, maxStreamMs }));
  }

  it("takes the timeout headers out and tells the upstream its time", () => {
    const headers = {
      ...asking("250"),
      "x-envoy-upstream-rq-per-try-timeout-ms": "10",
      "x-envoy-expected-rq-timeout-ms": "1",
    };
    const head = buildHead("/", { headers });
    requestTimeouts(buildForward(), head, ROUTER);
    assert.deepEqual(Array.from(head.headers), [["x-envoy-expected-rq-timeout-ms", "250"]]);
  });

  it("does not tell the upstream when suppressed or when there is no timeout", () => {
    for (const [timeoutMs, suppress] of [
      [15_000, true],
      [0, false],
    ] as const) {
      const head = buildHead("/");
      requestTimeouts(buildForward({ timeoutMs }), head, { ...ROUTER, suppressEnvoyHeaders: suppress });
      assert.equal(head.headers.size, 0);
    }
  });
});

describe("grpcTimeoutMs()", () => {
  const cases = [
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3_000],
    ["4m", 4],
    ["1u", 1],
    ["1001u", 2],
    ["1000n", 1],
    ["1000000n", 1],
    ["0m", 0],
    ["99999999H", 359_999_996_400_000],
  ] as const;
  for (const [value, ms] of cases) {
    it(`reads ${value}`, () => assert.equal(grpcTimeoutMs(value), ms));
  }
  it("knows nothing else", () => {
    for (const value of [undefined, "", "1", "S", "123456789S", "-1S", "1 S", "1s", "1.5S"]) {
      assert.equal(grpcTimeoutMs(value), undefined);
    }
  });
});
