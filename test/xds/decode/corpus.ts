// Bootstraps, most of them wrong, with the verdict that outrigger must give. envoy-verdict.test.ts asks Envoy 1.40 for its
// own; where the two differ, `differs` says why.

import { BAD } from "./corpus-bad.ts";
import { GOOD } from "./corpus-good.ts";
import type { CorpusCase } from "./corpus-parts.ts";
import { VARIANTS } from "./corpus-variants.ts";

export const CORPUS: readonly CorpusCase[] = [...GOOD, ...BAD, ...VARIANTS];
