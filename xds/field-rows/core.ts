// Which fields have an effect: shared messages. Keys of `accepted` and `refused` are field names, with what happens instead.
// Read by fields.ts; a test fails when a reachable field has no row here.

import type { MessageRows } from "../fields.ts";

export const CORE_ROWS: Readonly<Record<string, MessageRows>> = {
  "envoy.config.core.v3.Node": {
    supported:
      "id cluster metadata dynamic_parameters locality user_agent_name user_agent_version user_agent_build_version extensions client_features listening_addresses",
  },
  "xds.core.v3.ContextParams": {
    supported: "params",
  },
  "envoy.config.core.v3.Locality": {
    supported: "region zone sub_zone",
  },
  "envoy.config.core.v3.BuildVersion": {
    supported: "version metadata",
  },
  "envoy.type.v3.SemanticVersion": {
    supported: "major_number minor_number patch",
  },
  "envoy.config.core.v3.Extension": {
    supported: "name category type_descriptor version disabled type_urls",
  },
  "envoy.config.core.v3.Address": {
    supported: "socket_address pipe",
    refused: {
      envoy_internal_address: "internal listeners are not supported",
    },
  },
  "envoy.config.core.v3.BindConfig": {
    supported: "source_address freebind socket_options extra_source_addresses",
    refused: {
      additional_source_addresses: "use extra_source_addresses",
      local_address_selector: "the first address of the host's IP version is used",
      validate_network_namespaces: "network namespaces are not supported",
    },
  },
  "envoy.config.core.v3.ExtraSourceAddress": {
    supported: "address socket_options",
  },
  "envoy.config.core.v3.SocketOptionsOverride": {
    supported: "socket_options",
  },
  "envoy.config.core.v3.SocketOption": {
    supported: "level name int_value buf_value state type ip_version",
    accepted: {
      description: "a comment",
    },
  },
  "envoy.config.core.v3.SocketOption.SocketType": {
    supported: "stream datagram",
  },
  "envoy.config.core.v3.SocketOption.SocketType.Stream": {
    supported: "",
  },
  "envoy.config.core.v3.SocketAddress": {
    supported: "protocol address port_value",
    accepted: {
      ipv4_compat: "the kernel decides whether IPv6 sockets take IPv4",
    },
    refused: {
      named_port: "use port_value",
      resolver_name: "custom resolvers are not supported",
      network_namespace_filepath: "network namespaces are not supported",
    },
  },
  "envoy.config.core.v3.Pipe": {
    supported: "path mode",
  },
  "envoy.config.core.v3.CidrRange": {
    supported: "address_prefix prefix_len",
  },
  "envoy.config.core.v3.ConfigSource": {
    supported: "path path_config_source api_config_source ads self initial_fetch_timeout resource_api_version",
    accepted: {
      authorities: "federation is not supported",
    },
  },
  "envoy.config.core.v3.PathConfigSource": {
    supported: "path watched_directory",
    accepted: {
      poll_interval: "files are watched, not polled",
    },
  },
  "envoy.config.core.v3.WatchedDirectory": {
    supported: "path",
    accepted: {
      watch_modify: "only files moved into place count",
    },
  },
  "envoy.config.core.v3.ApiConfigSource": {
    supported: "api_type transport_api_version grpc_services set_node_on_first_message_only rate_limit_settings",
    accepted: {
      refresh_delay: "for REST only",
      request_timeout: "for REST only",
      config_validators: "this extension point is not supported",
    },
    refused: {
      cluster_names: "for REST, which is not supported; use grpc_services",
    },
  },
  "envoy.config.core.v3.AggregatedConfigSource": {
    supported: "",
  },
  "envoy.config.core.v3.SelfConfigSource": {
    supported: "transport_api_version",
  },
  "envoy.config.core.v3.GrpcService": {
    supported: "envoy_grpc google_grpc timeout initial_metadata retry_policy",
  },
  "envoy.config.core.v3.GrpcService.EnvoyGrpc": {
    supported: "cluster_name authority retry_policy",
    accepted: {
      max_receive_message_length: "messages of any length are taken",
      skip_envoy_headers: "no such headers are added",
    },
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc": {
    supported: "target_uri channel_credentials call_credentials credentials_factory_name channel_args",
    accepted: {
      stat_prefix: "statistics go by the target",
      per_stream_buffer_limit_bytes: "the gRPC library decides",
    },
    refused: {
      channel_credentials_plugin: "not in Envoy either; use channel_credentials",
      call_credentials_plugin: "not in Envoy either; use call_credentials",
      config: "for credentials by extension, which are not supported",
    },
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelCredentials": {
    supported: "ssl_credentials local_credentials",
    refused: {
      google_default: "Google's default credentials are not supported; use ssl_credentials",
    },
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.SslCredentials": {
    supported: "root_certs private_key cert_chain",
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.GoogleLocalCredentials": {
    supported: "",
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.CallCredentials": {
    supported: "access_token google_iam from_plugin",
    refused: {
      google_compute_engine: "asks a metadata service, which is not supported; use from_plugin with a token in a file",
      google_refresh_token: "exchanges tokens, which is not supported; use from_plugin with a token in a file",
      service_account_jwt_access: "signs tokens, which is not supported; use from_plugin with a token in a file",
      sts_service: "exchanges tokens, which is not supported; use from_plugin with a token in a file",
    },
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.CallCredentials.GoogleIAMCredentials": {
    supported: "authorization_token authority_selector",
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.CallCredentials.MetadataCredentialsFromPlugin": {
    supported: "name typed_config",
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelArgs": {
    supported: "args",
  },
  "envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelArgs.Value": {
    supported: "string_value int_value",
  },
  "envoy.config.grpc_credential.v3.FileBasedMetadataConfig": {
    supported: "secret_data header_key header_prefix",
  },
  "envoy.config.core.v3.RateLimitSettings": {
    supported: "max_tokens fill_rate",
  },
  "envoy.config.core.v3.RetryPolicy": {
    supported: "retry_back_off num_retries",
    accepted: {
      retry_on: "a fetch is retried, and a stream opened again, whatever failed",
      retry_priority: "a fetch is retried, and a stream opened again, whatever failed",
      retry_host_predicate: "a fetch is retried, and a stream opened again, whatever failed",
      host_selection_retry_max_attempts: "a fetch is retried, and a stream opened again, whatever failed",
    },
  },
  "envoy.config.core.v3.BackoffStrategy": {
    supported: "base_interval max_interval",
  },
  "envoy.config.core.v3.HeaderValue": {
    supported: "key value raw_value",
  },
  "envoy.config.core.v3.HeaderValueOption": {
    supported: "header append append_action keep_empty_value",
  },
  "envoy.config.core.v3.Metadata": {
    supported: "filter_metadata typed_filter_metadata",
  },
  "envoy.config.core.v3.DataSource": {
    supported: "filename inline_bytes inline_string environment_variable",
    accepted: {
      watched_directory: "files are read once",
    },
  },
  "envoy.config.core.v3.AsyncDataSource": {
    supported: "local remote",
  },
  "envoy.config.core.v3.RemoteDataSource": {
    supported: "http_uri sha256 retry_policy",
  },
  "envoy.config.core.v3.HttpUri": {
    supported: "uri cluster timeout",
  },
  "envoy.config.core.v3.HttpService": {
    supported: "http_uri request_headers_to_add",
    accepted: {
      formatters: "this extension point is not supported",
    },
  },
  "envoy.config.core.v3.TypedExtensionConfig": {
    supported: "name typed_config",
  },
  "envoy.config.core.v3.ExtensionConfigSource": {
    supported: "config_source default_config apply_default_config_without_warming type_urls",
  },
  "envoy.config.core.v3.TransportSocket": {
    supported: "name typed_config",
  },
  "envoy.config.core.v3.RuntimeUInt32": {
    supported: "default_value",
    accepted: {
      runtime_key: "the default value is used",
    },
  },
  "envoy.config.core.v3.RuntimeFractionalPercent": {
    supported: "default_value runtime_key",
  },
  "envoy.config.core.v3.SchemeHeaderTransformation": {
    supported: "scheme_to_overwrite match_upstream",
  },
  "envoy.config.core.v3.SubstitutionFormatString": {
    supported: "text_format json_format text_format_source omit_empty_values content_type",
    accepted: {
      formatters: "METADATA, CEL and REQ_WITHOUT_QUERY are there without; operators of others are refused",
      json_format_options: "properties keep their order",
    },
  },
  "envoy.config.core.v3.HttpProtocolOptions": {
    supported:
      "idle_timeout max_connection_duration max_headers_count max_response_headers_kb max_stream_duration headers_with_underscores_action max_requests_per_connection",
    accepted: {
      max_connection_duration_jitter: "connections end without jitter",
    },
  },
  "envoy.config.core.v3.Http1ProtocolOptions": {
    supported: "allow_absolute_url accept_http_10 default_host_for_http_10 enable_trailers",
    accepted: {
      header_key_format: "names keep the case in which they came",
      override_stream_error_on_invalid_http_message: "a malformed message ends the connection",
      use_balsa_parser: "there is one parser",
      allow_custom_methods: "any token is a method",
      ignore_http_11_upgrade: "an upgrade that is not configured is ignored",
    },
    refused: {
      allow_chunked_length: "a message with both Content-Length and chunked coding is a smuggling attack",
      send_fully_qualified_url: "absolute targets upstream are not supported",
    },
  },
  "envoy.type.matcher.v3.RegexMatcher": {
    supported: "regex",
    accepted: {
      google_re2: "program size is not limited by configuration",
    },
  },
  "envoy.type.matcher.v3.RegexMatchAndSubstitute": {
    supported: "pattern substitution",
  },
  "envoy.type.matcher.v3.StringMatcher": {
    supported: "exact prefix suffix safe_regex contains ignore_case",
    refused: {
      custom: "this extension point is not supported",
    },
  },
  "envoy.type.v3.FractionalPercent": {
    supported: "numerator denominator",
  },
  "envoy.type.v3.Percent": {
    supported: "value",
  },
  "envoy.type.v3.Int64Range": {
    supported: "start end",
  },
  "envoy.type.tracing.v3.CustomTag": {
    supported: "tag literal environment request_header metadata",
    accepted: {
      value: "the tag is left out",
      value_type: "tags are strings",
    },
  },
  "envoy.type.tracing.v3.CustomTag.Literal": {
    supported: "value",
  },
  "envoy.type.tracing.v3.CustomTag.Environment": {
    supported: "name default_value",
  },
  "envoy.type.tracing.v3.CustomTag.Header": {
    supported: "name default_value",
  },
  "envoy.type.tracing.v3.CustomTag.Metadata": {
    supported: "kind metadata_key default_value",
  },
  "envoy.type.metadata.v3.MetadataKind": {
    supported: "request route cluster host",
  },
  "envoy.type.metadata.v3.MetadataKey": {
    supported: "key path",
  },
  "envoy.type.metadata.v3.MetadataKey.PathSegment": {
    supported: "key",
    accepted: {
      index: "has no reader in Envoy either",
    },
  },
  "envoy.service.runtime.v3.Runtime": {
    supported: "name layer",
  },
  "envoy.config.core.v3.KeepaliveSettings": {
    supported: "interval timeout",
    accepted: {
      interval_jitter: "pings are sent without jitter",
      connection_idle_interval: "pings are sent by the clock",
    },
  },
  "envoy.config.core.v3.TcpKeepalive": {
    supported: "keepalive_time",
    accepted: {
      keepalive_probes: "the kernel's setting counts",
      keepalive_interval: "the kernel's setting counts",
    },
  },
  "envoy.config.core.v3.Http2ProtocolOptions": {
    supported: "connection_keepalive",
    accepted: {
      hpack_table_size: "gRPC connections have settings of their own",
      max_concurrent_streams: "gRPC connections have settings of their own",
      initial_stream_window_size: "gRPC connections have settings of their own",
      initial_connection_window_size: "gRPC connections have settings of their own",
      allow_connect: "gRPC connections have settings of their own",
      allow_metadata: "gRPC connections have settings of their own",
      max_outbound_frames: "gRPC connections have settings of their own",
      max_outbound_control_frames: "gRPC connections have settings of their own",
      max_consecutive_inbound_frames_with_empty_payload: "gRPC connections have settings of their own",
      max_inbound_priority_frames_per_stream: "gRPC connections have settings of their own",
      max_inbound_window_update_frames_per_data_frame_sent: "gRPC connections have settings of their own",
      stream_error_on_invalid_http_messaging: "gRPC connections have settings of their own",
      override_stream_error_on_invalid_http_message: "gRPC connections have settings of their own",
      custom_settings_parameters: "gRPC connections have settings of their own",
      use_oghttp2_codec: "gRPC connections have settings of their own",
      max_metadata_size: "gRPC connections have settings of their own",
      enable_huffman_encoding: "gRPC connections have settings of their own",
      max_header_field_size_kb: "gRPC connections have settings of their own",
      disallow_obs_text: "gRPC connections have settings of their own",
      stream_reset_burst: "gRPC connections have settings of their own",
      stream_reset_rate: "gRPC connections have settings of their own",
    },
  },
};
