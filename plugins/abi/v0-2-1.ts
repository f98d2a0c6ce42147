// ABI 0.2.1 (2020-08-04): adds proxy_get_log_level. The Rust, C++ and AssemblyScript SDKs. Data only.

import type { AbiDescription } from "./versions.ts";
import { V0_2_0 } from "./v0-2-0.ts";

export const V0_2_1: AbiDescription = {
  version: "0.2.1",
  missingHeaderIsEmpty: false,
  hostFunctions: [...V0_2_0.hostFunctions, "proxy_get_log_level"],
};
