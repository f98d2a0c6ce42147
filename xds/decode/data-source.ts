// envoy.config.core.v3.DataSource → model, unread: what a name points to is loaded on the main thread later.
// Called by route.ts (direct responses), wasm.ts (code) and access-log.ts.

import type { DataSource as DataSourceMessage } from "../gen/envoy/config/core/v3/base_pb.ts";
import type { DataSource } from "../model/plugin-config.ts";

/** Undefined when nothing is set, which inspection has already reported. Strings become UTF-8 bytes. */
export function decodeDataSource(message: DataSourceMessage | undefined): DataSource | undefined {
  const specifier = message?.specifier;
  switch (specifier?.case) {
    case undefined:
      return undefined;
    case "filename":
      return { kind: "file", path: specifier.value };
    case "inlineBytes":
      return { kind: "bytes", bytes: specifier.value };
    case "inlineString":
      return { kind: "bytes", bytes: Buffer.from(specifier.value) };
    case "environmentVariable":
      return { kind: "environment", variable: specifier.value };
  }
}
