// Matchers that are extensions, of one value → model: addresses in ranges, and metadata. Called by match-tree.ts.

import type { Ip } from "../gen/envoy/extensions/matching/input_matchers/ip/v3/ip_pb.ts";
import type { Metadata } from "../gen/envoy/extensions/matching/input_matchers/metadata/v3/metadata_pb.ts";
import type { TypedExtensionConfig } from "../gen/xds/core/v3/extension_pb.ts";
import type { Predicate } from "../model/match-tree.ts";
import { decodeCidrRange } from "./address.ts";
import { unpackAny } from "./any.ts";
import { child, type Findings } from "./issues.ts";
import { decodeMatchInput, decodeTextInput } from "./match-input.ts";
import { decodeEach } from "./matcher.ts";

const IP: Ip["$typeName"] = "envoy.extensions.matching.input_matchers.ip.v3.Ip";
const METADATA: Metadata["$typeName"] = "envoy.extensions.matching.input_matchers.metadata.v3.Metadata";

/** `at`: the path of the predicate. */
export function decodeCustomMatch(
  custom: TypedExtensionConfig,
  input: TypedExtensionConfig | undefined,
  at: string,
  findings: Findings,
): Predicate | undefined {
  const path = child(at, "custom_match");
  const inputPath = child(at, "input");
  if (custom.typedConfig === undefined) {
    findings.issue(path, "needs typed_config");
    return undefined;
  }
  const { message, problem, typeName } = unpackAny(custom.typedConfig);
  if (problem !== undefined) return undefined;
  switch (message === undefined ? "" : typeName) {
    case IP: {
      const ranges = child(path, "typed_config.cidr_ranges");
      const of = decodeTextInput(input, inputPath, findings);
      const list = decodeEach((message as Ip).cidrRanges, ranges, findings, decodeCidrRange);
      return of === undefined ? undefined : { kind: "ip", input: of, ranges: list };
    }
    case METADATA: {
      const of = decodeMatchInput(input, inputPath, findings);
      if (of === undefined) return undefined;
      // Nothing here sets dynamic metadata, and no matcher takes a value that is not there; nor does this one anything else than metadata.
      return { kind: "constant", holds: of.of === "dynamic_metadata" && (message as Metadata).invert };
    }
    default:
      findings.issue(path, `${typeName} is not supported; supported: ${IP}, ${METADATA}`);
      return undefined;
  }
}
