// The kinds of filter state that configuration may name are those that the sidecar makes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { STATE_OBJECTS } from "../../../sidecar/filter/state-objects.ts";
import { STATE_FACTORIES } from "../../../xds/decode/set-filter-state.ts";

test("STATE_FACTORIES are the keys of STATE_OBJECTS", () => {
  assert.deepEqual([...STATE_FACTORIES].toSorted(), [...STATE_OBJECTS.keys()].toSorted());
});
