// What the raw arguments of host functions and callbacks mean: names and kinds, as data. host-call-reader.ts reads by it.
// A parameter is `kind:name`; one that begins with ">" is where the host writes an answer. Kinds and how many raw
// arguments each takes: see ParameterKind.

/**
 * One raw argument: u32, i32, u64, i64, and the enumerations level, map, buffer, stream, metric. Two (pointer, length):
 * text, bytes, pairs, path, lines (an array of memory ranges). Answers: >u32 and >u64 are one pointer; >text, >bytes, >pairs
 * two, where the host writes pointer and length.
 */
export type ParameterKind =
  | "u32"
  | "i32"
  | "u64"
  | "i64"
  | "level"
  | "map"
  | "buffer"
  | "stream"
  | "metric"
  | "text"
  | "bytes"
  | "pairs"
  | "path"
  | "lines";

export interface Parameter {
  readonly name: string;
  readonly kind: ParameterKind;
  readonly isAnswer: boolean;
}

const HOST_FUNCTIONS: Readonly<Record<string, string>> = {
  proxy_log: "level:level text:message",
  proxy_get_log_level: ">u32:level",
  proxy_get_current_time_nanoseconds: ">u64:time_ns",
  proxy_set_tick_period_milliseconds: "u32:period_ms",
  proxy_get_status: ">u32:code >text:message",
  proxy_get_configuration: ">bytes:configuration",
  proxy_set_effective_context: "u32:context_id",
  proxy_done: "",
  proxy_call_foreign_function: "text:name bytes:argument >bytes:result",
  proxy_get_property: "path:path >bytes:value",
  proxy_set_property: "path:path bytes:value",
  proxy_get_header_map_size: "map:map >u32:size",
  proxy_get_header_map_pairs: "map:map >pairs:pairs",
  proxy_set_header_map_pairs: "map:map pairs:pairs",
  proxy_get_header_map_value: "map:map text:key >text:value",
  proxy_add_header_map_value: "map:map text:key text:value",
  proxy_replace_header_map_value: "map:map text:key text:value",
  proxy_remove_header_map_value: "map:map text:key",
  proxy_get_buffer_bytes: "buffer:buffer u32:start u32:max_size >bytes:bytes",
  proxy_get_buffer_status: "buffer:buffer >u32:size >u32:flags",
  proxy_set_buffer_bytes: "buffer:buffer u32:start u32:size bytes:bytes",
  proxy_continue_stream: "stream:stream",
  proxy_close_stream: "stream:stream",
  proxy_continue_request: "",
  proxy_continue_response: "",
  proxy_clear_route_cache: "",
  proxy_send_local_response: "u32:status text:details bytes:body pairs:headers i32:grpc_status",
  proxy_http_call: "text:cluster pairs:headers bytes:body pairs:trailers u32:timeout_ms >u32:call_id",
  proxy_grpc_call:
    "bytes:grpc_service text:service text:method pairs:initial_metadata bytes:message u32:timeout_ms >u32:call_id",
  proxy_grpc_stream: "bytes:grpc_service text:service text:method pairs:initial_metadata >u32:call_id",
  proxy_grpc_send: "u32:call_id bytes:message u32:end_of_stream",
  proxy_grpc_close: "u32:call_id",
  proxy_grpc_cancel: "u32:call_id",
  proxy_get_shared_data: "text:key >bytes:value >u32:cas",
  proxy_set_shared_data: "text:key bytes:value u32:cas",
  proxy_register_shared_queue: "text:name >u32:queue_id",
  proxy_resolve_shared_queue: "text:vm_id text:name >u32:queue_id",
  proxy_enqueue_shared_queue: "u32:queue_id bytes:message",
  proxy_dequeue_shared_queue: "u32:queue_id >bytes:message",
  proxy_define_metric: "metric:type text:name >u32:metric_id",
  proxy_increment_metric: "u32:metric_id i64:offset",
  proxy_record_metric: "u32:metric_id u64:value",
  proxy_get_metric: "u32:metric_id >u64:value",
  fd_write: "u32:fd lines:text >u32:written",
  clock_time_get: "u32:clock u64:precision >u64:time_ns",
  random_get: "u32:pointer u32:length",
  proc_exit: "u32:code",
};

/** Arguments of the callbacks after the context id. */
const CALLBACKS: Readonly<Record<string, readonly string[]>> = {
  proxy_on_context_create: ["parent_context_id"],
  proxy_on_vm_start: ["vm_configuration_size"],
  proxy_on_configure: ["plugin_configuration_size"],
  proxy_on_tick: [],
  proxy_on_queue_ready: ["queue_id"],
  proxy_on_foreign_function: ["function_id", "arguments_size"],
  proxy_on_request_headers: ["num_headers", "end_of_stream"],
  proxy_on_request_body: ["body_size", "end_of_stream"],
  proxy_on_request_trailers: ["num_trailers"],
  proxy_on_response_headers: ["num_headers", "end_of_stream"],
  proxy_on_response_body: ["body_size", "end_of_stream"],
  proxy_on_response_trailers: ["num_trailers"],
  proxy_on_http_call_response: ["call_id", "num_headers", "body_size", "num_trailers"],
  proxy_on_grpc_receive_initial_metadata: ["call_id", "num_elements"],
  proxy_on_grpc_receive: ["call_id", "message_size"],
  proxy_on_grpc_receive_trailing_metadata: ["call_id", "num_elements"],
  proxy_on_grpc_close: ["call_id", "status_code"],
  proxy_on_done: [],
  proxy_on_log: [],
  proxy_on_delete: [],
  proxy_on_new_connection: [],
  proxy_on_downstream_data: ["data_size", "end_of_stream"],
  proxy_on_downstream_connection_close: ["peer_type"],
  proxy_on_upstream_data: ["data_size", "end_of_stream"],
  proxy_on_upstream_connection_close: ["peer_type"],
};

/** Callbacks that answer whether all is well. */
const ANSWERS_BOOLEAN: ReadonlySet<string> = new Set(["proxy_on_vm_start", "proxy_on_configure", "proxy_on_done"]);

const SHAPES: ReadonlyMap<string, readonly Parameter[]> = new Map(
  Object.entries(HOST_FUNCTIONS).map(([name, text]) => [name, text === "" ? [] : text.split(" ").map(parameterOf)]),
);

function parameterOf(text: string): Parameter {
  const isAnswer = text.startsWith(">");
  const [kind, name] = text.slice(isAnswer ? 1 : 0).split(":") as [ParameterKind, string];
  return { name, kind, isAnswer };
}

/** The parameters of a host function; undefined for one that nothing is known of (most of WASI). */
export function hostFunctionShape(name: string): readonly Parameter[] | undefined {
  return SHAPES.get(name);
}

/** Names of a callback's arguments after the context id. */
export function callbackArguments(name: string): readonly string[] {
  return CALLBACKS[name] ?? [];
}

export function answersBoolean(callback: string): boolean {
  return ANSWERS_BOOLEAN.has(callback);
}
