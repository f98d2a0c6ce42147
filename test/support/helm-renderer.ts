// Helm's own renderer (test/fixtures/helm-render), as a child process: a chart and values in, Kubernetes objects out.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const BINARY = join(CACHE, "outrigger/helm-render-v3.20.2");
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Why tests that need it are skipped; undefined when it is there. */
export const HELM_MISSING = existsSync(BINARY)
  ? undefined
  : `Helm's renderer is not built (${BINARY}): run test/fixtures/helm-render/build.sh, which needs Go`;

export interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly values: object;
}

/** `error`: the chart, or its schema, refuses the values. */
export interface Rendered {
  readonly manifests?: Readonly<Record<string, string>>;
  readonly objects?: readonly Readonly<Record<string, unknown>>[];
  readonly error?: string;
}

export function renderChart(chart: string, releases: readonly Release[]): Rendered[] {
  const done = spawnSync(BINARY, [chart], {
    input: JSON.stringify(releases),
    encoding: "utf8",
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  if (done.status !== 0) {
    throw new Error(`helm-render: ${done.error?.message ?? done.stderr}`);
  }
  return JSON.parse(done.stdout) as Rendered[];
}
