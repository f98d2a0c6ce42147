// ABI 0.2.0 (2020-08-03): one close/continue call for all streams, configuration by buffers, end_of_stream in the
// header callbacks (an export ignores extra arguments, so the host always passes it). The Go and Zig SDKs. Data only.

import type { AbiDescription } from "./versions.ts";
import { V0_1_0 } from "./v0-1-0.ts";

const REMOVED = new Set([
  "proxy_continue_request",
  "proxy_continue_response",
  "proxy_clear_route_cache",
  "proxy_get_configuration",
]);

export const V0_2_0: AbiDescription = {
  version: "0.2.0",
  missingHeaderIsEmpty: false,
  hostFunctions: [
    ...V0_1_0.hostFunctions.filter((name) => !REMOVED.has(name)),
    "proxy_continue_stream",
    "proxy_close_stream",
  ],
};
