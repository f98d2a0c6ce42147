// String, regex and fraction matchers shared by routes, listeners and filters.
// Source: envoy.type.matcher.v3 and envoy.type.v3. Types only; sidecar/route/matchers.ts compiles them.

/** A regular expression in RE2 syntax that matched validation; it must match the whole subject. */
export interface RegexMatcher {
  readonly regex: string;
}

export interface RegexRewrite {
  readonly regex: string;
  /** RE2 substitution with `\0` to `\9`. */
  readonly substitution: string;
}

export type StringMatcher = {
  readonly ignoreCase: boolean;
} & (
  | { readonly kind: "exact" | "prefix" | "suffix" | "contains"; readonly value: string }
  | { readonly kind: "regex"; readonly value: string }
);

/** A probability that a runtime key can override: `numerator / denominator`. */
export interface RuntimeFraction {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
  readonly runtimeKey: string;
}
