// Tags of spans as configuration names them: texts, fields of the request, and what a stream knows at its end.
// Compiled by request-tracing.ts. Source: envoy.type.tracing.v3.CustomTag.

import type { CustomTag } from "../../xds/model/tracing.ts";
import type { HeaderMap } from "../http/headers.ts";
import { compileMetadataTag, type MetadataTag } from "./metadata-tags.ts";

type HeaderTag = { readonly tag: string; readonly header: string; readonly defaultValue: string };

export class SpanTags {
  readonly #texts: string[] = [];
  readonly #headers: HeaderTag[] = [];
  readonly metadata: readonly MetadataTag[];

  /** `variables`: the environment that tags may read. */
  constructor(tags: readonly CustomTag[], variables: Readonly<Record<string, string | undefined>>) {
    const metadata: MetadataTag[] = [];
    for (const { tag, value } of tags) {
      if (value.kind === "metadata") {
        metadata.push(compileMetadataTag(tag, value));
      } else if (value.kind === "request_header") {
        this.#headers.push({ tag, header: value.header.toLowerCase(), defaultValue: value.defaultValue });
      } else {
        const text = value.kind === "literal" ? value.value : (variables[value.variable] ?? value.defaultValue);
        if (text !== "") {
          this.#texts.push(tag, text);
        }
      }
    }
    this.metadata = metadata;
  }

  /** Name and value in turn, of all but metadata. */
  of(headers: HeaderMap): readonly string[] {
    if (this.#headers.length === 0) {
      return this.#texts;
    }
    const tags = [...this.#texts];
    for (const { tag, header, defaultValue } of this.#headers) {
      const value = headers.getJoined(header) ?? defaultValue;
      if (value !== "") {
        tags.push(tag, value);
      }
    }
    return tags;
  }
}
