// CEL source → syntax tree, with the macros (has, all, exists, exists_one, map, filter) taken apart.
// Source: the grammar of cel-spec's langdef.md, without message construction. evaluate.ts runs the tree.

import type { PropertyItem } from "../property-value.ts";
import { CelSyntaxError, type Token, tokenize } from "./tokens.ts";

export type Node =
  | { readonly kind: "literal"; readonly value: PropertyItem }
  | { readonly kind: "ident"; readonly name: string }
  /** `test`: whether the field is there (has). */
  | { readonly kind: "select"; readonly operand: Node; readonly field: string; readonly test: boolean }
  | { readonly kind: "index"; readonly operand: Node; readonly index: Node }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Node[] }
  | { readonly kind: "and" | "or"; readonly left: Node; readonly right: Node }
  | { readonly kind: "condition"; readonly test: Node; readonly yes: Node; readonly no: Node }
  | { readonly kind: "list"; readonly items: readonly Node[] }
  | { readonly kind: "map"; readonly entries: readonly (readonly [Node, Node])[] }
  | {
      readonly kind: "loop";
      readonly macro: "all" | "exists" | "exists_one" | "map" | "filter";
      readonly range: Node;
      readonly variable: string;
      readonly test: Node | undefined;
      readonly result: Node | undefined;
    };

/** Longer expressions are refused, and so are deeper ones: both are the guest's. */
export const MAX_SOURCE_LENGTH = 16 * 1024;
const MAX_DEPTH = 48;
const MAX_CHAIN = 256;
const RESERVED: ReadonlySet<string> = new Set(
  "as break const continue else false for function if import in let loop null package namespace return true var void while".split(
    " ",
  ),
);
const RELATIONS: ReadonlySet<string> = new Set(["<", "<=", ">", ">=", "==", "!=", "in"]);
const LOOPS: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"]);
const MAX_INT = 2n ** 63n - 1n;
const MAX_UINT = 2n ** 64n - 1n;

/** Throws CelSyntaxError. */
export function parse(source: string): Node {
  if (source.length > MAX_SOURCE_LENGTH) throw new CelSyntaxError("too long", MAX_SOURCE_LENGTH);
  const parser = new Parser(tokenize(source));
  const node = parser.expression();
  parser.end();
  return node;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  end(): void {
    if (this.#next.kind !== "end") throw this.#unexpected();
  }

  expression(): Node {
    if (++this.#depth > MAX_DEPTH) throw new CelSyntaxError("too deep", this.#next.at);
    const test = this.#or();
    let node = test;
    if (this.#takes("?")) {
      const yes = this.#or();
      this.#expect(":");
      node = { kind: "condition", test, yes, no: this.expression() };
    }
    this.#depth--;
    return node;
  }

  #or(): Node {
    let left = this.#and();
    for (let count = 0; this.#takes("||"); count++) {
      this.#limit(count);
      left = { kind: "or", left, right: this.#and() };
    }
    return left;
  }

  #and(): Node {
    let left = this.#relation();
    for (let count = 0; this.#takes("&&"); count++) {
      this.#limit(count);
      left = { kind: "and", left, right: this.#relation() };
    }
    return left;
  }

  #relation(): Node {
    let left = this.#sum();
    for (let count = 0; RELATIONS.has(this.#next.text) && this.#isOperator(); count++) {
      this.#limit(count);
      const name = this.#take().text;
      left = { kind: "call", name: `_${name}_`, args: [left, this.#sum()] };
    }
    return left;
  }

  #isOperator(): boolean {
    return this.#next.kind === "symbol" || this.#next.kind === "ident";
  }

  #sum(): Node {
    let left = this.#product();
    for (let count = 0; this.#isSymbol("+") || this.#isSymbol("-"); count++) {
      this.#limit(count);
      left = { kind: "call", name: `_${this.#take().text}_`, args: [left, this.#product()] };
    }
    return left;
  }

  #product(): Node {
    let left = this.#unary();
    for (let count = 0; this.#isSymbol("*") || this.#isSymbol("/") || this.#isSymbol("%"); count++) {
      this.#limit(count);
      left = { kind: "call", name: `_${this.#take().text}_`, args: [left, this.#unary()] };
    }
    return left;
  }

  #unary(): Node {
    const operator = this.#isSymbol("!") ? "!" : "-";
    let count = 0;
    while (this.#takes(operator)) count++;
    if (count === 0) return this.#member();
    const next = this.#next;
    // The smallest int has no positive.
    const isNumber = operator === "-" && count % 2 === 1 && (next.kind === "int" || next.kind === "double");
    if (isNumber) {
      this.#at++;
      return this.#suffixes({ kind: "literal", value: numberOf(next, true) });
    }
    const operand = this.#member();
    return count % 2 === 0 ? operand : { kind: "call", name: `${operator}_`, args: [operand] };
  }

  #member(): Node {
    return this.#suffixes(this.#primary());
  }

  #suffixes(start: Node): Node {
    let node = start;
    for (let count = 0; ; count++) {
      this.#limit(count);
      if (this.#takes(".")) {
        const name = this.#name();
        node = this.#takes("(")
          ? this.#method(node, name, this.#list(")"))
          : { kind: "select", operand: node, field: name, test: false };
      } else if (this.#takes("[")) {
        node = { kind: "index", operand: node, index: this.expression() };
        this.#expect("]");
      } else return node;
    }
  }

  #method(target: Node, name: string, args: readonly Node[]): Node {
    const [first, second, third] = args;
    if (LOOPS.has(name) && first?.kind === "ident" && second !== undefined && args.length <= 3) {
      if (third !== undefined && name !== "map") throw this.#unexpected();
      const macro = name as "all";
      const isMap = name === "map";
      const test = isMap ? third && second : second;
      return {
        kind: "loop",
        macro,
        range: target,
        variable: first.name,
        test,
        result: isMap ? (third ?? second) : undefined,
      };
    }
    return { kind: "call", name: `.${name}`, args: [target, ...args] };
  }

  #primary(): Node {
    const token = this.#take();
    switch (token.kind) {
      case "int":
      case "uint":
      case "double":
        return { kind: "literal", value: numberOf(token, false) };
      case "string":
        return { kind: "literal", value: token.text };
      case "bytes":
        return { kind: "literal", value: Buffer.from(token.text, "latin1") };
      case "ident":
        return this.#word(token);
      case "symbol":
        return this.#bracket(token);
      case "end":
        throw new CelSyntaxError("the expression ends too soon", token.at);
    }
  }

  #word({ text, at }: Token): Node {
    if (text === "true" || text === "false") return { kind: "literal", value: text === "true" };
    if (text === "null") return { kind: "literal", value: null };
    if (RESERVED.has(text)) throw new CelSyntaxError(`the reserved word ${text}`, at);
    if (!this.#takes("(")) return { kind: "ident", name: text };
    const args = this.#list(")");
    if (text !== "has") return { kind: "call", name: text, args };
    const [field] = args;
    if (args.length !== 1 || field?.kind !== "select") throw new CelSyntaxError("has() takes one selection", at);
    return { ...field, test: true };
  }

  #bracket({ text, at }: Token): Node {
    switch (text) {
      case "(": {
        const node = this.expression();
        this.#expect(")");
        return node;
      }
      case "[":
        return { kind: "list", items: this.#list("]") };
      case "{":
        return { kind: "map", entries: this.#entries() };
      case ".":
        return this.#word({ kind: "ident", text: this.#name(), at });
      default:
        throw new CelSyntaxError(`unexpected ${JSON.stringify(text)}`, at);
    }
  }

  #entries(): (readonly [Node, Node])[] {
    const entries: (readonly [Node, Node])[] = [];
    while (!this.#takes("}")) {
      const key = this.expression();
      this.#expect(":");
      entries.push([key, this.expression()]);
      if (!this.#isSymbol("}")) this.#expect(",");
    }
    return entries;
  }

  #list(close: string): Node[] {
    const items: Node[] = [];
    while (!this.#takes(close)) {
      items.push(this.expression());
      if (!this.#isSymbol(close)) this.#expect(",");
    }
    return items;
  }

  /** Chains lean to the left, and the tree is walked by recursion. */
  #limit(count: number): void {
    if (count > MAX_CHAIN) throw new CelSyntaxError("too many in a chain", this.#next.at);
  }

  #name(): string {
    const token = this.#take();
    if (token.kind !== "ident") throw new CelSyntaxError("expected a name", token.at);
    return token.text;
  }

  #take(): Token {
    const token = this.#next;
    if (token.kind !== "end") this.#at++;
    return token;
  }

  #isSymbol(text: string): boolean {
    return this.#next.kind === "symbol" && this.#next.text === text;
  }

  #takes(text: string): boolean {
    if (!this.#isSymbol(text)) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#takes(text)) throw this.#unexpected();
  }

  #unexpected(): CelSyntaxError {
    const { kind, text, at } = this.#next;
    return new CelSyntaxError(
      kind === "end" ? "the expression ends too soon" : `unexpected ${JSON.stringify(text)}`,
      at,
    );
  }
}

function numberOf({ kind, text, at }: Token, isNegative: boolean): PropertyItem {
  if (kind === "double") return { kind: "double", value: (isNegative ? -1 : 1) * Number(text) };
  const value = BigInt(kind === "uint" ? text.slice(0, -1) : text);
  if (value > (kind === "uint" ? MAX_UINT : MAX_INT + (isNegative ? 1n : 0n)))
    throw new CelSyntaxError("a number too large", at);
  return kind === "uint" ? { kind: "uint", value } : { kind: "int", value: isNegative ? -value : value };
}
