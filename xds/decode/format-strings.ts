// Substitution format strings: checked inside a value (one string, or JSON whose strings are), and decoded to the model.
// Called by inspect.ts, access-log.ts and local-reply.ts.

import type { SubstitutionFormatString } from "../gen/envoy/config/core/v3/substitution_format_string_pb.ts";
import type { FormatString, JsonFormat } from "../model/access-log.ts";
import { child, item, type Findings } from "./issues.ts";

/** Undefined for an absent or empty one, and for what is reported as an issue. */
export function decodeFormat(
  message: SubstitutionFormatString | undefined,
  path: string,
  findings: Findings,
): FormatString | undefined {
  const format = message?.format;
  const omitEmptyValues = message?.omitEmptyValues ?? false;
  switch (format?.case) {
    case undefined:
      return undefined;
    case "textFormat":
      return format.value === "" ? undefined : { kind: "text", text: format.value, omitEmptyValues };
    case "jsonFormat":
      return { kind: "json", fields: format.value as JsonFormat, omitEmptyValues };
    case "textFormatSource": {
      const source = format.value.specifier;
      if (source.case !== "inlineString" && source.case !== "inlineBytes") {
        findings.issue(child(path, "text_format_source"), "must be inline_string or inline_bytes");
        return undefined;
      }
      const text = source.case === "inlineString" ? source.value : Buffer.from(source.value).toString("utf8");
      findings.format(child(path, "text_format_source"), text);
      return { kind: "text", text, omitEmptyValues };
    }
  }
}

/** Depth is bounded by that of a parsed Struct. */
export function checkFormats(value: unknown, path: string, findings: Findings): void {
  if (typeof value === "string") findings.format(path, value);
  else if (Array.isArray(value)) {
    for (const [index, entry] of value.entries()) checkFormats(entry, item(path, index), findings);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, entry] of Object.entries(value)) checkFormats(entry, item(path, name), findings);
  }
}
