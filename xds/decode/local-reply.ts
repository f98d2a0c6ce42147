// LocalReplyConfig of a connection manager, and formats of bodies, → model. Called by http-connection-manager.ts and route-action.ts.

import type { SubstitutionFormatString } from "../gen/envoy/config/core/v3/substitution_format_string_pb.ts";
import type {
  LocalReplyConfig as LocalReplyMessage,
  ResponseMapper,
} from "../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { BodyFormat, LocalReplyConfig, LocalReplyMapper } from "../model/local-reply.ts";
import { decodeAccessLogFilter } from "./access-log.ts";
import { decodeDataSource } from "./data-source.ts";
import { decodeFormat } from "./format-strings.ts";
import { decodeHeaderToAdd } from "./header-mutation.ts";
import { child, type Findings } from "./issues.ts";
import { decodeEach } from "./matcher.ts";

export function decodeLocalReplies(
  message: LocalReplyMessage | undefined,
  path: string,
  findings: Findings,
): LocalReplyConfig | undefined {
  if (message === undefined) return undefined;
  return {
    mappers: decodeEach(message.mappers, child(path, "mappers"), findings, decodeMapper),
    bodyFormat: decodeBodyFormat(message.bodyFormat, child(path, "body_format"), findings),
  };
}

function decodeMapper(message: ResponseMapper, path: string, findings: Findings): LocalReplyMapper | undefined {
  const filterPath = child(path, "filter");
  const filter = message.filter && decodeAccessLogFilter(message.filter, filterPath, findings);
  // Inspection has reported what is missing or refused.
  if (filter === undefined) return undefined;
  return {
    filter,
    statusCode: message.statusCode,
    body: decodeDataSource(message.body),
    bodyFormat: decodeBodyFormat(message.bodyFormatOverride, child(path, "body_format_override"), findings),
    headersToAdd: decodeEach(message.headersToAdd, child(path, "headers_to_add"), findings, decodeHeaderToAdd),
  };
}

export function decodeBodyFormat(
  message: SubstitutionFormatString | undefined,
  path: string,
  findings: Findings,
): BodyFormat | undefined {
  const format = decodeFormat(message, path, findings);
  return format && { format, contentType: message?.contentType ?? "" };
}
