// The callbacks that a plugin may export, numbered for tables and records. Names from ABI 0.2.1; version differences
// (arity of the header callbacks) need nothing here, because a wasm export ignores extra arguments.

/** Callback ids. The order is ours and stable within one build; names are what users see. */
export const Callback = {
  OnContextCreate: 0,
  OnVmStart: 1,
  OnConfigure: 2,
  OnTick: 3,
  OnQueueReady: 4,
  OnForeignFunction: 5,
  OnRequestHeaders: 6,
  OnRequestBody: 7,
  OnRequestTrailers: 8,
  OnResponseHeaders: 9,
  OnResponseBody: 10,
  OnResponseTrailers: 11,
  OnHttpCallResponse: 12,
  OnGrpcReceiveInitialMetadata: 13,
  OnGrpcReceive: 14,
  OnGrpcReceiveTrailingMetadata: 15,
  OnGrpcClose: 16,
  OnDone: 17,
  OnLog: 18,
  OnDelete: 19,
  OnNewConnection: 20,
  OnDownstreamData: 21,
  OnDownstreamConnectionClose: 22,
  OnUpstreamData: 23,
  OnUpstreamConnectionClose: 24,
} as const;

export type CallbackId = (typeof Callback)[keyof typeof Callback];

/** What Vm.call() answers when the guest failed or is dead. Results of callbacks are u32, so it is none of them. */
export const FAULTED = -1;

/** Export name of each callback, by id. */
export const CALLBACK_NAMES: readonly string[] = [
  "proxy_on_context_create",
  "proxy_on_vm_start",
  "proxy_on_configure",
  "proxy_on_tick",
  "proxy_on_queue_ready",
  "proxy_on_foreign_function",
  "proxy_on_request_headers",
  "proxy_on_request_body",
  "proxy_on_request_trailers",
  "proxy_on_response_headers",
  "proxy_on_response_body",
  "proxy_on_response_trailers",
  "proxy_on_http_call_response",
  "proxy_on_grpc_receive_initial_metadata",
  "proxy_on_grpc_receive",
  "proxy_on_grpc_receive_trailing_metadata",
  "proxy_on_grpc_close",
  "proxy_on_done",
  "proxy_on_log",
  "proxy_on_delete",
  "proxy_on_new_connection",
  "proxy_on_downstream_data",
  "proxy_on_downstream_connection_close",
  "proxy_on_upstream_data",
  "proxy_on_upstream_connection_close",
];
