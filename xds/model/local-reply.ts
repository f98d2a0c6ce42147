// What a connection manager makes of answers of its own. Source: envoy.extensions.filters.network.http_connection_manager.v3
// LocalReplyConfig. sidecar/local-replies.ts compiles it. Types only.

import type { AccessLogFilter, FormatString } from "./access-log.ts";
import type { DataSource } from "./plugin-config.ts";
import type { HeaderToAdd } from "./route.ts";

export interface BodyFormat {
  readonly format: FormatString;
  /** Of the body; empty: `application/json` for JSON, else `text/plain`. */
  readonly contentType: string;
}

/** The first one whose filter holds changes the answer. */
export interface LocalReplyMapper {
  readonly filter: AccessLogFilter;
  readonly statusCode: number | undefined;
  /** Undefined: the body stays. */
  readonly body: DataSource | undefined;
  /** Undefined: the connection manager's. */
  readonly bodyFormat: BodyFormat | undefined;
  readonly headersToAdd: readonly HeaderToAdd[];
}

export interface LocalReplyConfig {
  readonly mappers: readonly LocalReplyMapper[];
  /** Undefined: the body as it is. */
  readonly bodyFormat: BodyFormat | undefined;
}
