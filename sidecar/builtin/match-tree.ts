// Trees of matchers, compiled: what they say of a stream as far as it has come. Used by matched-filter.ts.
// Source: ListMatcher, ExactMapMatcher, PrefixMapMatcher and the field matchers of Envoy's common/matcher. A field that the
// message lacks is no value: no matcher takes it. A message that has not come yet is different: the answer waits for it.

import type { MatchInput, MatchTree, OnMatch, Predicate } from "../../xds/model/match-tree.ts";
import type { HeaderMap } from "../http/headers.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import { responseField } from "../http/pseudo-headers.ts";
import type { StreamFacts } from "../telemetry/stream-facts.ts";
import { compileString } from "../route/matchers.ts";
import { firstParameter } from "./query-parameters.ts";
import { requestValue, wireText } from "../route/request-value.ts";

/** What of a stream has come to the filter. */
export interface MatchData {
  readonly facts: StreamFacts;
  request: RequestHead | undefined;
  requestTrailers: HeaderMap | undefined;
  response: ResponseHead | undefined;
  responseTrailers: HeaderMap | undefined;
}

/** "open": what decides it has not come. */
export type Verdict = "skip" | "none" | "open";

export type MatchTest = (data: MatchData) => Verdict;

type PredicateTest = (data: MatchData) => boolean | "open";

/** undefined: the message has no such field. */
type Read = (data: MatchData) => string | undefined | typeof OPEN;

const OPEN: unique symbol = Symbol("open");

/** The decoder has refused patterns that do not compile. */
export function compileMatchTree({ branches, onNoMatch }: MatchTree): MatchTest {
  const otherwise = compileOnMatch(onNoMatch);
  switch (branches?.kind) {
    case undefined:
      return otherwise;
    case "list": {
      const list = branches.list.map(({ onMatch, predicate }) => ({
        holds: compilePredicate(predicate),
        onMatch: compileOnMatch(onMatch),
      }));
      return (data) => {
        for (const { holds, onMatch } of list) {
          const result = holds(data);
          const verdict = result === "open" ? "open" : result ? onMatch(data) : "none";
          // A tree below that matches nothing lets the next in the list try.
          if (verdict !== "none") {
            return verdict;
          }
        }
        return otherwise(data);
      };
    }
    case "map": {
      const read = compileInput(branches.input);
      const map = new Map(branches.map.map(([key, onMatch]) => [wireText(key), compileOnMatch(onMatch)]));
      const candidates = branches.by === "exact" ? exactKey : prefixKeys([...map.keys()]);
      return (data) => {
        const value = read(data);
        if (value === OPEN) {
          return "open";
        }
        for (const key of value === undefined ? [] : candidates(value)) {
          const verdict = map.get(key)?.(data) ?? "none";
          if (verdict !== "none") {
            return verdict;
          }
        }
        return otherwise(data);
      };
    }
  }
}

function compileOnMatch(onMatch: OnMatch | undefined): MatchTest {
  switch (onMatch?.kind) {
    case undefined:
      return () => "none";
    case "skip":
      return () => "skip";
    case "tree":
      return compileMatchTree(onMatch.tree);
  }
}

function exactKey(value: string): readonly string[] {
  return [value];
}

/** Keys that begin a value, the longest first. */
function prefixKeys(keys: readonly string[]): (value: string) => readonly string[] {
  const longestFirst = keys.toSorted((a, b) => b.length - a.length);
  return (value) => longestFirst.filter((key) => value.startsWith(key));
}

function compilePredicate(predicate: Predicate): PredicateTest {
  switch (predicate.kind) {
    case "value": {
      const read = compileInput(predicate.input);
      const test = compileString(predicate.matcher, []);
      return (data) => {
        const value = read(data);
        return value === OPEN ? "open" : value !== undefined && test?.(value) === true;
      };
    }
    case "not": {
      const inner = compilePredicate(predicate.predicate);
      return (data) => {
        const result = inner(data);
        return result === "open" ? "open" : !result;
      };
    }
    case "and": {
      const all = predicate.predicates.map(compilePredicate);
      // The first that is open or false decides, in order.
      return (data) => {
        for (const test of all) {
          const result = test(data);
          if (result !== true) {
            return result;
          }
        }
        return true;
      };
    }
    case "or": {
      const some = predicate.predicates.map(compilePredicate);
      return (data) => {
        let answer: boolean | "open" = false;
        for (const test of some) {
          const result = test(data);
          if (result === true) {
            return true;
          }
          answer = result === "open" ? "open" : answer;
        }
        return answer;
      };
    }
  }
}

function statusClass(status: number): string | undefined {
  return status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : undefined;
}

function compileInput({ name, of }: MatchInput): Read {
  switch (of) {
    case "request":
      return ({ request }) => (request === undefined ? OPEN : requestValue(request, name));
    case "response":
      return ({ response }) => (response === undefined ? OPEN : responseField(response, name));
    case "request_trailers":
      return ({ requestTrailers }) => (requestTrailers === undefined ? OPEN : requestTrailers.getJoined(name));
    case "response_trailers":
      return ({ responseTrailers }) => (responseTrailers === undefined ? OPEN : responseTrailers.getJoined(name));
    case "query_parameter": {
      const wireName = wireText(name);
      return ({ request }) => (request === undefined ? OPEN : firstParameter(request.path, wireName));
    }
    case "source_ip":
      return ({ facts }) => (facts.remoteAddress === "" ? undefined : facts.remoteAddress);
    case "source_port":
      return ({ facts }) => String(facts.remotePort);
    case "direct_source_ip":
      return ({ facts }) => facts.connection.remoteAddress;
    case "destination_ip":
      return ({ facts }) => facts.connection.localAddress;
    case "destination_port":
      return ({ facts }) => String(facts.connection.localPort);
    case "server_name":
      return ({ facts }) => (facts.requestedServerName === "" ? undefined : facts.requestedServerName);
    case "status":
      return ({ response }) => (response === undefined ? OPEN : String(response.status));
    case "status_class":
      return ({ response }) => (response === undefined ? OPEN : statusClass(response.status));
  }
}
