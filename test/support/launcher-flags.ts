// The V8 flags with which the launcher starts Node.js: what starts it without the launcher has to have the same.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const TEXT = readFileSync(join(import.meta.dirname, "../../outrigger"), "utf8");

/** Of a sidecar, or of a control plane, whose young generation is another. */
export function launcherFlags(verb: "run" | "control-plane"): string[] {
  const young = verb === "run" ? /^young="(.*)"$/m : /control-plane \] \|\| young="(.*)"$/m;
  const [, first = ""] = young.exec(TEXT) ?? [];
  const [, others = ""] = /exec "\$node" \$young ([^"]*)"/.exec(TEXT) ?? [];
  return `${first} ${others}`.split(/[\s\\]+/).filter((flag) => flag !== "");
}
