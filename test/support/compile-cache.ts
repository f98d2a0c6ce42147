// Preloaded by `npm test`: what V8 compiles and Node.js strips of types is kept between test files and runs. Each of some
// 300 files is a process of its own, and most of them load the same modules: a third of the suite's processor time.
// Processes that tests start are not affected; the launcher has a cache of its own.

import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../../.cache/compiled"));
