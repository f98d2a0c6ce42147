// The match of one route, compiled to tests of a request's head. Made by route-table.ts, tried by route-index.ts.
// Source: envoy.config.route.v3.RouteMatch. Hot path: `accepts` allocates nothing but what a regular expression needs.

import type { RequestHead } from "../http/message.ts";
import type { Runtime } from "../../xds/model/bootstrap.ts";
import type { PathMatcher, RouteMatch as MatchConfig } from "../../xds/model/route.ts";
import type { Candidate } from "./field-split.ts";
import {
  compileHeader,
  compileQuery,
  type Demand,
  demandsOf,
  type HeaderTest,
  lowerAscii,
  probabilityOf,
  type QueryTest,
} from "./matchers.ts";
import { compileFullMatch, literalPrefix } from "./regex.ts";
import { wireText } from "./request-value.ts";
import type { RouteMatch } from "./route-table.ts";

/** Parts of a match that a request does not meet; places of matchers in their lists. */
export interface Misses {
  readonly path: boolean;
  readonly grpc: boolean;
  readonly headers: readonly number[];
  readonly query: readonly number[];
}

/** What a match is compiled with; what cannot be compiled is noted in `problems`. */
export interface MatchContext {
  readonly runtime: Runtime;
  readonly problems: string[];
}

/** `target` is a request's path with its query, which begins at `end`: no string is cut for the common matchers. */
type PathTest = (target: string, end: number) => boolean;

export class CompiledRoute implements Candidate {
  readonly place: number;
  readonly match: RouteMatch;
  readonly key: Candidate["key"];
  readonly #pathTest: PathTest | undefined;
  readonly #isConnect: boolean;
  readonly #headers: readonly HeaderTest[];
  readonly #query: readonly QueryTest[];
  readonly #grpc: boolean;
  /** A request passes when its random number is below. */
  readonly #probability: number;

  constructor(place: number, match: RouteMatch, config: MatchConfig, { runtime, problems }: MatchContext) {
    this.place = place;
    this.match = match;
    this.key = pathKey(config.path);
    this.#pathTest = compilePath(config.path, problems);
    this.#isConnect = config.path.kind === "connect";
    this.#headers = config.headers.map((matcher) => compileHeader(matcher, problems));
    this.#query = config.queryParameters.map((matcher) => compileQuery(matcher, problems));
    this.#grpc = config.grpc;
    this.#probability = config.runtimeFraction === undefined ? 1 : probabilityOf(config.runtimeFraction, runtime);
  }

  /** The share of requests that its runtime fraction lets pass. */
  get probability(): number {
    return this.#probability;
  }

  demands(): readonly Demand[] {
    return this.match.route === undefined ? [] : demandsOf(this.match.route.match);
  }

  accepts(head: RequestHead, end: number, random: number): boolean {
    // A CONNECT request has no path, and only connect_matcher takes it.
    if (this.#isConnect ? head.method !== "CONNECT" : end === 0) {
      return false;
    }
    if (this.#pathTest !== undefined && !this.#pathTest(head.path, end)) {
      return false;
    }
    if (random >= this.#probability || (this.#grpc && !isGrpc(head))) {
      return false;
    }
    const headers = this.#headers;
    for (let i = 0; i < headers.length; i++) {
      if (!(headers[i] as HeaderTest)(head)) {
        return false;
      }
    }
    const query = this.#query;
    for (let i = 0; i < query.length; i++) {
      if (!(query[i] as QueryTest)(head.path, end)) {
        return false;
      }
    }
    return true;
  }

  /** What `accepts` finds wrong whatever the random number is, all of it: for explanations, not for requests. */
  misses(head: RequestHead, end: number): Misses {
    const isOther = this.#isConnect ? head.method !== "CONNECT" : end === 0;
    return {
      path: isOther || (this.#pathTest !== undefined && !this.#pathTest(head.path, end)),
      grpc: this.#grpc && !isGrpc(head),
      headers: this.#headers.flatMap((test, at) => (test(head) ? [] : [at])),
      query: this.#query.flatMap((test, at) => (test(head.path, end) ? [] : [at])),
    };
  }
}

function isGrpc(head: RequestHead): boolean {
  const type = head.headers.get("content-type");
  // `application/grpc-web` is another protocol.
  return type !== undefined && type.startsWith("application/grpc") && (type.length === 16 || type.charAt(16) === "+");
}

function pathKey(matcher: PathMatcher): Candidate["key"] {
  switch (matcher.kind) {
    case "path":
      return matcher.caseSensitive ? { kind: "exact", text: wireText(matcher.value) } : undefined;
    case "prefix":
    case "path_separated_prefix":
      return matcher.caseSensitive ? { kind: "prefix", text: wireText(matcher.value) } : undefined;
    case "regex": {
      const text = literalPrefix(matcher.value);
      return text === "" ? undefined : { kind: "prefix", text };
    }
    case "connect":
      return undefined;
  }
}

/** undefined accepts every path. */
function compilePath(matcher: PathMatcher, problems: string[]): PathTest | undefined {
  if (matcher.kind === "connect") {
    return undefined;
  }
  if (matcher.kind === "regex") {
    const compiled = compileFullMatch(matcher.value);
    if (!compiled.ok) {
      problems.push(compiled.problem);
      return () => false;
    }
    const { regex } = compiled;
    return (target, end) => regex.test(target.slice(0, end));
  }
  const wire = wireText(matcher.value);
  if (matcher.caseSensitive) {
    return plainPath(matcher.kind, wire);
  }
  const test = plainPath(matcher.kind, lowerAscii(wire));
  return (target, end) => test(lowerAscii(target), end);
}

function plainPath(kind: "prefix" | "path" | "path_separated_prefix", value: string): PathTest {
  switch (kind) {
    case "path":
      return (target, end) => end === value.length && target.startsWith(value);
    case "prefix":
      return (target, end) => end >= value.length && target.startsWith(value);
    case "path_separated_prefix":
      return (target, end) =>
        target.startsWith(value) &&
        (end === value.length || (end > value.length && target.charCodeAt(value.length) === 47));
  }
}
