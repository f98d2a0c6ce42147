// What a plugin can do to the world, by what it imports; and whether it holds streams. For module-report.ts.

/** The imports behind an ability, any of them. */
const ABILITIES: readonly (readonly [ability: string, imports: readonly string[]])[] = [
  [
    "change headers",
    [
      "proxy_add_header_map_value",
      "proxy_replace_header_map_value",
      "proxy_remove_header_map_value",
      "proxy_set_header_map_pairs",
    ],
  ],
  ["change bodies", ["proxy_set_buffer_bytes"]],
  ["answer requests itself", ["proxy_send_local_response"]],
  ["cut streams", ["proxy_close_stream"]],
  ["resume what it paused", ["proxy_continue_stream", "proxy_continue_request", "proxy_continue_response"]],
  ["call HTTP services", ["proxy_http_call"]],
  ["call gRPC services", ["proxy_grpc_call", "proxy_grpc_stream"]],
  ["have a timer", ["proxy_set_tick_period_milliseconds"]],
  ["read properties", ["proxy_get_property"]],
  ["set properties", ["proxy_set_property"]],
  ["share data", ["proxy_get_shared_data", "proxy_set_shared_data"]],
  ["use queues", ["proxy_enqueue_shared_queue", "proxy_dequeue_shared_queue"]],
  ["count metrics", ["proxy_increment_metric", "proxy_record_metric"]],
  ["call foreign functions", ["proxy_call_foreign_function"]],
];

/** Imports after one of which a paused stream goes on or ends. */
const WAYS_OUT: ReadonlySet<string> = new Set([
  "proxy_continue_stream",
  "proxy_continue_request",
  "proxy_continue_response",
  "proxy_send_local_response",
  "proxy_close_stream",
]);

/** Callbacks whose result holds a stream. */
const HOLDING: ReadonlySet<string> = new Set([
  "proxy_on_request_headers",
  "proxy_on_request_body",
  "proxy_on_request_trailers",
  "proxy_on_response_headers",
  "proxy_on_response_body",
  "proxy_on_response_trailers",
  "proxy_on_new_connection",
  "proxy_on_downstream_data",
  "proxy_on_upstream_data",
]);

/**
 * - never: no callback answers anything but continue
 * - always: one answers pause whatever comes
 * - may: it cannot be told from the code
 */
export type Pausing = "never" | "may" | "always";

/** A callback and what it always answers; undefined when that is not always the same, or nothing. */
export interface Answer {
  readonly name: string;
  readonly result: number | undefined;
  /** What an SDK does by itself is to continue. */
  readonly isOwn: boolean | undefined;
}

const CONTINUE = 0;

export function abilitiesOf(imports: ReadonlySet<string>): string[] {
  return ABILITIES.filter(([, names]) => names.some((name) => imports.has(name))).map(([ability]) => ability);
}

/** The callbacks that do or may hold a stream. */
export function holdersOf<T extends Answer>(callbacks: readonly T[]): T[] {
  return callbacks.filter(({ name, isOwn, result }) => HOLDING.has(name) && isOwn !== false && result !== CONTINUE);
}

export function pausingOf(callbacks: readonly Answer[]): Pausing {
  const holders = holdersOf(callbacks);
  if (holders.length === 0) return "never";
  return holders.some(({ result }) => result !== undefined) ? "always" : "may";
}

/** Whether a stream that it paused can ever go on. */
export function hasWayOut(imports: ReadonlySet<string>): boolean {
  return imports.values().some((name) => WAYS_OUT.has(name));
}
