// A case of the conformance suite: what a YAML file of cases/ says, one for each ABI version that it runs with.

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parse } from "yaml";

export const ABI_VERSIONS = ["0.1.0", "0.2.0", "0.2.1"] as const;
export type Abi = (typeof ABI_VERSIONS)[number];

/** What the client sends. */
export interface CaseRequest {
  readonly method?: string;
  readonly path?: string;
  /** `name: value` each. */
  readonly headers?: readonly string[];
  /** `1000*ab` is 1000 times `ab`. */
  readonly body?: string;
  /** Instead of `body`: pieces, each sent when the guest has said the one before (a line with `request_body`). */
  readonly pieces?: readonly string[];
  /** `name: value` each. */
  readonly trailers?: readonly string[];
  /** The client goes away when the guest has logged a line with this text. */
  readonly leaves_at?: string;
}

/** `@TURN@` in a script is 1 in the first request, 2 in the second. */
export function forTurn(script: string, turn: number): string {
  return script.replaceAll("@TURN@", String(turn));
}

/** What the origin answers to this case's requests; 200 and "ok" where nothing is said. */
export interface CaseOrigin {
  readonly status?: number;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Instead of `body`, as in requests, with chunked coding. */
  readonly pieces?: readonly string[];
  readonly trailers?: readonly string[];
  /** Never answers. */
  readonly silent?: boolean;
}

/** A plugin of the case's own, in a VM of its own. */
export interface CasePlugin {
  /** Default: an HTTP filter, or a network filter in a case with `tcp`. */
  readonly as?: "access_log";
  /** A module of test/guests/wasm instead of the scripted guest. */
  readonly module?: string;
  /** Scripts of the root context; `case NAME` is put before them. */
  readonly configuration?: string;
  readonly vm_configuration?: string;
  /** Default: the case's name, so that it shares a VM with nobody. */
  readonly vm_id?: string;
  readonly root_id?: string;
  readonly failure_policy?: string;
  readonly allow_on_headers_stop_iteration?: boolean;
  readonly capabilities?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface CaseRow {
  /** A sentence: what the host does. */
  readonly name: string;
  readonly family: string;
  /** Default: all three. */
  readonly abi?: readonly Abi[];
  /** What the guest does on the stream. */
  readonly script?: string;
  readonly request?: CaseRequest;
  /** How often the request is sent, one after the other. Default 1; 0: nothing but the start is observed. */
  readonly times?: number;
  /** Time between two of them, in ms: for what a host does after a while only. */
  readonly gap_ms?: number;
  readonly origin?: CaseOrigin;
  /** One or more plugins of its own, in this order; else the shared plugin of the ABI version. */
  readonly plugins?: readonly CasePlugin[];
  /**
   * A TCP connection instead of requests: `client TEXT`, `server TEXT` send and wait for the plugin's callback, `client ends` and
   * `server ends` shut a side, `guest TEXT` waits for a line of the plugin's.
   */
  readonly tcp?: readonly string[];
  /** The listener is taken away in the end; the case is over when the root context was deleted. */
  readonly removed?: boolean;
  /** Statistics that are observed after it: full names. */
  readonly stats?: readonly string[];
  /** The case is over when the guest has logged a line with this text. Default: the stream's `delete`. */
  readonly until?: string;
  /** Why our host does something else than Envoy, on purpose. */
  readonly differs?: string;
  /** Envoy's process ends with it, so that it is not run there. `differs` says how. */
  readonly crashes_envoy?: boolean;
}

/** A row with one ABI version: what is run. */
export interface Case {
  readonly row: CaseRow;
  readonly abi: Abi;
  /** In requests and log lines: unique, letters, digits and dashes. */
  readonly id: string;
}

const FOLDER = join(import.meta.dirname, "cases");
const KEYS = new Set([
  "name",
  "abi",
  "script",
  "request",
  "times",
  "gap_ms",
  "tcp",
  "removed",
  "origin",
  "plugins",
  "stats",
  "until",
  "differs",
  "crashes_envoy",
]);

/** All rows, by family in the order of the files' names. Fails on a key that no row has. */
export function readCases(): CaseRow[] {
  const rows: CaseRow[] = [];
  for (const file of readdirSync(FOLDER).sort()) {
    const family = basename(file, ".yaml");
    for (const row of (parse(readFileSync(join(FOLDER, file), "utf8")) ?? []) as Omit<CaseRow, "family">[]) {
      const unknown = Object.keys(row).filter((key) => !KEYS.has(key));
      if (unknown.length > 0) {
        throw new Error(`${file}: ${row.name}: unknown ${unknown.join(", ")}`);
      }
      rows.push({ ...row, family });
    }
  }
  return rows;
}

export function casesOf(rows: readonly CaseRow[]): Case[] {
  return rows.flatMap((row, index) =>
    (row.abi ?? ABI_VERSIONS).map((abi) => ({ row, abi, id: `c${index}-${abi.replaceAll(".", "")}` })),
  );
}

/** `1000*ab` stands for 1000 times `ab`. */
export function repeated(text: string): string {
  const [, count, part] = /^(\d+)\*([^*]+)$/s.exec(text) ?? [];
  return part === undefined ? text : part.repeat(Number(count));
}

/** `@CASE@` in a text stands for the case's id. */
export function forCase(one: Case, text: string): string {
  return text.replaceAll("@CASE@", one.id);
}

/** The other way, so that cases of three versions can be compared. */
export function withoutCase(one: Case, text: string): string {
  return text.replaceAll(one.id, "@CASE@");
}
