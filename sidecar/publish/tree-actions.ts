// The filters that a tree of matchers may have executed, and the tree with others in their place. Used for their plugins by
// filter-plugins.ts, and by filter-slot.ts, which compiles them. Pure.

import type { ExecuteFilter, MatchBranches, MatchTree, OnMatch } from "../../xds/model/match-tree.ts";

export function actionsOf({ branches, onNoMatch }: MatchTree): readonly ExecuteFilter[] {
  return [...onMatchesOf(branches), ...(onNoMatch === undefined ? [] : [onNoMatch])].flatMap((onMatch) =>
    onMatch.kind === "execute" ? onMatch.action : onMatch.kind === "tree" ? actionsOf(onMatch.tree) : [],
  );
}

/** The same object where there are none. */
export function withActions(tree: MatchTree, change: (action: ExecuteFilter) => ExecuteFilter): MatchTree {
  if (actionsOf(tree).length === 0) {
    return tree;
  }
  const changed = (onMatch: OnMatch): OnMatch =>
    onMatch.kind === "execute"
      ? { kind: "execute", action: change(onMatch.action) }
      : onMatch.kind === "tree"
        ? { kind: "tree", tree: withActions(onMatch.tree, change) }
        : onMatch;
  const { branches, onNoMatch } = tree;
  return {
    branches: branches === undefined ? undefined : changedBranches(branches, changed),
    onNoMatch: onNoMatch === undefined ? undefined : changed(onNoMatch),
  };
}

function onMatchesOf(branches: MatchBranches | undefined): readonly OnMatch[] {
  switch (branches?.kind) {
    case undefined:
      return [];
    case "list":
      return branches.list.map(({ onMatch }) => onMatch);
    case "map":
      return branches.map.map(([, onMatch]) => onMatch);
    case "ranges":
      return branches.ranges.map(({ onMatch }) => onMatch);
    case "domains":
      return branches.names.map(([, onMatch]) => onMatch);
  }
}

function changedBranches(branches: MatchBranches, changed: (onMatch: OnMatch) => OnMatch): MatchBranches {
  switch (branches.kind) {
    case "list":
      return { ...branches, list: branches.list.map((each) => ({ ...each, onMatch: changed(each.onMatch) })) };
    case "map":
      return { ...branches, map: branches.map.map(([key, onMatch]) => [key, changed(onMatch)]) };
    case "ranges":
      return { ...branches, ranges: branches.ranges.map((each) => ({ ...each, onMatch: changed(each.onMatch) })) };
    case "domains":
      return { ...branches, names: branches.names.map(([name, onMatch]) => [name, changed(onMatch)]) };
  }
}
