// The expressions of one plugin, by their numbers: what expr_create gives out and expr_evaluate takes. Bounded: guests make them.

import type { CelExpression } from "./expression.ts";

const MAX_EXPRESSIONS = 1024;

export class ExpressionTable {
  readonly #expressions = new Map<number, CelExpression>();
  #next = 0;

  /** Numbers count up from 0, as in Envoy. undefined: there are too many. */
  add(expression: CelExpression): number | undefined {
    if (this.#expressions.size >= MAX_EXPRESSIONS) return undefined;
    while (this.#expressions.has(this.#next)) this.#next = (this.#next + 1) >>> 0;
    const token = this.#next;
    this.#next = (token + 1) >>> 0;
    this.#expressions.set(token, expression);
    return token;
  }

  get(token: number): CelExpression | undefined {
    return this.#expressions.get(token);
  }

  delete(token: number): void {
    this.#expressions.delete(token);
  }
}
