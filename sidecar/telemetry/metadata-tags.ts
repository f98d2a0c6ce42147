// Span tags from the metadata of what a request met. Compiled by request-tracing.ts, read by trace-recorder.ts at the end of a
// sampled request, when route, cluster and host are known. Source: envoy.type.tracing.v3.CustomTag.Metadata.

import type { CustomTag } from "../../xds/model/tracing.ts";
import type { StreamInfo } from "../filter/stream-info.ts";
import { metadataField } from "./state-operators.ts";

export interface MetadataTag {
  readonly tag: string;
  /** undefined: no tag. */
  read(info: StreamInfo): string | undefined;
}

const SOURCES = {
  nothing: "DYNAMIC",
  request: "DYNAMIC",
  route: "ROUTE",
  cluster: "CLUSTER",
  host: "UPSTREAM_HOST",
} as const;

export function compileMetadataTag(
  tag: string,
  { of, path, defaultValue }: Extract<CustomTag["value"], { readonly kind: "metadata" }>,
): MetadataTag {
  const read = metadataField(SOURCES[of], path);
  return {
    tag,
    read(info) {
      const value = read(info);
      const text = typeof value === "object" ? value.json : value === undefined ? undefined : String(value);
      const found = text === undefined || text === "null" ? defaultValue : text;
      return found === "" ? undefined : found;
    },
  };
}

/** `tags`, name and value in turn, with those of metadata. */
export function withMetadata(tags: readonly string[], metadata: readonly MetadataTag[], info: StreamInfo): string[] {
  const all = [...tags];
  for (const each of metadata) {
    const value = each.read(info);
    if (value !== undefined) {
      all.push(each.tag, value);
    }
  }
  return all;
}
