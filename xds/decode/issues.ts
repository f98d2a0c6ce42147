// What decoding found: issues refuse a resource, warnings do not. Every decoder collects into one Findings, so that a
// refusal names all problems at once. Called by every file of decode/; printed in NACKs, by `validate` and in the log.

/** One problem. `path` is a field path with proto names, such as `virtual_hosts[0].routes[2].match`; empty means the whole resource. */
export interface Issue {
  readonly path: string;
  readonly problem: string;
}

/** Something accepted that the operator should know. `field` is the field's full name, for naming it only once. */
export interface Warning extends Issue {
  readonly kind: "unknown_field" | "no_effect";
  readonly field: string;
}

/** The result of decoding: a value, or every issue. Warnings come with both. */
export type Decoded<T> =
  | {
      readonly ok: true;
      readonly value: T;
      readonly warnings: readonly Warning[];
      /** Files that it names, not read yet. */
      readonly files?: readonly NamedFile[];
    }
  | { readonly ok: false; readonly issues: readonly Issue[]; readonly warnings: readonly Warning[] };

/** A file, or a variable of the environment, that configuration names, by the path of the field that names it. */
export interface NamedFile {
  /** Data that a field stands for, resources of a path_config_source, or a variable. */
  readonly kind: "data" | "resources" | "environment";
  readonly path: string;
  readonly name: string;
}

/**
 * What is wrong with a substitution format string such as `%START_TIME%`; undefined when nothing is. The program that
 * renders them knows its operators, so it gives this to the decoder. Pure.
 */
export type FormatProblem = (text: string) => string | undefined;

/** More problems than this in one resource are counted, not listed: hostile input must not cost unbounded memory. */
const MAX_FINDINGS = 200;

/** Collects the findings of one resource. Not reusable. */
export class Findings {
  readonly issues: Issue[] = [];
  readonly warnings: Warning[] = [];
  readonly files: NamedFile[] = [];
  readonly #formatProblem: FormatProblem | undefined;
  #issueCount = 0;

  /** Without `formatProblem` every format string passes. */
  constructor(formatProblem?: FormatProblem) {
    this.#formatProblem = formatProblem;
  }

  issue(path: string, problem: string): void {
    this.#issueCount += 1;
    if (this.issues.length < MAX_FINDINGS) this.issues.push({ path, problem });
  }

  warn(kind: Warning["kind"], path: string, field: string, problem: string): void {
    if (this.warnings.length < MAX_FINDINGS) this.warnings.push({ kind, path, field, problem });
  }

  /** Checks a substitution format string that stands at `path`. */
  format(path: string, text: string): void {
    const problem = text.includes("%") ? this.#formatProblem?.(text) : undefined;
    if (problem !== undefined) this.issue(path, problem);
  }

  /** All issues met, also those beyond the list's limit. */
  get issueCount(): number {
    return this.#issueCount;
  }

  /** The result for a value that was built: refused when any issue was found. */
  result<T>(value: T | undefined): Decoded<T> {
    if (this.issues.length > 0 || value === undefined) {
      const more = this.#issueCount - this.issues.length;
      const rest = more > 0 ? [{ path: "", problem: `${more} more problems` }] : [];
      return { ok: false, issues: [...this.issues, ...rest], warnings: this.warnings };
    }
    return { ok: true, value, warnings: this.warnings, files: this.files };
  }
}

/** `a` + `b` → `a.b`; an empty parent gives `b`. */
export function child(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** `routes` + 2 → `routes[2]`; a string key is quoted: `filter_metadata["istio"]`. */
export function item(path: string, key: number | string): string {
  return typeof key === "number" ? `${path}[${key}]` : `${path}[${JSON.stringify(key)}]`;
}

export function formatIssue(issue: Issue): string {
  return issue.path === "" ? issue.problem : `${issue.path}: ${issue.problem}`;
}

/** One line for a NACK or a log, cut at `maxLength` characters with the number of issues left out. */
export function formatIssues(issues: readonly Issue[], maxLength = 4096): string {
  let text = "";
  // A rule of the type and one of ours may say the same.
  const lines = [...new Set(issues.map(formatIssue))];
  for (const [index, line] of lines.entries()) {
    if (text.length + line.length > maxLength) {
      const left = lines.length - index;
      return index === 0 ? `${line.slice(0, maxLength)}…` : `${text}; and ${left} more`;
    }
    text = text === "" ? line : `${text}; ${line}`;
  }
  return text;
}
