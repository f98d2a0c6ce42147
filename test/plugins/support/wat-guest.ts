// Builds tiny guests from WAT fragments: name the callbacks and write what they do, the rest (memory, allocator, ABI
// marker, imports of the host functions that are used, text in data segments) is added.
//
//   const guest = new WatGuest();
//   guest.on("proxy_on_request_headers", `(drop (call $proxy_log (i32.const 2) ${guest.text("hello")})) (i32.const 0)`);
//   guest.bytes()

import { watBytes } from "./specs.ts";

/** Parameters of the host functions: one letter each, i for i32 and l for i64. All answer an i32. */
const HOST_FUNCTIONS: Readonly<Record<string, string>> = {
  proxy_log: "iii",
  proxy_get_log_level: "i",
  proxy_get_current_time_nanoseconds: "i",
  proxy_set_tick_period_milliseconds: "i",
  proxy_get_status: "iii",
  proxy_get_configuration: "ii",
  proxy_set_effective_context: "i",
  proxy_done: "",
  proxy_call_foreign_function: "iiiiii",
  proxy_get_property: "iiii",
  proxy_set_property: "iiii",
  proxy_get_header_map_size: "ii",
  proxy_get_header_map_pairs: "iii",
  proxy_set_header_map_pairs: "iii",
  proxy_get_header_map_value: "iiiii",
  proxy_add_header_map_value: "iiiii",
  proxy_replace_header_map_value: "iiiii",
  proxy_remove_header_map_value: "iii",
  proxy_get_buffer_bytes: "iiiii",
  proxy_get_buffer_status: "iii",
  proxy_set_buffer_bytes: "iiiii",
  proxy_continue_stream: "i",
  proxy_close_stream: "i",
  proxy_continue_request: "",
  proxy_clear_route_cache: "",
  proxy_send_local_response: "iiiiiiii",
  proxy_http_call: "iiiiiiiiii",
  proxy_grpc_call: "iiiiiiiiiiii",
  proxy_grpc_stream: "iiiiiiiii",
  proxy_grpc_send: "iiii",
  proxy_grpc_close: "i",
  proxy_grpc_cancel: "i",
  proxy_get_shared_data: "iiiii",
  proxy_set_shared_data: "iiiii",
  proxy_register_shared_queue: "iii",
  proxy_resolve_shared_queue: "iiiii",
  proxy_enqueue_shared_queue: "iii",
  proxy_dequeue_shared_queue: "iii",
  proxy_define_metric: "iiii",
  proxy_increment_metric: "il",
  proxy_record_metric: "il",
  proxy_get_metric: "ii",
  proxy_new_in_0_9_9: "ii",
  environ_sizes_get: "ii",
  environ_get: "ii",
  fd_write: "iiii",
  fd_prestat_get: "ii",
  clock_time_get: "ili",
  random_get: "ii",
  poll_oneoff: "iiii",
  proc_exit: "i",
  fd_new_in_preview_9: "i",
};

/** Parameters of the callbacks and whether they answer something. */
const CALLBACKS: Readonly<Record<string, readonly [number, boolean]>> = {
  proxy_on_context_create: [2, false],
  proxy_on_vm_start: [2, true],
  proxy_on_configure: [2, true],
  proxy_on_tick: [1, false],
  proxy_on_queue_ready: [2, false],
  proxy_on_foreign_function: [3, false],
  proxy_on_request_headers: [3, true],
  proxy_on_request_body: [3, true],
  proxy_on_request_trailers: [2, true],
  proxy_on_response_headers: [3, true],
  proxy_on_response_body: [3, true],
  proxy_on_response_trailers: [2, true],
  proxy_on_http_call_response: [5, false],
  proxy_on_grpc_receive_initial_metadata: [3, false],
  proxy_on_grpc_receive: [3, false],
  proxy_on_grpc_receive_trailing_metadata: [3, false],
  proxy_on_grpc_close: [3, false],
  proxy_on_new_connection: [1, true],
  proxy_on_downstream_data: [3, true],
  proxy_on_upstream_data: [3, true],
  proxy_on_downstream_connection_close: [2, false],
  proxy_on_upstream_connection_close: [2, false],
  proxy_on_done: [1, true],
  proxy_on_log: [1, false],
  proxy_on_delete: [1, false],
  _initialize: [0, false],
  _start: [0, false],
};

/** Where host functions put results by default: two words. */
export const OUT = "(i32.const 16) (i32.const 20)";
/** The bytes that the last call with OUT gave: pointer and length. */
export const RESULT = "(i32.load (i32.const 16)) (i32.load (i32.const 20))";

export class WatGuest {
  readonly #functions: string[] = [];
  readonly #data: string[] = [];
  readonly #texts = new Map<string, string>();
  readonly #abi: string;
  readonly #memory: string;
  readonly #allocators: string;
  readonly #imports: Readonly<Record<string, string>>;
  #nextText = 256;

  /** `imports`: host functions with other parameters than they have now. */
  constructor(options: { abi?: string; memory?: string; allocators?: string; imports?: Record<string, string> } = {}) {
    this.#abi = options.abi ?? "0_2_1";
    this.#memory = options.memory ?? "1";
    this.#allocators = options.allocators ?? BUMP_ALLOCATOR;
    this.#imports = { ...HOST_FUNCTIONS, ...options.imports };
  }

  /** Arguments (pointer, length) of a text or bytes in memory. */
  text(text: string | Uint8Array): string {
    const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : Buffer.from(text);
    const key = bytes.toString("hex");
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const escaped = [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
    this.#data.push(`(data (i32.const ${this.#nextText}) "${escaped}")`);
    const made = `(i32.const ${this.#nextText}) (i32.const ${bytes.length})`;
    this.#texts.set(key, made);
    this.#nextText += bytes.length + 1;
    return made;
  }

  /** A statement that logs a text at level info. */
  log(text: string): string {
    return `(drop (call $proxy_log (i32.const 2) ${this.text(text)}))`;
  }

  /** A statement that logs what the last call gave. */
  logResult(): string {
    return `(drop (call $proxy_log (i32.const 2) ${RESULT}))`;
  }

  /** A statement that logs one digit-like character: "a" + the value of an i32 expression (a status: a is Ok, b …). */
  logLetter(expression: string): string {
    return `(i32.store8 (i32.const 24) (i32.add (i32.const 97) ${expression}))
      (drop (call $proxy_log (i32.const 2) (i32.const 24) (i32.const 1)))`;
  }

  /** Defines an export; parameters are $0, $1 … */
  on(name: string, body: string): this {
    const [count, hasResult] = CALLBACKS[name] ?? [0, false];
    const parameters = Array.from({ length: count }, (_, i) => `(param $${i} i32)`).join(" ");
    this.#functions.push(`(func (export "${name}") ${parameters} ${hasResult ? "(result i32)" : ""}\n${body})`);
    return this;
  }

  wat(): string {
    const body = [...this.#functions, this.#allocators].join("\n");
    const used = Object.keys(this.#imports).filter((name) => new RegExp(`\\$${name}\\b`).test(body));
    const imports = used.map((name) => {
      const module = name.startsWith("proxy_") ? "env" : "wasi_snapshot_preview1";
      const parameters = Array.from(this.#imports[name] ?? "", (letter) => (letter === "l" ? "i64" : "i32"));
      return `(import "${module}" "${name}" (func $${name} (param ${parameters.join(" ")}) (result i32)))`;
    });
    return `(module
      ${imports.join("\n")}
      (memory (export "memory") ${this.#memory})
      (global $next (mut i32) (i32.const 8192))
      ${this.#data.join("\n")}
      (func (export "proxy_abi_version_${this.#abi}"))
      ${body})`;
  }

  bytes(): Uint8Array {
    return watBytes(this.wat());
  }
}

export const BUMP_ALLOCATOR = `
  (func $allocate (export "proxy_on_memory_allocate") (param $size i32) (result i32) (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (local.get $at))`;
