// Route configurations decoded with the version before at hand: the same as without it, and the same objects where nothing
// changed.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeResource } from "../../../xds/decode/resource.ts";
import { RouteConfigurationSchema } from "../../../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { RouteConfiguration } from "../../../xds/model/route.ts";
import { ROUTE_TYPE } from "../../../xds/type-urls.ts";

/** `route`: a prefix; an empty one is refused, as is a domain that two hosts have. */
type Host = Readonly<{ domain: string; route: string }>;

function encode(hosts: readonly Host[], outer: object = {}): Uint8Array {
  const message = create(RouteConfigurationSchema, {
    name: "routes",
    virtualHosts: hosts.map(({ domain, route }) => ({
      name: domain,
      domains: [domain],
      routes: [
        {
          match: { pathSpecifier: { case: "prefix" as const, value: route } },
          action: {
            case: "route" as const,
            value: { clusterSpecifier: { case: "cluster" as const, value: route === "bad" ? "" : `to${route}` } },
          },
        },
      ],
    })),
    ...outer,
  });
  return toBinary(RouteConfigurationSchema, message);
}

function accepted(bytes: Uint8Array, previous?: { bytes: Uint8Array; value: unknown }): RouteConfiguration {
  const decoded = decodeResource(ROUTE_TYPE, bytes, { previous });
  assert.ok(decoded.ok, JSON.stringify(decoded));
  return decoded.value.value as RouteConfiguration;
}

const route = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom("/", "/x") },
  { weight: 1, arbitrary: fc.constant("bad") },
);
const hosts = fc.uniqueArray(fc.record({ domain: fc.constantFrom("a", "b", "c", "d", "A", "*"), route }), {
  selector: ({ domain }) => domain,
  maxLength: 6,
});
const outer = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constantFrom({ maxDirectResponseBodySizeBytes: 9 }, { internalOnlyHeaders: ["x"] }) },
);

test("a version decoded with the one before is what it is without: the same model, or the same refusal", () => {
  let reusedHosts = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(hosts, outer), { minLength: 2, maxLength: 10 }), (versions) => {
      let previous: { bytes: Uint8Array; value: RouteConfiguration } | undefined;
      for (const [list, around] of versions) {
        const bytes = encode(list, around);
        const alone = decodeResource(ROUTE_TYPE, bytes);
        const decoded = decodeResource(ROUTE_TYPE, bytes, { previous });
        assert.equal(decoded.ok, alone.ok);
        if (decoded.ok && alone.ok) {
          assert.deepEqual({ ...decoded.value, leavesBytes: true }, { ...alone.value, leavesBytes: true });
          const value = decoded.value.value as RouteConfiguration;
          const known = new Set(previous?.value.virtualHosts);
          reusedHosts += value.virtualHosts.filter((host) => known.has(host)).length;
          previous = { bytes, value };
        } else if (!decoded.ok && !alone.ok) {
          const pathsOf = (each: typeof decoded) => each.issues.map(({ path }) => path.replace(/\[\d+\].*/, ""));
          assert.deepEqual(new Set(pathsOf(decoded)), new Set(pathsOf(alone)));
        }
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(reusedHosts > 100);
});

test("only a virtual host that changed is another object, wherever others come and go", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((domain) => ({ domain, route: "/" }));
  assert.ok(a && b && c && d);
  const bytes = encode([a, b, c]);
  const value = accepted(bytes);
  const [oldA, oldB, oldC] = value.virtualHosts;
  const changed = accepted(encode([d, c, { ...b, route: "/x" }, a]), { bytes, value });
  assert.equal(changed.virtualHosts[1], oldC);
  assert.notEqual(changed.virtualHosts[2], oldB);
  assert.equal(changed.virtualHosts[3], oldA);
  assert.equal(changed.headers, value.headers);
  // Something around the hosts may mean something for each of them.
  const around = accepted(encode([a, b, c], { maxDirectResponseBodySizeBytes: 1 }), { bytes, value });
  assert.ok(around.virtualHosts.every((host) => !value.virtualHosts.includes(host)));
});

test("a new virtual host's domain must not be one of an unchanged host's", () => {
  const bytes = encode([{ domain: "a", route: "/" }]);
  const previous = { bytes, value: accepted(bytes) };
  const twice = encode([
    { domain: "a", route: "/" },
    { domain: "A", route: "/" },
  ]);
  const decoded = decodeResource(ROUTE_TYPE, twice, { previous });
  assert.ok(!decoded.ok);
  assert.match(
    decoded.issues[0]?.problem ?? "",
    /"A" is already virtual_hosts\[0\]\.domains\[0\]; domains must be unique/,
  );
});

test("an unchanged virtual host that comes twice is refused as without the version before", () => {
  const [a, b] = ["a", "b"].map((domain) => ({ domain, route: "/" }));
  assert.ok(a && b);
  const bytes = encode([a, b]);
  const decoded = decodeResource(ROUTE_TYPE, encode([b, a, b]), { previous: { bytes, value: accepted(bytes) } });
  assert.match(JSON.stringify(decoded), /virtual_hosts\[2\].*domains must be unique/);
});

test("bytes that are cut or changed anywhere decode as they do without the version before", () => {
  const bytes = encode([
    { domain: "a", route: "/" },
    { domain: "b", route: "/y" },
  ]);
  const previous = { bytes, value: accepted(bytes) };
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean(), (at, byte, isCut) => {
      const other = isCut ? bytes.slice(0, at) : bytes.slice();
      if (!isCut) other[at] = byte;
      const [decoded, alone] = [decodeResource(ROUTE_TYPE, other, { previous }), decodeResource(ROUTE_TYPE, other)];
      assert.equal(decoded.ok, alone.ok);
      if (decoded.ok && alone.ok)
        assert.deepEqual({ ...decoded.value, leavesBytes: true }, { ...alone.value, leavesBytes: true });
    }),
    { numRuns: 2_000 },
  );
  assert.ok(fromBinary(RouteConfigurationSchema, bytes).virtualHosts.length === 2);
});
