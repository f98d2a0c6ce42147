import assert from "node:assert/strict";
import { test } from "node:test";
import { CloseChoice } from "../../../sidecar/listener/close-choice.ts";

test("CloseChoice closes every time when there is no drain time", () => {
  assert.equal(new CloseChoice(0, { now: () => 5, random: () => 0.999 }).closes(), true);
});

test("CloseChoice closes with a chance that grows to certainty", () => {
  let now = 1_000;
  let random = 0.5;
  const choice = new CloseChoice(100, { now: () => now, random: () => random });
  const cases = [
    { after: 0, chance: 0, expect: false },
    { after: 25, chance: 0.2, expect: true },
    { after: 25, chance: 0.3, expect: false },
    { after: 99, chance: 0.98, expect: true },
    { after: 100, chance: 0.999, expect: true },
    { after: 500, chance: 0.999, expect: true },
  ];
  for (const { after, chance, expect } of cases) {
    now = 1_000 + after;
    random = chance;
    assert.equal(choice.closes(), expect, `${chance} after ${after} ms`);
  }
});
