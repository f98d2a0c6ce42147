// Endpoints kept as bytes: whatever they are, reading them late gives what decoding them at once would have given, and what is
// refused or remarked on is never kept as bytes.

import { create, fromBinary, fromJson, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeEndpoints } from "../../xds/decode/endpoints.ts";
import { inspectMessage } from "../../xds/decode/inspect.ts";
import { Findings } from "../../xds/decode/issues.ts";
import { plainEndpoints } from "../../xds/decode/plain-endpoints.ts";
import { PlainEndpoints } from "../../xds/endpoint-bytes.ts";
import { ClusterLoadAssignmentSchema } from "../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { ClusterLoadAssignment } from "../../xds/model/endpoints.ts";

type Init = MessageInitShape<typeof ClusterLoadAssignmentSchema>;

/** What the decoders make of the bytes; undefined where they would refuse them or remark on something. */
function decoded(bytes: Uint8Array): ClusterLoadAssignment | undefined {
  const findings = new Findings();
  try {
    const message = fromBinary(ClusterLoadAssignmentSchema, bytes);
    inspectMessage(ClusterLoadAssignmentSchema, message, "", findings, "warn");
    const value = decodeEndpoints(message, "ip", "", findings);
    return findings.issueCount + findings.warnings.length === 0 ? value : undefined;
  } catch {
    return undefined;
  }
}

/** As a worker has them. */
function posted(plain: PlainEndpoints): ClusterLoadAssignment {
  return new PlainEndpoints(structuredClone(plain));
}

function parts({ clusterName, localities, overprovisioningFactor, dropOverloads }: ClusterLoadAssignment) {
  return { clusterName, localities, overprovisioningFactor, dropOverloads };
}

/** Kept as bytes or not, the bytes come to the same; says whether they were kept. */
function check(bytes: Uint8Array): boolean {
  const plain = plainEndpoints(bytes);
  if (plain === undefined) return false;
  const whole = decoded(bytes);
  assert.ok(whole !== undefined, "what is kept as bytes is valid");
  assert.deepEqual(parts(posted(plain)), parts(whole));
  const endpoints = whole.localities.flatMap((locality) => locality.endpoints);
  const are = (...healths: string[]) => endpoints.filter(({ health }) => healths.includes(health)).length;
  const [healthy, degraded] = [are("unknown", "healthy"), are("degraded")];
  assert.deepEqual(plain.counted, { total: endpoints.length, healthy, degraded });
  const addresses = endpoints.map(({ address }) => JSON.stringify(address));
  assert.equal(new Set(addresses).size, addresses.length, "no address twice");
  return true;
}

const address = fc.record({
  address: fc.oneof(
    { weight: 20, arbitrary: fc.ipV4() },
    { weight: 5, arbitrary: fc.ipV6() },
    { weight: 1, arbitrary: fc.constantFrom("", "a.example", "1.2.3", "1.2.3.04", "256.1.1.1", "1.2.3.4.5", "::1%lo") },
  ),
  port: fc.oneof({ weight: 20, arbitrary: fc.nat(65_535) }, { weight: 1, arbitrary: fc.constantFrom(0, 65_536) }),
});
const often = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const seldom = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
const metadata = fc.constantFrom(
  { filterMetadata: { istio: { workload: "web;default" } } },
  { filterMetadata: { istio: { workload: "naïve" }, "envoy.transport_socket_match": { tlsMode: "istio" } } },
  { typedFilterMetadata: { a: { typeUrl: "type.googleapis.com/x", value: new Uint8Array([1]) } } },
);
const weight = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 1000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 0xffffffff) },
);
const lbEndpoint = fc
  .record({
    at: address,
    hostname: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom("", "web") },
      { weight: 1, arbitrary: fc.constant("naïve") },
    ),
    health: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(0, 1, 2, 3, 4, 5) },
      { weight: 1, arbitrary: fc.constant(9) },
    ),
    weight: often(weight),
    metadata: often(metadata),
    checked: seldom(fc.constant({ portValue: 1 })),
  })
  .map(({ at, hostname, health, checked, ...rest }) => ({
    hostIdentifier: {
      case: "endpoint" as const,
      value: {
        hostname,
        ...(checked === undefined ? {} : { healthCheckConfig: checked }),
        address: {
          address: {
            case: "socketAddress" as const,
            value: { address: at.address, portSpecifier: { case: "portValue" as const, value: at.port } },
          },
        },
      },
    },
    healthStatus: health,
    ...(rest.weight === undefined ? {} : { loadBalancingWeight: rest.weight }),
    ...(rest.metadata === undefined ? {} : { metadata: rest.metadata }),
  }));
const group = fc
  .record({
    lbEndpoints: fc.array(lbEndpoint, { maxLength: 4 }),
    locality: often(fc.constantFrom({ region: "eu", zone: "eu-1" }, { subZone: "rack" }, {})),
    loadBalancingWeight: often(weight),
    priority: fc.oneof({ weight: 10, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.constantFrom(128, 129) }),
    metadata: seldom(metadata),
  })
  .map((each) => Object.fromEntries(Object.entries(each).filter(([, value]) => value !== undefined)));
const assignment = fc
  .record({
    clusterName: fc.oneof(
      { weight: 9, arbitrary: fc.constant("web") },
      { weight: 1, arbitrary: fc.constantFrom("", "naïve") },
    ),
    endpoints: fc.array(group, { maxLength: 3 }),
    policy: seldom(fc.constant({ overprovisioningFactor: 150 })),
  })
  .map(({ policy, ...rest }) => ({ ...rest, ...(policy === undefined ? {} : { policy }) }) as Init);

const encode = (init: Init) => toBinary(ClusterLoadAssignmentSchema, create(ClusterLoadAssignmentSchema, init));

test("endpoints read late are those that decoding at once gives", () => {
  let kept = 0;
  let others = 0;
  fc.assert(
    fc.property(assignment, (init) => {
      if (check(encode(init))) kept++;
      else others++;
    }),
    { numRuns: 1000 },
  );
  assert.ok(kept > 150 && others > 150, `${kept} kept as bytes, ${others} decoded`);
});

test("bytes that somebody changed are decoded, or are as good as decoded", () => {
  let kept = 0;
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    kind: fc.constantFrom("set", "insert", "delete", "cut"),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(0x08, 0x0a, 0x10, 0x12, 0x18, 0x1a, 0x22, 0x28, 0x80, 0)),
  });
  fc.assert(
    fc.property(assignment, fc.array(change, { minLength: 1, maxLength: 3 }), (init, changes) => {
      let bytes = [...encode(init)];
      for (const { at, kind, byte } of changes) {
        const place = Math.floor(at * bytes.length);
        if (kind === "cut") bytes = bytes.slice(0, place);
        else bytes.splice(place, kind === "insert" ? 0 : 1, ...(kind === "delete" ? [] : [byte]));
      }
      if (check(Uint8Array.from(bytes))) kept++;
    }),
    { numRuns: 3000 },
  );
  assert.ok(kept > 20, `${kept} kept as bytes`);
});

test("random bytes never make it throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void check(bytes)));
});

test("as istiod sends them, with metadata and localities, endpoints are kept as bytes, and metadata that they share travels once", () => {
  const endpoint = (ip: string) => ({
    endpoint: { address: { socketAddress: { address: ip, portValue: 8080 } } },
    healthStatus: "HEALTHY",
    loadBalancingWeight: 1,
    metadata: {
      filterMetadata: {
        istio: { workload: "web;default;web;v1" },
        "envoy.transport_socket_match": { tlsMode: "istio" },
      },
    },
  });
  const locality = { region: "eu", zone: "eu-1" };
  const lbEndpoints = [endpoint("10.0.0.1"), endpoint("fd00::1")];
  const message = { clusterName: "web", endpoints: [{ locality, loadBalancingWeight: 2, lbEndpoints }] };
  const bytes = toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, message));
  assert.ok(check(bytes));
  assert.equal(plainEndpoints(bytes)?.metadata.length, 1);
});
