// What this host has of what a module imports and exports, for module-report.ts. A test keeps it true to hostcalls/ and to the
// callbacks that are called.

import { CALLBACK_NAMES } from "../abi/callbacks.ts";
import { CALLBACK_TYPES, HOST_FUNCTION_TYPES, WASI_FUNCTION_TYPES } from "../abi/function-types.ts";
import { REFUSED } from "../hostcalls/wasi.ts";
import { isLinkable } from "../plugin-module.ts";
import type { ImportEntry } from "./anatomy.ts";

/**
 * - implemented
 * - refusing: it is there and always answers the same error (WASI's files and sockets)
 * - stubbed: nobody knows it; it links, and a call answers Unimplemented (12; of WASI 52)
 * - unlinkable: the module does not load because of it
 */
export type Support = "implemented" | "refusing" | "stubbed" | "unlinkable";

/** Callbacks that this host knows and never calls. */
export const UNCALLED_CALLBACKS: ReadonlySet<string> = new Set(["proxy_on_foreign_function"]);

const CALLED: ReadonlySet<string> = new Set(CALLBACK_NAMES.filter((name) => !UNCALLED_CALLBACKS.has(name)));

/** Whether a callback is ever called here. Metadata callbacks and what else begins with `proxy_on_` are not. */
export function isCalled(callback: string): boolean {
  // The older SDKs' name of another one.
  if (callback === "proxy_on_grpc_trailing_metadata") return CALLED.has("proxy_on_grpc_receive_trailing_metadata");
  return CALLED.has(callback);
}

export function supportOf({ module, name, kind }: ImportEntry): Support {
  if (kind !== "function" || !isLinkable(module, name)) return "unlinkable";
  if (module !== "env") {
    if (Object.hasOwn(REFUSED, name)) return "refusing";
    return Object.hasOwn(WASI_FUNCTION_TYPES, name) ? "implemented" : "stubbed";
  }
  return Object.hasOwn(HOST_FUNCTION_TYPES, name) ? "implemented" : "stubbed";
}

/** The type that a function of the ABI has, when the import has another; Envoy refuses to link such a module. */
export function expectedType({ module, name, type }: ImportEntry): string | undefined {
  const types = module === "env" ? HOST_FUNCTION_TYPES : WASI_FUNCTION_TYPES;
  const wanted = Object.hasOwn(types, name) ? types[name] : undefined;
  return type === undefined || type === wanted ? undefined : wanted;
}

/** The same for a callback that the module exports. */
export function expectedCallbackType(name: string, type: string | undefined): string | undefined {
  const wanted = Object.hasOwn(CALLBACK_TYPES, name) ? CALLBACK_TYPES[name] : undefined;
  return type === undefined || wanted === undefined || wanted.includes(type) ? undefined : wanted[0];
}

const LETTERS: Readonly<Record<string, string>> = { i: "i32", I: "i64", f: "f32", F: "f64", v: "v128", r: "ref" };

/** "iI:i" → "(i32, i64) → i32". */
export function typeText(type: string): string {
  const [parameters = "", results = ""] = type.split(":");
  const words = (letters: string): string => Array.from(letters, (letter) => LETTERS[letter] ?? "?").join(", ");
  const result = results === "" ? "nothing" : words(results);
  return `(${words(parameters)}) → ${results.length > 1 ? `(${result})` : result}`;
}
