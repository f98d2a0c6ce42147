// Preloaded by `npm test`: property tests draw the same cases at every run, so that a red check means a change of the code.
// `npm run fuzz` draws new ones; FUZZ_SEED=n repeats what a failure printed.

import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env["FUZZ_SEED"] ?? 20_261_125) });
