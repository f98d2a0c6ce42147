// The types of what goes over the border between a plugin and the host: one letter a value (i: i32, I: i64), parameters before the
// colon, results after it. Envoy refuses a module whose types differ from these; JavaScript would link and call anything.
// Source: proxy-wasm-cpp-host include/proxy-wasm/exports.h and wasm_vm.h, WASI preview 1.

/** Of the functions of module "env". */
export const HOST_FUNCTION_TYPES: Readonly<Record<string, string>> = {
  proxy_log: "iii:i",
  proxy_get_log_level: "i:i",
  proxy_get_current_time_nanoseconds: "i:i",
  proxy_set_tick_period_milliseconds: "i:i",
  proxy_get_status: "iii:i",
  proxy_get_configuration: "ii:i",
  proxy_set_effective_context: "i:i",
  proxy_done: ":i",
  proxy_call_foreign_function: "iiiiii:i",
  proxy_get_property: "iiii:i",
  proxy_set_property: "iiii:i",
  proxy_get_header_map_size: "ii:i",
  proxy_get_header_map_pairs: "iii:i",
  proxy_set_header_map_pairs: "iii:i",
  proxy_get_header_map_value: "iiiii:i",
  proxy_add_header_map_value: "iiiii:i",
  proxy_replace_header_map_value: "iiiii:i",
  proxy_remove_header_map_value: "iii:i",
  proxy_get_buffer_bytes: "iiiii:i",
  proxy_get_buffer_status: "iii:i",
  proxy_set_buffer_bytes: "iiiii:i",
  proxy_continue_stream: "i:i",
  proxy_close_stream: "i:i",
  proxy_continue_request: ":i",
  proxy_continue_response: ":i",
  proxy_clear_route_cache: ":i",
  proxy_send_local_response: "iiiiiiii:i",
  proxy_http_call: "iiiiiiiiii:i",
  proxy_grpc_call: "iiiiiiiiiiii:i",
  proxy_grpc_stream: "iiiiiiiii:i",
  proxy_grpc_send: "iiii:i",
  proxy_grpc_close: "i:i",
  proxy_grpc_cancel: "i:i",
  proxy_get_shared_data: "iiiii:i",
  proxy_set_shared_data: "iiiii:i",
  proxy_register_shared_queue: "iii:i",
  proxy_resolve_shared_queue: "iiiii:i",
  proxy_enqueue_shared_queue: "iii:i",
  proxy_dequeue_shared_queue: "iii:i",
  proxy_define_metric: "iiii:i",
  proxy_increment_metric: "iI:i",
  proxy_record_metric: "iI:i",
  proxy_get_metric: "ii:i",
  emscripten_notify_memory_growth: "i:",
  pthread_equal: "ii:i",
};

/** Of WASI's functions, under any module name that begins with "wasi_". */
export const WASI_FUNCTION_TYPES: Readonly<Record<string, string>> = {
  args_get: "ii:i",
  args_sizes_get: "ii:i",
  environ_get: "ii:i",
  environ_sizes_get: "ii:i",
  clock_res_get: "ii:i",
  clock_time_get: "iIi:i",
  fd_advise: "iIIi:i",
  fd_allocate: "iII:i",
  fd_close: "i:i",
  fd_datasync: "i:i",
  fd_fdstat_get: "ii:i",
  fd_fdstat_set_flags: "ii:i",
  fd_fdstat_set_rights: "iII:i",
  fd_filestat_get: "ii:i",
  fd_filestat_set_size: "iI:i",
  fd_filestat_set_times: "iIIi:i",
  fd_pread: "iiiIi:i",
  fd_prestat_dir_name: "iii:i",
  fd_prestat_get: "ii:i",
  fd_pwrite: "iiiIi:i",
  fd_read: "iiii:i",
  fd_readdir: "iiiIi:i",
  fd_renumber: "ii:i",
  fd_seek: "iIii:i",
  fd_sync: "i:i",
  fd_tell: "ii:i",
  fd_write: "iiii:i",
  path_create_directory: "iii:i",
  path_filestat_get: "iiiii:i",
  path_filestat_set_times: "iiiiIIi:i",
  path_link: "iiiiiii:i",
  path_open: "iiiiiIIii:i",
  path_readlink: "iiiiii:i",
  path_remove_directory: "iii:i",
  path_rename: "iiiiii:i",
  path_symlink: "iiiii:i",
  path_unlink_file: "iii:i",
  poll_oneoff: "iiii:i",
  proc_exit: "i:",
  random_get: "ii:i",
  sched_yield: ":i",
  sock_accept: "iii:i",
  sock_recv: "iiiiii:i",
  sock_send: "iiiii:i",
  sock_shutdown: "ii:i",
};

/** Of the callbacks; several where versions differ. */
export const CALLBACK_TYPES: Readonly<Record<string, readonly string[]>> = {
  proxy_on_context_create: ["ii:"],
  proxy_on_vm_start: ["ii:i"],
  proxy_on_configure: ["ii:i"],
  proxy_on_tick: ["i:"],
  proxy_on_queue_ready: ["ii:"],
  proxy_on_foreign_function: ["iii:"],
  proxy_on_request_headers: ["iii:i", "ii:i"],
  proxy_on_request_body: ["iii:i"],
  proxy_on_request_trailers: ["ii:i"],
  proxy_on_response_headers: ["iii:i", "ii:i"],
  proxy_on_response_body: ["iii:i"],
  proxy_on_response_trailers: ["ii:i"],
  proxy_on_http_call_response: ["iiiii:"],
  proxy_on_grpc_receive_initial_metadata: ["iii:"],
  proxy_on_grpc_receive: ["iii:"],
  proxy_on_grpc_receive_trailing_metadata: ["iii:"],
  proxy_on_grpc_trailing_metadata: ["iii:"],
  proxy_on_grpc_close: ["iii:"],
  proxy_on_done: ["i:i"],
  proxy_on_log: ["i:"],
  proxy_on_delete: ["i:"],
  proxy_on_new_connection: ["i:i"],
  proxy_on_downstream_data: ["iii:i"],
  proxy_on_downstream_connection_close: ["ii:"],
  proxy_on_upstream_data: ["iii:i"],
  proxy_on_upstream_connection_close: ["ii:"],
};

/** Of a function that a module may import; undefined when the ABI has none of that name. */
export function hostFunctionType(module: string, name: string): string | undefined {
  const types = module === "env" ? HOST_FUNCTION_TYPES : WASI_FUNCTION_TYPES;
  return Object.hasOwn(types, name) ? types[name] : undefined;
}

const WORDS: Readonly<Record<string, string>> = { i: "i32", I: "i64", f: "f32", F: "f64", v: "v128", r: "ref" };
const LETTERS: ReadonlyMap<number, string> = new Map([
  [0x7f, "i"],
  [0x7e, "I"],
  [0x7d, "f"],
  [0x7c, "F"],
  [0x7b, "v"],
]);

/** The letter of a value type by its code in the binary format; "r" for references of any kind. */
export function typeLetter(code: number): string {
  return LETTERS.get(code) ?? "r";
}

/** A function's type by the codes of its value types. */
export function typeCode(type: {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}): string {
  return `${type.parameters.map(typeLetter).join("")}:${type.results.map(typeLetter).join("")}`;
}

/** "iI:i" → "(i32, i64) → i32". */
export function typeText(type: string): string {
  const [parameters = "", results = ""] = type.split(":");
  const words = (letters: string): string => Array.from(letters, (letter) => WORDS[letter] ?? "?").join(", ");
  const result = results === "" ? "nothing" : words(results);
  return `(${words(parameters)}) → ${results.length > 1 ? `(${result})` : result}`;
}
