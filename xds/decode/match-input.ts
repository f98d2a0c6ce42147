// What a tree of matchers looks at → model: the inputs that Envoy has for HTTP. Called by match-tree.ts.

import type { TypedExtensionConfig } from "../gen/xds/core/v3/extension_pb.ts";
import type { Config as EnvironmentVariable } from "../gen/envoy/extensions/matching/common_inputs/environment_variable/v3/input_pb.ts";
import type {
  DestinationIPInput,
  DestinationPortInput,
  DirectSourceIPInput,
  DynamicMetadataInput,
  FilterStateInput,
  NetworkNamespaceInput,
  ServerNameInput,
  SourceIPInput,
  SourcePortInput,
  SourceTypeInput,
} from "../gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.ts";
import type {
  DnsSanInput,
  SubjectInput,
  UriSanInput,
} from "../gen/envoy/extensions/matching/common_inputs/ssl/v3/ssl_inputs_pb.ts";
import type {
  HttpRequestHeaderMatchInput,
  HttpRequestQueryParamMatchInput,
  HttpRequestTrailerMatchInput,
  HttpResponseHeaderMatchInput,
  HttpResponseTrailerMatchInput,
} from "../gen/envoy/type/matcher/v3/http_inputs_pb.ts";
import type {
  HttpResponseStatusCodeClassMatchInput,
  HttpResponseStatusCodeMatchInput,
} from "../gen/envoy/type/matcher/v3/status_code_input_pb.ts";
import type { MatchInput } from "../model/match-tree.ts";
import { unpackAny } from "./any.ts";
import type { Findings } from "./issues.ts";

type InputMessage =
  | DestinationIPInput
  | DestinationPortInput
  | DirectSourceIPInput
  | DnsSanInput
  | DynamicMetadataInput
  | EnvironmentVariable
  | FilterStateInput
  | HttpRequestHeaderMatchInput
  | HttpRequestQueryParamMatchInput
  | HttpRequestTrailerMatchInput
  | HttpResponseHeaderMatchInput
  | HttpResponseStatusCodeClassMatchInput
  | HttpResponseStatusCodeMatchInput
  | HttpResponseTrailerMatchInput
  | NetworkNamespaceInput
  | ServerNameInput
  | SourceIPInput
  | SourcePortInput
  | SourceTypeInput
  | SubjectInput
  | UriSanInput;

const INPUTS: Readonly<Record<InputMessage["$typeName"], MatchInput["of"]>> = {
  "envoy.type.matcher.v3.HttpRequestHeaderMatchInput": "request",
  "envoy.type.matcher.v3.HttpRequestTrailerMatchInput": "request_trailers",
  "envoy.type.matcher.v3.HttpResponseHeaderMatchInput": "response",
  "envoy.type.matcher.v3.HttpResponseTrailerMatchInput": "response_trailers",
  "envoy.type.matcher.v3.HttpRequestQueryParamMatchInput": "query_parameter",
  "envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput": "status",
  "envoy.type.matcher.v3.HttpResponseStatusCodeClassMatchInput": "status_class",
  "envoy.extensions.matching.common_inputs.environment_variable.v3.Config": "environment",
  "envoy.extensions.matching.common_inputs.network.v3.SourceIPInput": "source_ip",
  "envoy.extensions.matching.common_inputs.network.v3.SourcePortInput": "source_port",
  "envoy.extensions.matching.common_inputs.network.v3.SourceTypeInput": "source_type",
  "envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput": "direct_source_ip",
  "envoy.extensions.matching.common_inputs.network.v3.DestinationIPInput": "destination_ip",
  "envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput": "destination_port",
  "envoy.extensions.matching.common_inputs.network.v3.ServerNameInput": "server_name",
  "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput": "filter_state",
  "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput": "dynamic_metadata",
  // Listeners are in the process's own.
  "envoy.extensions.matching.common_inputs.network.v3.NetworkNamespaceInput": "nothing",
  // Plain text shows none: for Envoy one that has not come.
  "envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput": "certificate",
  "envoy.extensions.matching.common_inputs.ssl.v3.DnsSanInput": "certificate",
  "envoy.extensions.matching.common_inputs.ssl.v3.SubjectInput": "certificate",
};

/** undefined: it is refused. */
export function decodeMatchInput(
  config: TypedExtensionConfig | undefined,
  path: string,
  findings: Findings,
): MatchInput | undefined {
  if (config?.typedConfig === undefined) return undefined;
  const { message, problem, typeName } = unpackAny(config.typedConfig);
  if (problem !== undefined) return undefined;
  if (message === undefined || !isInput(typeName)) {
    findings.issue(path, `${typeName} is not supported; supported: ${Object.keys(INPUTS).join(", ")}`);
    return undefined;
  }
  return { of: INPUTS[typeName], name: nameOf(message as InputMessage) };
}

/** The same for what takes texts only: metadata is none. */
export function decodeTextInput(
  config: TypedExtensionConfig | undefined,
  path: string,
  findings: Findings,
): MatchInput | undefined {
  const input = decodeMatchInput(config, path, findings);
  if (input?.of !== "dynamic_metadata") return input;
  findings.issue(path, "is metadata, which only a custom_match of metadata can take");
  return undefined;
}

function nameOf(message: InputMessage): string {
  if ("headerName" in message) return message.headerName.toLowerCase();
  if ("key" in message) return message.key;
  if ("name" in message) return message.name;
  return "queryParam" in message ? message.queryParam : "";
}

function isInput(typeName: string): typeName is keyof typeof INPUTS {
  return Object.hasOwn(INPUTS, typeName);
}
