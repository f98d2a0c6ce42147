// Bodies made from format strings: of local replies, and of direct responses with a `body_format`.
// Source: envoy.config.core.v3.SubstitutionFormatString.

import type { BodyFormat } from "../../xds/model/local-reply.ts";
import { compileFormatString, type FormatResult, type TextFormat } from "./format.ts";
import type { FormatContext } from "./format-operator.ts";
import type { StreamFacts } from "./stream-facts.ts";

/** Facts of a stream that is being answered. */
export interface ReplyFacts extends StreamFacts {
  localReplyBody: string | undefined;
}

/** More is not sent: values come from clients, and a format may name them many times. */
const MAX_BODY_BYTES = 1_024 * 1_024;

export class BodyFormatter {
  readonly contentType: string;
  readonly #format: TextFormat;

  constructor(format: TextFormat, contentType: string) {
    this.#format = format;
    this.contentType = contentType;
  }

  /** What `body` becomes; undefined: it would be too large. */
  render(facts: ReplyFacts, body: Uint8Array): Uint8Array | undefined {
    facts.localReplyBody = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
    const text = this.#format.render(facts);
    facts.localReplyBody = undefined;
    return text.length > MAX_BODY_BYTES ? undefined : Buffer.from(text, "latin1");
  }
}

export function compileBodyFormat(
  { format, contentType }: BodyFormat,
  context: FormatContext,
): FormatResult<BodyFormatter> {
  const compiled = compileFormatString(format, context);
  if (!compiled.ok) {
    return compiled;
  }
  const standard = format.kind === "json" ? "application/json" : "text/plain";
  return { ok: true, format: new BodyFormatter(compiled.format, contentType === "" ? standard : contentType) };
}
