import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import {
  extractContext,
  injectContext,
  parseB3,
  parseTraceparent,
  TraceContext,
  traceStateOf,
} from "../../../sidecar/telemetry/propagation.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const OURS = "1111111111111111";

function extract(pairs: readonly (readonly [string, string])[]) {
  const context = new TraceContext();
  extractContext(HeaderMap.from(pairs), context);
  return context;
}

const cases: readonly {
  name: string;
  headers: readonly (readonly [string, string])[];
  expect: { traceId?: string; parentId?: string; sampled: number };
}[] = [
  { name: "nothing", headers: [["Host", "x"]], expect: { sampled: -1 } },
  {
    name: "traceparent",
    headers: [["Traceparent", `00-${TRACE}-${SPAN}-01`]],
    expect: { traceId: TRACE, parentId: SPAN, sampled: 1 },
  },
  {
    name: "traceparent that is not sampled",
    headers: [["traceparent", `00-${TRACE}-${SPAN}-02`]],
    expect: { traceId: TRACE, parentId: SPAN, sampled: 0 },
  },
  {
    name: "W3C before B3",
    headers: [
      ["b3", `${"a".repeat(32)}-${"b".repeat(16)}-0`],
      ["traceparent", `00-${TRACE}-${SPAN}-01`],
    ],
    expect: { traceId: TRACE, parentId: SPAN, sampled: 1 },
  },
  {
    name: "B3 when traceparent is broken",
    headers: [
      ["traceparent", `00-${TRACE}-${SPAN}-1`],
      ["b3", `${TRACE}-${SPAN}-1-${OURS}`],
    ],
    expect: { traceId: TRACE, parentId: SPAN, sampled: 1 },
  },
  {
    name: "two traceparents as none",
    headers: [
      ["traceparent", `00-${TRACE}-${SPAN}-01`],
      ["traceparent", `00-${TRACE}-${OURS}-01`],
    ],
    expect: { sampled: -1 },
  },
  {
    name: "B3 with 64 bits and no decision",
    headers: [["b3", `a3ce929d0e0e4736-${SPAN}`]],
    expect: { traceId: "0000000000000000a3ce929d0e0e4736", parentId: SPAN, sampled: -1 },
  },
  { name: "B3's bare refusal", headers: [["b3", "0"]], expect: { sampled: 0 } },
  { name: "B3's debug", headers: [["b3", "d"]], expect: { sampled: 1 } },
  {
    name: "B3 multi",
    headers: [
      ["X-B3-TraceId", TRACE],
      ["X-B3-SpanId", SPAN],
      ["X-B3-Sampled", "1"],
    ],
    expect: { traceId: TRACE, parentId: SPAN, sampled: 1 },
  },
  {
    name: "B3 multi flags",
    headers: [
      ["x-b3-flags", "1"],
      ["x-b3-sampled", "0"],
    ],
    expect: { sampled: 1 },
  },
];

for (const { name, headers, expect } of cases) {
  test(`extractContext() reads ${name}`, () => {
    const context = extract(headers);
    assert.equal(context.traceId, expect.traceId ?? "");
    assert.equal(context.parentId, expect.parentId ?? "");
    assert.equal(context.sampled, expect.sampled);
  });
}

const broken = [
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-extra`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE}-${SPAN}-0g`,
  `00_${TRACE}-${SPAN}-01`,
  `01-${TRACE}-${SPAN}-01x`,
  "",
];
for (const value of broken) {
  test(`parseTraceparent() refuses ${JSON.stringify(value)}`, () => {
    assert.equal(parseTraceparent(value, new TraceContext()), false);
  });
}

test("parseTraceparent() accepts what a later version adds", () => {
  assert.equal(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`, new TraceContext()), true);
});

test("the parsers accept exactly what the grammars say", () => {
  const alphabet = fc.constantFrom(..."0123456789abcdefgA-dZ".split(""));
  const text = fc.oneof(
    fc.string({ unit: alphabet, maxLength: 80 }),
    fc
      .tuple(fc.stringMatching(/^[0-9a-f]{32}$/), fc.stringMatching(/^[0-9a-f]{16}$/), fc.nat(300), alphabet)
      .map(([t, s, at, c]) => {
        const whole = `00-${t}-${s}-01`;
        return whole.slice(0, at) + c + whole.slice(at + 1);
      }),
    fc
      .tuple(fc.stringMatching(/^[0-9a-f]{32}-[0-9a-f]{16}-[01d](-[0-9a-f]{16})?$/), fc.nat(80), alphabet)
      .map(([whole, at, c]) => whole.slice(0, at) + c + whole.slice(at + 1)),
  );
  const nonZero = (id: string | undefined): boolean => id !== undefined && !/^0*$/.test(id);
  fc.assert(
    fc.property(text, (value) => {
      const w3c = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s.exec(value);
      const wantW3c = w3c !== null && (w3c[1] !== "00" || w3c[5] === undefined) && nonZero(w3c[2]) && nonZero(w3c[3]);
      const context = new TraceContext();
      assert.equal(parseTraceparent(value, context), wantW3c);
      assert.equal(context.traceId, wantW3c ? w3c?.[2] : "");
      const b3 = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-([0-9a-f]{16}))?)?$/.exec(value);
      const wantB3 =
        /^[01d]$/.test(value) ||
        (b3 !== null && nonZero(b3[1]) && nonZero(b3[2]) && (b3[4] === undefined || nonZero(b3[4])));
      assert.equal(parseB3(value, new TraceContext()), wantB3);
    }),
    { numRuns: 2000 },
  );
});

test("injectContext() writes what extractContext() reads", () => {
  const id = (length: number) =>
    fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((text) => !/^0*$/.test(text));
  fc.assert(
    fc.property(
      id(32),
      id(16),
      fc.boolean(),
      fc.subarray(["b3", "x-b3-sampled", "traceparent"]),
      (t, s, sampled, came) => {
        const headers = HeaderMap.from(came.map((name) => [name, "0"] as const));
        const context = new TraceContext();
        extractContext(headers, context);
        injectContext(headers, context, t, s, sampled);
        extractContext(headers, context);
        assert.equal(context.traceId, t);
        assert.equal(context.parentId, s);
        assert.equal(context.sampled, sampled ? 1 : 0);
        // The other forms say the same.
        headers.remove("traceparent");
        extractContext(headers, context);
        if (came.includes("b3") || came.includes("x-b3-sampled")) {
          assert.equal(context.traceId, t);
          assert.equal(context.sampled, sampled ? 1 : 0);
        }
      },
    ),
  );
});

test("injectContext() keeps the caller's header lines and tracestate", () => {
  const headers = HeaderMap.from([
    ["Traceparent", `00-${TRACE}-${SPAN}-03`],
    ["tracestate", "a=1"],
    ["baggage", "k=v"],
  ]);
  const context = new TraceContext();
  extractContext(headers, context);
  injectContext(headers, context, TRACE, OURS, true);
  assert.equal(headers.write(), `Traceparent: 00-${TRACE}-${OURS}-03\r\ntracestate: a=1\r\nbaggage: k=v\r\n`);
});

test("injectContext() drops a tracestate that has no parent, and B3's parent", () => {
  const headers = HeaderMap.from([
    ["tracestate", "a=1"],
    ["x-b3-traceid", "nonsense"],
    ["x-b3-parentspanid", SPAN],
    ["x-b3-flags", "1"],
  ]);
  const context = new TraceContext();
  extractContext(headers, context);
  injectContext(headers, context, TRACE, OURS, false);
  assert.equal(headers.has("tracestate"), false);
  assert.equal(headers.has("x-b3-parentspanid"), false);
  assert.equal(headers.has("x-b3-flags"), false);
  assert.equal(headers.get("x-b3-traceid"), TRACE);
  assert.equal(headers.get("x-b3-sampled"), "0");
  assert.equal(headers.get("traceparent"), `00-${TRACE}-${OURS}-02`);
});

test("traceStateOf() joins lines and leaves out what is too long", () => {
  assert.equal(
    traceStateOf(
      HeaderMap.from([
        ["tracestate", "a=1"],
        ["tracestate", "b=2"],
      ]),
    ),
    "a=1,b=2",
  );
  assert.equal(traceStateOf(HeaderMap.from([["tracestate", "a".repeat(513)]])), "");
});
