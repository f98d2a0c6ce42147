// Trees of matchers, compiled: what they say of a stream as far as it has come. Used by matched-filter.ts.
// Source: ListMatcher, ExactMapMatcher, PrefixMapMatcher and the field matchers of Envoy's common/matcher, IpRangeMatcher and
// DomainTrieMatcher of its extensions/common/matcher.

import type { ExecuteFilter, MatchRange, MatchTree, OnMatch, Predicate } from "../../xds/model/match-tree.ts";
import { compileString } from "../route/matchers.ts";
import { wireText } from "../route/request-value.ts";
import { IpRanges } from "./ip-ranges.ts";
import { compileInput, type MatchData, OPEN, type Read } from "./match-input.ts";

/** "open": what decides it has not come. */
export type Verdict = "skip" | "none" | "open" | ExecuteFilter;

export type MatchTest = (data: MatchData) => Verdict;

type PredicateTest = (data: MatchData) => boolean | "open";

/** The process's own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The decoder has refused patterns that do not compile. */
export function compileMatchTree({ branches, onNoMatch }: MatchTree, environment: Environment): MatchTest {
  const otherwise = compileOnMatch(onNoMatch, environment);
  switch (branches?.kind) {
    case undefined:
      return otherwise;
    case "list": {
      const list = branches.list.map(({ onMatch, predicate }) => ({
        holds: compilePredicate(predicate, environment),
        onMatch: compileOnMatch(onMatch, environment),
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
      const map = new Map(branches.map.map(([key, then]) => [wireText(key), compileOnMatch(then, environment)]));
      const candidates = branches.by === "exact" ? exactKey : prefixKeys([...map.keys()]);
      const find = (value: string): readonly MatchTest[] => candidates(value).flatMap((key) => map.get(key) ?? []);
      return firstOf(compileInput(branches.input, environment), find, otherwise);
    }
    case "domains": {
      const names = new Map(branches.names.map(([name, then]) => [wireText(name), compileOnMatch(then, environment)]));
      const longest = names.keys().reduce((most, name) => Math.max(most, name.length), 0);
      const find = (value: string): readonly MatchTest[] =>
        wildcardsOf(value, longest).flatMap((name) => names.get(name) ?? []);
      return firstOf(compileInput(branches.input, environment), find, otherwise);
    }
    case "ranges": {
      const find = rangeFinder(branches.ranges, environment);
      return firstOf(compileInput(branches.input, environment), find, otherwise);
    }
  }
}

/** What is found of the value, in order, until one has an answer. */
function firstOf(read: Read, find: (value: string) => readonly MatchTest[], otherwise: MatchTest): MatchTest {
  return (data) => {
    const value = read(data);
    if (value === OPEN) {
      return "open";
    }
    for (const onMatch of value === undefined ? [] : find(value)) {
      const verdict = onMatch(data);
      if (verdict !== "none") {
        return verdict;
      }
    }
    return otherwise(data);
  };
}

/** The longest range decides, then those that are not exclusive. */
function rangeFinder(list: readonly MatchRange[], environment: Environment): (value: string) => readonly MatchTest[] {
  const ranges = new IpRanges(
    list.map(({ isExclusive, onMatch, range }) => [range, { isExclusive, test: compileOnMatch(onMatch, environment) }]),
  );
  return (value) =>
    (ranges.find(value) ?? []).flatMap(({ isExclusive, test }, i) => (i > 0 && isExclusive ? [] : test));
}

/** The name, then its wildcards, the longest first, as far as there may be such: a field may be all dots. */
function wildcardsOf(name: string, longest: number): readonly string[] {
  if (name === "") {
    return [];
  }
  const names = name.length <= longest ? [name] : [];
  const first = Math.max(0, name.length + 1 - longest);
  for (let dot = name.indexOf(".", first); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    names.push(`*${name.slice(dot)}`);
  }
  return [...names, "*"];
}

function compileOnMatch(onMatch: OnMatch | undefined, environment: Environment): MatchTest {
  switch (onMatch?.kind) {
    case undefined:
      return () => "none";
    case "skip":
      return () => "skip";
    case "execute": {
      const { action } = onMatch;
      return () => action;
    }
    case "tree":
      return compileMatchTree(onMatch.tree, environment);
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

function compilePredicate(predicate: Predicate, environment: Environment): PredicateTest {
  switch (predicate.kind) {
    case "value": {
      const read = compileInput(predicate.input, environment);
      const test = compileString(predicate.matcher, []);
      return (data) => {
        const value = read(data);
        return value === OPEN ? "open" : value !== undefined && test?.(value) === true;
      };
    }
    case "ip": {
      const read = compileInput(predicate.input, environment);
      const ranges = new IpRanges(predicate.ranges.map((range) => [range, true]));
      return (data) => {
        const value = read(data);
        return value === OPEN ? "open" : value !== undefined && (ranges.find(value)?.length ?? 0) > 0;
      };
    }
    case "constant":
      return () => predicate.holds;
    case "not": {
      const inner = compilePredicate(predicate.predicate, environment);
      return (data) => {
        const result = inner(data);
        return result === "open" ? "open" : !result;
      };
    }
    case "and": {
      const all = predicate.predicates.map((each) => compilePredicate(each, environment));
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
      const some = predicate.predicates.map((each) => compilePredicate(each, environment));
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
