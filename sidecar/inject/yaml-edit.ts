// Operations of a patch on a YAML document, so that comments, order and style of the rest stay. A document may say one thing in two places
// (`&anchor` and `*alias`, `<<` merges): what is edited is written out first, so that an edit never shows anywhere else.

import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { type Json, type Operation, pointerOf } from "./json-patch.ts";

/** Applies `operations`, whose paths begin at `base`, in place. */
export function editDocument(
  document: Document,
  base: readonly (string | number)[],
  operations: readonly Operation[],
): void {
  for (const operation of operations) {
    const path = [...base, ...operation.path];
    const parent = editableAt(document, path.slice(0, -1));
    const last = path[path.length - 1] as string | number;
    const old = childOf(document, parent, last);
    if (isNode(old)) {
      writeOutAliases(document, old);
    }
    if (operation.op === "remove") {
      parent.delete(last);
    } else if (isSeq(parent)) {
      putInto(document, parent, Number(last), operation);
    } else {
      set(document, parent, String(last), operation.value);
    }
  }
}

/** The collection at `path`, one that nothing else in the document refers to. */
function editableAt(document: Document, path: readonly (string | number)[]): YAMLMap | YAMLSeq {
  let node: unknown = document.contents;
  if (isNode(node)) {
    writeOutAliases(document, node);
  }
  for (const part of path) {
    if (!isMap(node) && !isSeq(node)) {
      throw new TypeError(`Cannot edit ${pointerOf(path)}: its parent is not there`);
    }
    let child = childOf(document, node, part);
    if (isAlias(child)) {
      const copy = copyOf(document, child);
      replaceChild(node, part, copy);
      child = copy;
    } else if (isMap(node) && !node.has(part) && isNode(child)) {
      // It comes by `<<`.
      const copy = cloneOf(child);
      node.set(part, copy);
      child = copy;
    } else if (isNode(child)) {
      writeOutAliases(document, child);
    }
    node = child;
  }
  if (!isMap(node) && !isSeq(node)) {
    throw new TypeError(`Cannot edit ${pointerOf(path)}: it is no collection`);
  }
  return node;
}

function childOf(document: Document, node: YAMLMap | YAMLSeq, part: string | number): unknown {
  return node.get(part, true) ?? (isMap(node) ? mergedChild(document, node, String(part)) : undefined);
}

/** The value that a key gets by `<<: *one` or `<<: [*one, *other]`; the first that has it. */
function mergedChild(document: Document, map: YAMLMap, key: string): unknown {
  for (const { key: name, value } of map.items) {
    if (!isScalar(name) || !isMergeKey(name.value)) {
      continue;
    }
    for (const source of isSeq(value) ? value.items : [value]) {
      const resolved = isAlias(source) ? source.resolve(document) : source;
      const child = isMap(resolved) ? childOf(document, resolved, key) : undefined;
      if (child !== undefined) {
        return child;
      }
    }
  }
  return undefined;
}

/** The library makes a symbol of the key where it means a merge. */
function isMergeKey(key: unknown): boolean {
  return key === "<<" || (typeof key === "symbol" && key.description === "<<");
}

function replaceChild(parent: YAMLMap | YAMLSeq, part: string | number, child: Node): void {
  if (isSeq(parent)) {
    parent.items[Number(part)] = child;
  } else {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === part);
    if (pair !== undefined) {
      pair.value = child;
    }
  }
}

/** Where aliases refer to `node`, its content is written there, and the anchor goes. */
function writeOutAliases(document: Document, node: Node): void {
  if (isAlias(node) || node.anchor === undefined) {
    return;
  }
  const { anchor } = node;
  let referred = false;
  visit(document, {
    Alias: (_, alias) => {
      if (alias.source === anchor && alias.resolve(document) === node) {
        referred = true;
        return cloneOf(node);
      }
      return undefined;
    },
  });
  if (referred) {
    delete node.anchor;
  }
}

function copyOf(document: Document, alias: Alias): Node {
  const resolved = alias.resolve(document);
  if (resolved === undefined) {
    throw new TypeError(`Cannot resolve *${alias.source}`);
  }
  return cloneOf(resolved);
}

/** A copy without anchors. */
function cloneOf(node: Node): Node {
  const copy = node.clone() as Node;
  visit(copy, {
    Node: (_, each) => {
      if (!isAlias(each)) {
        delete each.anchor;
      }
    },
  });
  return copy;
}

function putInto(
  document: Document,
  list: YAMLSeq,
  index: number,
  operation: Exclude<Operation, { op: "remove" }>,
): void {
  const node = nodeOf(document, operation.value);
  if (operation.op === "replace") {
    list.items[index] = node;
    return;
  }
  const first = list.items[0];
  if (index === 0 && isNode(first) && typeof list.commentBefore === "string") {
    // A comment above the first element is about that element.
    first.commentBefore = [list.commentBefore, first.commentBefore]
      .filter((text) => typeof text === "string")
      .join("\n");
    list.commentBefore = null;
  }
  if (list.items.length === 0) {
    list.flow = false;
  }
  list.items.splice(index, 0, node);
}

function set(document: Document, map: YAMLMap, key: string, value: Json): void {
  if (map.items.length === 0) {
    map.flow = false;
  }
  const isPlain = typeof value !== "object" || value === null;
  const old = map.get(key, true);
  if (isPlain && isScalar(old)) {
    // Keeps its comment; how the old value was written says nothing about the new one.
    const fresh = nodeOf(document, value);
    if (isScalar(fresh)) {
      fresh.comment = old.comment ?? null;
      fresh.commentBefore = old.commentBefore ?? null;
    }
    replaceChild(map, key, fresh);
    return;
  }
  const node = nodeOf(document, value);
  if (isCollection(node)) {
    node.flow = false;
  }
  map.set(key, node);
}

/** Values of a patch share parts; in a document each is written out. */
function nodeOf(document: Document, value: Json): Node {
  return document.createNode(value, { aliasDuplicateObjects: false });
}
