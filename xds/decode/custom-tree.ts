// Trees of matchers that are extensions → model: ranges of addresses, and names with wildcards. Called by match-tree.ts, which
// decodes what is below them.

import type { Message } from "@bufbuild/protobuf";
import type { TypedExtensionConfig } from "../gen/xds/core/v3/extension_pb.ts";
import type { ServerNameMatcher } from "../gen/xds/type/matcher/v3/domain_pb.ts";
import type { IPMatcher } from "../gen/xds/type/matcher/v3/ip_pb.ts";
import type { Matcher_OnMatch as OnMatchMessage } from "../gen/xds/type/matcher/v3/matcher_pb.ts";
import type { MatchBranches, MatchInput, OnMatch } from "../model/match-tree.ts";
import { decodeCidrRange } from "./address.ts";
import { unpackAny } from "./any.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

const IP: IPMatcher["$typeName"] = "xds.type.matcher.v3.IPMatcher";
const SERVER_NAME: ServerNameMatcher["$typeName"] = "xds.type.matcher.v3.ServerNameMatcher";

export type DecodeOnMatch = (message: OnMatchMessage, path: string, findings: Findings) => OnMatch | undefined;

export function decodeCustomTree(
  config: TypedExtensionConfig,
  input: MatchInput | undefined,
  path: string,
  findings: Findings,
  decodeOnMatch: DecodeOnMatch,
): MatchBranches | undefined {
  if (config.typedConfig === undefined) {
    findings.issue(path, "needs typed_config");
    return undefined;
  }
  const { message, problem, typeName } = unpackAny(config.typedConfig);
  if (problem !== undefined) return undefined;
  const at = child(path, "typed_config");
  switch (message === undefined ? "" : typeName) {
    case IP:
      return decodeRanges(message as Message & IPMatcher, input, at, findings, decodeOnMatch);
    case SERVER_NAME:
      return decodeNames(message as Message & ServerNameMatcher, input, at, findings, decodeOnMatch);
    default:
      findings.issue(path, `${typeName} is not supported; supported: ${IP}, ${SERVER_NAME}`);
      return undefined;
  }
}

function decodeRanges(
  { rangeMatchers }: IPMatcher,
  input: MatchInput | undefined,
  path: string,
  findings: Findings,
  decodeOnMatch: DecodeOnMatch,
): MatchBranches | undefined {
  const ranges = rangeMatchers.flatMap(({ exclusive: isExclusive, onMatch, ranges: list }, index) => {
    const at = item(child(path, "range_matchers"), index);
    const then = required(onMatch, at, findings, decodeOnMatch);
    const decoded = decodeEach(list, child(at, "ranges"), findings, decodeCidrRange);
    return then === undefined ? [] : decoded.map((range) => ({ range, isExclusive, onMatch: then }));
  });
  return input === undefined ? undefined : { kind: "ranges", input, ranges };
}

function decodeNames(
  { domainMatchers }: ServerNameMatcher,
  input: MatchInput | undefined,
  path: string,
  findings: Findings,
  decodeOnMatch: DecodeOnMatch,
): MatchBranches | undefined {
  const names = new Map<string, OnMatch>();
  for (const [index, { domains, onMatch }] of domainMatchers.entries()) {
    const at = item(child(path, "domain_matchers"), index);
    const then = required(onMatch, at, findings, decodeOnMatch);
    for (const [place, domain] of domains.entries()) {
      const issue = names.has(domain) ? "is there already" : wildcardProblem(domain);
      if (issue !== undefined) {
        findings.issue(item(child(at, "domains"), place), `${quoted(domain)} ${issue}`);
      } else if (then !== undefined) {
        names.set(domain, then);
      }
    }
  }
  return input === undefined ? undefined : { kind: "domains", input, names: [...names] };
}

function required(
  message: OnMatchMessage | undefined,
  path: string,
  findings: Findings,
  decodeOnMatch: DecodeOnMatch,
): OnMatch | undefined {
  const at = child(path, "on_match");
  if (message !== undefined) return decodeOnMatch(message, at, findings);
  findings.issue(at, "is required");
  return undefined;
}

function wildcardProblem(domain: string): string | undefined {
  if (domain === "") return "must not be empty";
  const star = domain.lastIndexOf("*");
  const isGood = star < 0 || domain === "*" || (star === 0 && domain[1] === "." && domain.length > 2);
  return isGood ? undefined : 'may have a wildcard only as "*" or in front, as "*.domain"';
}
