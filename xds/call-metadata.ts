// The metadata of one stream to a control plane: what the configuration says, with Envoy's format operators, and tokens,
// which are read anew for each stream because they are rotated on disk. Called by sources.ts.

import { hostname } from "node:os";
import type { CallCredential, GrpcTarget } from "./model/config-source.ts";
import { readData } from "./secrets/read-data.ts";
import type { Environment } from "./secrets/read-data.ts";

export type Metadata = readonly { readonly key: string; readonly value: string }[];

/** Metadata, or a problem for people: never the token. */
export function callMetadata(
  { initialMetadata, callCredentials }: Pick<GrpcTarget, "initialMetadata" | "callCredentials">,
  environment: Environment,
): Metadata | string {
  const metadata = initialMetadata.map(({ key, value }) => ({ key, value: rendered(value, environment) }));
  for (const credential of callCredentials) {
    const token = tokenOf(credential, environment);
    if (!token.ok) return token.problem;
    metadata.push({ key: credential.key, value: token.value });
  }
  return metadata;
}

function tokenOf({ key, prefix, token }: CallCredential, environment: Environment) {
  const read = readData(token, environment);
  if (!read.ok) return { ok: false, problem: `the token for ${key} cannot be read: ${read.problem}` } as const;
  // Files that people write end with a new line, which no header can hold.
  return { ok: true, value: prefix + read.bytes.toString("utf8").trimEnd() } as const;
}

/** There is no request: operators that would speak of one give "-", as in Envoy. */
function rendered(text: string, environment: Environment): string {
  return text.replace(
    /%%|%([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%/g,
    (all, operator: string, argument = "", length = "") => {
      if (all === "%%") return "%";
      const value = operatorValue(operator, argument, environment);
      return length === "" ? value : value.slice(0, Number(length));
    },
  );
}

function operatorValue(operator: string, argument: string, environment: Environment): string {
  if (operator === "ENVIRONMENT") return environment[argument] ?? "-";
  return operator === "HOSTNAME" ? hostname() : "-";
}
