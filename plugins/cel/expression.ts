// A CEL expression that a plugin made (foreign function expr_create): parsed and checked once, evaluated often.
// Written here, and not taken from a library, because a plugin's expression must not run on without end: every step of it
// is paid for, with the plugin's fuel and out of a budget of its own.

import { partOf, type PropertyItem } from "../property-value.ts";
import { type CelCosts, FUNCTIONS, PART_STEPS } from "./functions.ts";
import { type Node, parse } from "./syntax.ts";
import { CelSyntaxError } from "./tokens.ts";
import { CelError, isList, isMap, isNumber, isObject, typeOf } from "./values.ts";

/** Steps of one evaluation; a step is about one node of the tree, and takes some 50 ns. */
const MAX_STEPS = 100_000;
/** The tree is walked by recursion. */
const MAX_TREE_DEPTH = 400;

export type CelCompiled =
  | { readonly ok: true; readonly expression: CelExpression }
  | { readonly ok: false; readonly problem: string };

/** What an expression sees. */
export interface CelScope {
  /** undefined: there is no such variable. */
  variable(name: string): PropertyItem | undefined;
  matches(text: string, pattern: string): boolean | undefined;
}

export interface CelOutcome {
  /** undefined: the expression has no value; `problem` says why. */
  readonly value: PropertyItem | undefined;
  readonly problem: string;
  readonly steps: number;
}

/** Refuses what is no expression, and functions that do not exist with so many arguments. */
export function compileCel(source: string): CelCompiled {
  try {
    const tree = parse(source);
    check(tree);
    return { ok: true, expression: new CelExpression(tree) };
  } catch (error) {
    if (error instanceof CelSyntaxError) return { ok: false, problem: error.message };
    throw error;
  }
}

function check(node: Node, depth = 0): void {
  if (depth > MAX_TREE_DEPTH) throw new CelSyntaxError("too deep", 0);
  if (node.kind === "call" && FUNCTIONS.get(node.name)?.arity.includes(node.args.length) !== true) {
    throw new CelSyntaxError(`no function ${node.name} of ${node.args.length} arguments`, 0);
  }
  for (const child of childrenOf(node)) check(child, depth + 1);
}

function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case "literal":
    case "ident":
      return [];
    case "select":
      return [node.operand];
    case "index":
      return [node.operand, node.index];
    case "call":
      return node.args;
    case "and":
    case "or":
      return [node.left, node.right];
    case "condition":
      return [node.test, node.yes, node.no];
    case "list":
      return node.items;
    case "map":
      return node.entries.flat();
    case "loop":
      return [node.range, node.test, node.result].filter((child) => child !== undefined);
  }
}

export class CelExpression {
  readonly #tree: Node;

  constructor(tree: Node) {
    this.#tree = tree;
  }

  /** Never throws. */
  evaluate(scope: CelScope): CelOutcome {
    const run = new Evaluation(scope);
    try {
      return { value: run.value(this.#tree), problem: "", steps: run.steps };
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      return { value: undefined, problem: error.message, steps: run.steps };
    }
  }
}

class Evaluation implements CelCosts {
  steps = 0;
  readonly #scope: CelScope;
  /** Variables of the macros around, the innermost last. */
  readonly #locals: [string, PropertyItem][] = [];

  constructor(scope: CelScope) {
    this.#scope = scope;
  }

  spend(steps: number): void {
    this.steps += steps;
    if (this.steps > MAX_STEPS) throw new CelError(`more than ${MAX_STEPS} steps`);
  }

  matches(text: string, pattern: string): boolean | undefined {
    return this.#scope.matches(text, pattern);
  }

  value(node: Node): PropertyItem {
    this.spend(1);
    switch (node.kind) {
      case "literal":
        return node.value;
      case "ident":
        return this.#variable(node.name);
      case "select":
        return this.#select(this.value(node.operand), node.field, node.test);
      case "index":
        return indexed(this.value(node.operand), this.value(node.index));
      case "call":
        return this.#call(node.name, node.args);
      case "and":
        return this.#decide(node.left, node.right, false);
      case "or":
        return this.#decide(node.left, node.right, true);
      case "condition":
        return this.value(this.#truth(node.test) ? node.yes : node.no);
      case "list":
        return { kind: "list", items: node.items.map((item) => this.value(item)) };
      case "map":
        return this.#map(node.entries);
      case "loop":
        return this.#loop(node);
    }
  }

  #variable(name: string): PropertyItem {
    this.spend(PART_STEPS);
    const local = this.#locals.findLast(([each]) => each === name);
    const value = local === undefined ? this.#scope.variable(name) : local[1];
    if (value === undefined) throw new CelError(`no such variable: ${name}`);
    return value;
  }

  #select(operand: PropertyItem, field: string, isTest: boolean): PropertyItem {
    if (!isMap(operand) && !isObject(operand)) throw new CelError(`${typeOf(operand)} has no fields`);
    this.spend(PART_STEPS);
    const part = partOf(operand, field);
    if (isTest) return part !== undefined;
    if (part === undefined) throw new CelError(`no such key: ${field}`);
    return part;
  }

  #call(name: string, nodes: readonly Node[]): PropertyItem {
    const args: PropertyItem[] = [];
    for (const node of nodes) args.push(this.value(node));
    const found = FUNCTIONS.get(name);
    if (found === undefined) throw new CelError(`no such function: ${name}`);
    return found.run(args, this);
  }

  /** `&&` and `||` in either order: one side that decides is enough, whatever is wrong with the other. */
  #decide(left: Node, right: Node, deciding: boolean): boolean {
    const first = this.#attempt(left);
    if (first === deciding) return deciding;
    const second = this.#attempt(right);
    if (second === deciding) return deciding;
    if (first instanceof CelError) throw first;
    if (second instanceof CelError) throw second;
    return !deciding;
  }

  #attempt(node: Node): boolean | CelError {
    const depth = this.#locals.length;
    try {
      return this.#truth(node);
    } catch (error) {
      if (!(error instanceof CelError) || this.steps > MAX_STEPS) throw error;
      this.#locals.length = depth;
      return error;
    }
  }

  #truth(node: Node): boolean {
    const value = this.value(node);
    if (typeof value !== "boolean") throw new CelError(`${typeOf(value)} is no truth value`);
    return value;
  }

  #map(entries: readonly (readonly [Node, Node])[]): PropertyItem {
    const made = new Map<string, PropertyItem>();
    for (const [keyNode, valueNode] of entries) {
      const key = this.value(keyNode);
      if (typeof key !== "string") throw new CelError(`maps with ${typeOf(key)} keys are not supported`);
      if (made.has(key)) throw new CelError(`key twice: ${key}`);
      made.set(key, this.value(valueNode));
    }
    return { kind: "map", entries: [...made], get: (name) => made.get(name) };
  }

  #loop(node: Extract<Node, { readonly kind: "loop" }>): PropertyItem {
    const range = this.value(node.range);
    const items: readonly PropertyItem[] = isList(range)
      ? range.items
      : isMap(range)
        ? range.entries.map(([name]) => name)
        : [];
    if (!isList(range) && !isMap(range)) throw new CelError(`${typeOf(range)} cannot be iterated`);
    this.spend(PART_STEPS + items.length);
    switch (node.macro) {
      case "map":
      case "filter":
        return { kind: "list", items: this.#collect(node, items) };
      case "all":
        return this.#search(node, items, false);
      case "exists":
        return this.#search(node, items, true);
      case "exists_one":
        return (
          items.filter((item) => this.#with(node.variable, item, () => this.#truth(node.test as Node))).length === 1
        );
    }
  }

  #collect(node: Extract<Node, { readonly kind: "loop" }>, items: readonly PropertyItem[]): PropertyItem[] {
    const made: PropertyItem[] = [];
    for (const item of items) {
      this.#with(node.variable, item, () => {
        if (node.test === undefined || this.#truth(node.test)) {
          made.push(node.result === undefined ? item : this.value(node.result));
        }
      });
    }
    return made;
  }

  /** Whether some item is `wanted`; as with `||`, errors count only when nothing decides. */
  #search(node: Extract<Node, { readonly kind: "loop" }>, items: readonly PropertyItem[], wanted: boolean): boolean {
    let failure: CelError | undefined;
    for (const item of items) {
      const found = this.#with(node.variable, item, () => this.#attempt(node.test as Node));
      if (found === wanted) return wanted;
      if (found instanceof CelError) failure ??= found;
    }
    if (failure !== undefined) throw failure;
    return !wanted;
  }

  #with<Value>(name: string, value: PropertyItem, run: () => Value): Value {
    this.#locals.push([name, value]);
    const result = run();
    this.#locals.pop();
    return result;
  }
}

function indexed(operand: PropertyItem, index: PropertyItem): PropertyItem {
  let part: PropertyItem | undefined;
  if (isList(operand) && isNumber(index)) part = operand.items[Number(index.value)];
  else if ((isMap(operand) || isObject(operand)) && typeof index === "string") part = partOf(operand, index);
  else throw new CelError(`${typeOf(operand)} has no index of type ${typeOf(index)}`);
  if (part === undefined) throw new CelError("no such key or index");
  return part;
}
