// What this host has of what a module imports and exports, for module-report.ts. A test keeps it true to hostcalls/ and to the
// callbacks that are called.

import { CALLBACK_NAMES } from "../abi/callbacks.ts";
import { hostFunctionType, HOST_FUNCTION_TYPES, WASI_FUNCTION_TYPES } from "../abi/function-types.ts";
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

/** All that the host knows by name. */
const CALLED: ReadonlySet<string> = new Set(CALLBACK_NAMES);

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
  const wanted = hostFunctionType(module, name);
  return type === undefined || type === wanted ? undefined : wanted;
}
