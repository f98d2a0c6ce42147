// Which callbacks a plugin's author wrote, by the names of the functions in it: SDKs export all of them, and their own methods answer
// "continue". Known for Go modules, and for Rust, C++ and AssemblyScript ones that have a "name" section.

/** The author's methods, as the SDK names them: "OnHttpRequestHeaders", "on_http_request_headers", "onRequestHeaders". */
const METHODS: Readonly<Record<string, (name: string) => string | undefined>> = {
  go: (name) => (SDK_PACKAGE.test(name) ? undefined : /\)\.(On[A-Z]\w*)$/.exec(name)?.[1]),
  // Mangled in the old way, in the new one, or not any more.
  rust: (name) =>
    /\$u20\$as\$u20\$proxy_wasm\.\.traits\.\.\w+\$GT\$\d+(on_[a-z_]+?)17h[0-9a-f]{16}E/.exec(name)?.[1] ??
    /^_RNvX.*10proxy_wasm6traits\d+(?:Http|Root|Stream)?Context\d+(on_[a-z_]+)$/.exec(name)?.[1] ??
    / as proxy_wasm::traits::\w+>::(on_[a-z_]+)/.exec(name)?.[1],
  "c++": (name) =>
    /^(?:proxy_wasm::|(?:Root)?Context(?:Base)?::)/.test(name) ? undefined : /::(on[A-Z]\w*)\(/.exec(name)?.[1],
  assemblyscript: (name) =>
    /^~lib\/|proxy-runtime/.test(name) ? undefined : /#(on[A-Z]\w*)(?:@override)?$/.exec(name)?.[1],
};
const SDK_PACKAGE = /\/proxy-wasm-go-sdk\//;

/** Where a method has another name than its callback. */
const RENAMED: Readonly<Record<string, string>> = {
  on_start: "vm_start",
  on_plugin_start: "configure",
  on_plugin_done: "done",
  on_http_stream_done: "log",
  on_stream_done: "log",
  on_downstream_close: "downstream_connection_close",
  on_upstream_close: "upstream_connection_close",
  on_grpc_call_response: "grpc_receive",
  on_grpc_stream_initial_metadata: "grpc_receive_initial_metadata",
  on_grpc_stream_message: "grpc_receive",
  on_grpc_stream_trailing_metadata: "grpc_receive_trailing_metadata",
  on_grpc_stream_close: "grpc_close",
};

/** Callbacks whose methods can be told: those of requests, responses and connections, and the start. */
const TOLD =
  /^proxy_on_(?:vm_start|configure|tick|queue_ready|done|log|(?:request|response)_(?:headers|body|trailers)|new_connection|(?:down|up)stream_(?:data|connection_close))$/;

/** Names of callbacks, "proxy_on_…"; empty when nothing is known. */
export function ownCallbacks(language: string, functions: readonly string[]): ReadonlySet<string> {
  const methodOf = METHODS[language];
  const methods = methodOf === undefined ? [] : functions.flatMap((name) => methodOf(name) ?? []);
  return new Set(methods.map(callbackOf));
}

/** Whether the author wrote it; undefined when that cannot be told. */
export function isOwn(callback: string, own: ReadonlySet<string>): boolean | undefined {
  return own.size === 0 || !TOLD.test(callback) ? undefined : own.has(callback);
}

function callbackOf(method: string): string {
  const snake = method
    .replace(/VM/, "Vm")
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    .replace(/^_/, "");
  const renamed = RENAMED[snake] ?? snake.replace(/^on_(?:http_(?=request|response))?/, "");
  return `proxy_on_${renamed}`;
}
