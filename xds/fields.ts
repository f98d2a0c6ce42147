// Which configuration fields have an effect: supported, accepted without effect (a warning names them), or refused.
// The rows are data in field-rows/; test/xds/fields.test.ts fails when a reachable field has no row, and FIELDS.md is
// printed from them by fields-table.ts. Called by decode/inspect.ts.

import { BOOTSTRAP_ROWS } from "./field-rows/bootstrap.ts";
import { CLUSTER_ROWS } from "./field-rows/cluster.ts";
import { CONNECTION_MANAGER_ROWS } from "./field-rows/connection-manager.ts";
import { CORE_ROWS } from "./field-rows/core.ts";
import { LISTENER_ROWS } from "./field-rows/listener.ts";
import { ROUTE_ROWS } from "./field-rows/route.ts";
import { TLS_ROWS } from "./field-rows/tls.ts";

export { EXTENSION_ROWS, type ExtensionKind } from "./field-rows/extensions.ts";

/** The rows of one message, by proto field name. */
export interface MessageRows {
  /** Names with spaces between. */
  readonly supported: string;
  /** What happens instead. */
  readonly accepted?: Readonly<Record<string, string>>;
  /** Why, and what to use instead where there is something. */
  readonly refused?: Readonly<Record<string, string>>;
}

export type FieldStatus =
  | { readonly kind: "supported" }
  | { readonly kind: "accepted" | "refused"; readonly reason: string }
  /** No row: a message that no decoder reads, such as one inside an ignored field. */
  | { readonly kind: "unlisted" };

/** The table, in sections, by full message name. */
export const FIELD_ROWS: Readonly<Record<string, Readonly<Record<string, MessageRows>>>> = {
  Bootstrap: BOOTSTRAP_ROWS,
  Listeners: LISTENER_ROWS,
  "HTTP connection manager": CONNECTION_MANAGER_ROWS,
  Routes: ROUTE_ROWS,
  "Clusters and endpoints": CLUSTER_ROWS,
  "TLS and secrets": TLS_ROWS,
  "Shared messages": CORE_ROWS,
};

const SUPPORTED: FieldStatus = { kind: "supported" };
const UNLISTED: FieldStatus = { kind: "unlisted" };

const statuses: ReadonlyMap<string, FieldStatus> = new Map(
  Object.values(FIELD_ROWS).flatMap((messages) =>
    Object.entries(messages).flatMap(([message, rows]) => messageStatuses(message, rows)),
  ),
);

function messageStatuses(message: string, rows: MessageRows): [string, FieldStatus][] {
  const supported = rows.supported.split(" ").map((field): [string, FieldStatus] => [`${message}.${field}`, SUPPORTED]);
  const others = (["accepted", "refused"] as const).flatMap((kind) =>
    Object.entries(rows[kind] ?? {}).map(([field, reason]): [string, FieldStatus] => {
      return [`${message}.${field}`, { kind, reason }];
    }),
  );
  return [...supported, ...others];
}

/** `message` is a full message name, `field` a proto field name. */
export function fieldStatus(message: string, field: string): FieldStatus {
  return statuses.get(`${message}.${field}`) ?? UNLISTED;
}
