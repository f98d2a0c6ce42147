// envoy.config.accesslog.v3.AccessLog with the file, stream and wasm loggers → model. Called by the listener and connection
// manager decoders and for admin.access_log. Loggers that outrigger does not have are left out with a warning: logging
// less changes neither routing nor security.

import {
  ComparisonFilter_Op,
  type AccessLog as AccessLogMessage,
  type AccessLogFilter as FilterMessage,
  type ComparisonFilter,
} from "../gen/envoy/config/accesslog/v3/accesslog_pb.ts";
import type { FileAccessLog } from "../gen/envoy/extensions/access_loggers/file/v3/file_pb.ts";
import type { StderrAccessLog, StdoutAccessLog } from "../gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts";
import type { WasmAccessLog } from "../gen/envoy/extensions/access_loggers/wasm/v3/wasm_pb.ts";
import type { AccessLog, AccessLogFilter, JsonFormat } from "../model/access-log.ts";
import { unpackAny } from "./any.ts";
import { checkFormats, decodeFormat } from "./format-strings.ts";
import { child, item, type Findings } from "./issues.ts";
import { decodeEach, decodeFraction, decodeHeaderMatcher } from "./matcher.ts";
import { decodePluginConfig } from "./wasm.ts";

const FILE = "envoy.extensions.access_loggers.file.v3.FileAccessLog";
const STDOUT = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
const STDERR = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog";
const WASM = "envoy.extensions.access_loggers.wasm.v3.WasmAccessLog";

export function decodeAccessLogs(
  messages: readonly AccessLogMessage[],
  path: string,
  findings: Findings,
): readonly AccessLog[] {
  return decodeEach(messages, path, findings, decodeAccessLog);
}

function decodeAccessLog(message: AccessLogMessage, path: string, findings: Findings): AccessLog | undefined {
  const any = message.configType.value;
  const configPath = child(path, "typed_config");
  if (any === undefined) {
    findings.issue(configPath, "is required");
    return undefined;
  }
  const inner = unpackAny(any);
  const filter =
    message.filter === undefined ? undefined : decodeAccessLogFilter(message.filter, child(path, "filter"), findings);
  const base = { name: message.name, filter };
  switch (inner.typeName) {
    case FILE: {
      const file = inner.message as FileAccessLog | undefined;
      if (file === undefined) return undefined;
      return { ...base, sink: { kind: "file", path: file.path }, format: fileFormat(file, configPath, findings) };
    }
    case STDOUT:
    case STDERR: {
      const stream = inner.message as StdoutAccessLog | StderrAccessLog | undefined;
      if (stream === undefined) return undefined;
      const format = decodeFormat(stream.accessLogFormat.value, child(configPath, "log_format"), findings);
      return { ...base, sink: { kind: inner.typeName === STDOUT ? "stdout" : "stderr" }, format };
    }
    case WASM: {
      const { config } = (inner.message as WasmAccessLog | undefined) ?? {};
      const plugin = decodePluginConfig(config, message.name, child(configPath, "config"), findings);
      return plugin === undefined ? undefined : { ...base, sink: { kind: "wasm", plugin }, format: undefined };
    }
    default:
      findings.warn(
        "no_effect",
        configPath,
        inner.typeName,
        `access logger ${inner.typeName} is not supported and left out`,
      );
      return undefined;
  }
}

function fileFormat(message: FileAccessLog, path: string, findings: Findings): AccessLog["format"] {
  const format = message.accessLogFormat;
  switch (format.case) {
    case undefined:
      return undefined;
    case "format":
      findings.format(child(path, "format"), format.value);
      return format.value === "" ? undefined : { kind: "text", text: format.value, omitEmptyValues: false };
    case "jsonFormat":
    case "typedJsonFormat":
      checkFormats(
        format.value,
        child(path, format.case === "jsonFormat" ? "json_format" : "typed_json_format"),
        findings,
      );
      return { kind: "json", fields: format.value as JsonFormat, omitEmptyValues: false };
    case "logFormat":
      return decodeFormat(format.value, child(path, "log_format"), findings);
  }
}

const OPERATORS: Readonly<Record<number, "EQ" | "GE" | "LE" | "NE">> = {
  [ComparisonFilter_Op.EQ]: "EQ",
  [ComparisonFilter_Op.GE]: "GE",
  [ComparisonFilter_Op.LE]: "LE",
  [ComparisonFilter_Op.NE]: "NE",
};

/** Undefined for an empty filter, or for one that the table of fields refuses; both are already reported. */
export function decodeAccessLogFilter(
  message: FilterMessage,
  path: string,
  findings: Findings,
): AccessLogFilter | undefined {
  const specifier = message.filterSpecifier;
  switch (specifier.case) {
    case "statusCodeFilter":
      return comparison("status_code", specifier.value.comparison);
    case "durationFilter":
      return comparison("duration", specifier.value.comparison);
    case "notHealthCheckFilter":
      return { kind: "not_health_check" };
    case "traceableFilter":
      return { kind: "traceable" };
    case "runtimeFilter": {
      const { runtimeKey, percentSampled } = specifier.value;
      return { kind: "runtime", fraction: { ...decodeFraction(percentSampled), runtimeKey } };
    }
    case "andFilter":
    case "orFilter": {
      const kind = specifier.case === "andFilter" ? "and" : "or";
      const filters = specifier.value.filters.flatMap((filter, index) => {
        const filterPath = item(child(path, `${kind}_filter.filters`), index);
        return decodeAccessLogFilter(filter, filterPath, findings) ?? [];
      });
      return { kind, filters };
    }
    case "headerFilter": {
      if (specifier.value.header === undefined) return undefined;
      const header = decodeHeaderMatcher(specifier.value.header, child(path, "header_filter.header"), findings);
      return header === undefined ? undefined : { kind: "header", header };
    }
    case "responseFlagFilter":
      return { kind: "response_flag", flags: specifier.value.flags };
    case "grpcStatusFilter":
    case "extensionFilter":
    case "metadataFilter":
    case "logTypeFilter":
    case undefined:
      return undefined;
  }
}

function comparison(kind: "status_code" | "duration", message: ComparisonFilter | undefined): AccessLogFilter {
  return { kind, op: OPERATORS[message?.op ?? 0] ?? "EQ", value: message?.value?.defaultValue ?? 0 };
}
