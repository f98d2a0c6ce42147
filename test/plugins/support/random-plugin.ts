// A plugin for any list of numbers: each callback makes some host calls with arguments that are mostly sensible (texts, pairs, maps,
// contexts, places for results) and sometimes hostile, and answers one thing or another. 0 is the simplest choice, so that fast-check
// shrinks plugins by shrinking the list. Fuzz tests send streams through them.

import { CALLBACK_TYPES, HOST_FUNCTION_TYPES, WASI_FUNCTION_TYPES } from "../../../plugins/abi/function-types.ts";
import { encodeBytePairs } from "../../../plugins/abi/pairs.ts";
import { Choices } from "./random-choices.ts";
import { signed, unsigned, vectorOf } from "./random-operations.ts";

/**
 * What each parameter means: a text (pointer and length) of a kind in TEXTS by a letter of it, `n` a small number, `N` a length, `o`
 * a place for a result, `x` a context id, `s` a status, `I` 64 bits.
 */
const ROLES: Readonly<Record<string, string>> = {
  proxy_log: "nt",
  proxy_get_log_level: "o",
  proxy_get_current_time_nanoseconds: "o",
  proxy_set_tick_period_milliseconds: "n",
  proxy_get_status: "ooo",
  proxy_get_configuration: "oo",
  proxy_set_effective_context: "x",
  proxy_done: "",
  proxy_call_foreign_function: "ftoo",
  proxy_get_property: "Poo",
  proxy_set_property: "Pt",
  proxy_get_header_map_size: "no",
  proxy_get_header_map_pairs: "noo",
  proxy_set_header_map_pairs: "np",
  proxy_get_header_map_value: "nhoo",
  proxy_add_header_map_value: "nht",
  proxy_replace_header_map_value: "nht",
  proxy_remove_header_map_value: "nh",
  proxy_get_buffer_bytes: "nnNoo",
  proxy_get_buffer_status: "noo",
  proxy_set_buffer_bytes: "nnNt",
  proxy_continue_stream: "n",
  proxy_close_stream: "n",
  proxy_continue_request: "",
  proxy_continue_response: "",
  proxy_clear_route_cache: "",
  proxy_send_local_response: "sttpn",
  proxy_http_call: "cqtpNo",
  proxy_grpc_call: "cttptNo",
  proxy_grpc_stream: "cttpo",
  proxy_grpc_send: "ntn",
  proxy_grpc_close: "n",
  proxy_grpc_cancel: "n",
  proxy_get_shared_data: "kooo",
  proxy_set_shared_data: "ktn",
  proxy_register_shared_queue: "ko",
  proxy_resolve_shared_queue: "tko",
  proxy_enqueue_shared_queue: "nt",
  proxy_dequeue_shared_queue: "noo",
  proxy_define_metric: "nto",
  proxy_increment_metric: "nI",
  proxy_record_metric: "nI",
  proxy_get_metric: "no",
  environ_sizes_get: "oo",
  environ_get: "oo",
  random_get: "oN",
  fd_write: "noNo",
  clock_time_get: "nIo",
  poll_oneoff: "ooNo",
};
const NAMES = Object.keys(ROLES);
/** What changes most of what is around a plugin. */
const OFTEN: readonly string[] = [
  "proxy_http_call",
  "proxy_grpc_call",
  "proxy_grpc_stream",
  "proxy_continue_stream",
  "proxy_send_local_response",
  "proxy_set_effective_context",
  "proxy_add_header_map_value",
  "proxy_set_buffer_bytes",
  "proxy_set_tick_period_milliseconds",
];

const REQUEST = [":method", "GET", ":path", "/", ":authority", "a"];
const pairs = (...texts: readonly string[]): Uint8Array =>
  encodeBytePairs(texts.flatMap((name, i) => (i % 2 === 0 ? [[name, Buffer.from(texts[i + 1] ?? "")] as const] : [])));
const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

const TEXTS: Readonly<Record<string, readonly Uint8Array[]>> = {
  t: ["", "value", "a b\0c", "\r\nx: y", "ü".repeat(300)].map(latin1),
  h: ["x-a", ":status", ":path", "content-length", "host", "bad name", "", "connection", ":none"].map(latin1),
  p: [
    pairs(),
    pairs("x-a", "1", "x-a", "2"),
    pairs(":status", "404", "a", "b"),
    pairs("bad name", "x"),
    latin1("\x01\0\0"),
  ],
  q: [
    pairs(...REQUEST),
    pairs(...REQUEST, "x-c", "d"),
    pairs(...REQUEST, "x-a", "b\n"),
    pairs("x", "y"),
    latin1("\xff\xff\xff\xff"),
  ],
  c: ["known", "known", "known", "slow", "failing", "nobody", ""].map(latin1),
  k: ["key", "other", "", "q".repeat(200)].map(latin1),
  P: [
    "request\0path",
    "response\0code",
    "plugin_root_id",
    "",
    "\0",
    "xds\0node\0metadata",
    "my\0own",
    "source\0port",
  ].map(latin1),
  f: [
    "clear_route_cache",
    "compress",
    "uncompress",
    "declare_property",
    "nobody",
    "sign",
    "expr_create",
    "expr_evaluate",
  ].map(latin1),
};
const FIRST_TEXT = 4_096;
const HEAP = 20_000;
const HEAP_END = 65_000;
const HOSTILE: readonly number[] = [-1, 0, 65_535, 65_536, 0x7fff_ffff, -0x8000_0000, 4, 60_000];
const STATUSES: readonly number[] = [200, 403, 0, 99, 600, -1, 204, 503];
const CALLBACKS = Object.entries(CALLBACK_TYPES).filter(([name]) => name !== "proxy_on_grpc_trailing_metadata");
const MAX_CALLS = 5;

export function randomPlugin(choices: readonly number[]): Uint8Array {
  const from = new Choices(choices);
  const places = new Map<Uint8Array, number>();
  let next = FIRST_TEXT;
  for (const text of Object.values(TEXTS).flat()) {
    places.set(text, next);
    next += text.length + 1;
  }
  const abi = from.of(["0_2_1", "0_2_0", "0_1_0"]);
  const writer = new CallWriter(from, places);
  const exported = CALLBACKS.filter(() => from.pick(4) !== 1).map(([name, types]) => ({
    name,
    type: types[0] as string,
    body: writer.callback(name, types[0] as string),
  }));
  const functions = [
    { name: `proxy_abi_version_${abi}`, type: ":", body: [0, END] },
    { name: "malloc", type: "i:i", body: allocator(from.pick(8)) },
    ...exported,
  ];
  const typeOf = (name: string): string => HOST_FUNCTION_TYPES[name] ?? WASI_FUNCTION_TYPES[name] ?? ":";
  const types = [...new Set([...NAMES.map(typeOf), ...functions.map(({ type }) => type)])];
  const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];
  const named = (name: string): number[] => [...unsigned(name.length), ...Buffer.from(name)];
  return Uint8Array.from([
    ...Buffer.from("\0asm\x01\0\0\0", "latin1"),
    ...section(1, vectorOf(types.map(typeBytes))),
    ...section(
      2,
      vectorOf(
        NAMES.map((name) => [
          ...named(name.startsWith("proxy_") ? "env" : "wasi_snapshot_preview1"),
          ...named(name),
          0,
          ...unsigned(types.indexOf(typeOf(name))),
        ]),
      ),
    ),
    ...section(3, vectorOf(functions.map(({ type }) => unsigned(types.indexOf(type))))),
    ...section(5, vectorOf([[0, 1]])),
    ...section(6, vectorOf([[I32, 1, I32_CONST, ...signed(HEAP), END]])),
    ...section(
      7,
      vectorOf([
        [...named("memory"), 2, 0],
        ...functions.map(({ name }, i) => [...named(name), 0, ...unsigned(NAMES.length + i)]),
      ]),
    ),
    ...section(10, vectorOf(functions.map(({ body }) => [...unsigned(body.length), ...body]))),
    ...section(
      11,
      vectorOf(
        Array.from(places, ([text, at]) => [0, I32_CONST, ...signed(at), END, ...unsigned(text.length), ...text]),
      ),
    ),
  ]);
}

const [I32, I64] = [0x7f, 0x7e];
const [UNREACHABLE, LOOP, IF, END, BR, CALL, DROP] = [0x00, 0x03, 0x04, 0x0b, 0x0c, 0x10, 0x1a];
const [LOCAL_GET, GLOBAL_GET, GLOBAL_SET, I32_LOAD, MEMORY_GROW, I32_CONST, I64_CONST] = [
  0x20, 0x23, 0x24, 0x28, 0x40, 0x41, 0x42,
];
const [I32_ADD, I32_GT_U, NOTHING] = [0x6a, 0x4b, 0x40];

/** Hands out memory from HEAP and begins anew at HEAP_END; one in eight answers 0, another one a place outside the memory. */
function allocator(kind: number): number[] {
  if (kind === 6) return [0, I32_CONST, 0, END];
  if (kind === 7) return [0, I32_CONST, ...signed(65_530), END];
  const restart = [IF, NOTHING, I32_CONST, ...signed(HEAP), GLOBAL_SET, 0, END];
  const end = [GLOBAL_GET, 0, LOCAL_GET, 0, I32_ADD];
  return [0, ...end, I32_CONST, ...signed(HEAP_END), I32_GT_U, ...restart, GLOBAL_GET, 0, ...end, GLOBAL_SET, 0, END];
}

class CallWriter {
  readonly #from: Choices;
  readonly #places: ReadonlyMap<Uint8Array, number>;
  #mayLoop = false;

  constructor(from: Choices, places: ReadonlyMap<Uint8Array, number>) {
    this.#from = from;
    this.#places = places;
  }

  callback(name: string, type: string): number[] {
    const code: number[] = [];
    // A start has half a second's fuel: one that loops would take it.
    this.#mayLoop = !/context_create|start|configure/.test(name);
    for (let left = this.#from.pick(MAX_CALLS); left > 0; left--) code.push(...this.#statement());
    if (type.endsWith(":i")) code.push(...this.#answer(name));
    return [0, ...code, END];
  }

  #statement(): number[] {
    switch (this.#from.pick(24)) {
      case 20:
        return [I32_CONST, 1, MEMORY_GROW, 0, DROP];
      case 21:
        return [...this.#result(), IF, NOTHING, ...this.#call(), END];
      case 22:
        return this.#mayLoop && this.#from.pick(3) === 1 ? [LOOP, NOTHING, BR, 0, END] : this.#call();
      case 23:
        return this.#from.pick(3) === 1 ? [UNREACHABLE] : this.#call();
      default:
        return this.#call();
    }
  }

  #call(): number[] {
    const name = this.#from.of(this.#from.pick(3) === 1 ? OFTEN : NAMES);
    const index = NAMES.indexOf(name);
    const code = Array.from(ROLES[name] ?? "").flatMap((role) => this.#argument(role));
    const hasResult = (HOST_FUNCTION_TYPES[name] ?? WASI_FUNCTION_TYPES[name] ?? "").endsWith(":i");
    return [...code, CALL, ...unsigned(index), ...(hasResult ? [DROP] : [])];
  }

  #argument(role: string): number[] {
    const isHostile = this.#from.pick(12) === 11;
    const number = (value: number): number[] => [I32_CONST, ...signed(isHostile ? this.#from.of(HOSTILE) : value)];
    const texts = TEXTS[role];
    if (texts !== undefined) {
      const text = this.#from.of(texts);
      return [
        ...number(this.#places.get(text) ?? 0),
        I32_CONST,
        ...signed(isHostile ? this.#from.of(HOSTILE) : text.length),
      ];
    }
    switch (role) {
      case "I":
        return [I64_CONST, ...signed(this.#from.of(HOSTILE))];
      case "N":
        return number(this.#from.of([0, 1, 10, 100, 100_000]));
      case "o":
        return number(16 + 8 * this.#from.pick(8));
      case "s":
        return number(this.#from.of(STATUSES));
      case "x":
        return this.#from.pick(3) === 1 ? this.#result() : number(1 + this.#from.pick(6));
      default:
        return this.#from.pick(6) === 1 ? this.#result() : number(this.#from.pick(10));
    }
  }

  /** What an earlier call put into its place. */
  #result(): number[] {
    return [I32_CONST, ...signed(16 + 8 * this.#from.pick(8)), I32_LOAD, 0, 0];
  }

  #answer(name: string): number[] {
    if (/start|configure/.test(name)) return [I32_CONST, this.#from.pick(16) === 15 ? 0 : 1];
    const zero = [I32_CONST, 0];
    const answers = [
      zero,
      zero,
      zero,
      zero,
      zero,
      [I32_CONST, 1],
      [I32_CONST, 1],
      this.#result(),
      [I32_CONST, 3],
      [LOCAL_GET, 0],
    ];
    return this.#from.of(answers);
  }
}

function typeBytes(type: string): number[] {
  const [parameters = "", results = ""] = type.split(":");
  const codes = (letters: string): number[] => vectorOf(Array.from(letters, (letter) => [letter === "I" ? I64 : I32]));
  return [0x60, ...codes(parameters), ...codes(results)];
}
