// What differs between ABI versions, as a type. The host registers the functions of all versions for every plugin
// (old SDK headers declare functions that their version dropped); only behaviour follows the version.

import type { AbiVersion } from "./constants.ts";

export interface AbiDescription {
  readonly version: AbiVersion;
  readonly missingHeaderIsEmpty: boolean;
  /** Names of the functions in module "env" that the version defines. */
  readonly hostFunctions: readonly string[];
}
