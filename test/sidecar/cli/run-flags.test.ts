// Arguments → RunOptions, and what is said of wrong ones. The process's own part is in test/integration/bad-input.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRunOptions } from "../../../sidecar/cli/run-flags.ts";

const WRONG: readonly (readonly [args: readonly string[], said: string])[] = [
  [[], "needs a bootstrap: -c FILE or --config-yaml TEXT"],
  [["-c", "b.yaml", "--bogus"], "unknown flag --bogus"],
  [["-c", "b.yaml", "--cocurrency", "2"], "unknown flag --cocurrency, did you mean --concurrency?"],
  [["-c"], "flag --config-path needs a value (FILE)"],
  [["b.yaml"], 'unexpected argument "b.yaml"'],
  [["-c", "b.yaml", "--concurrency", "two"], 'flag --concurrency got "two": must be a whole number of at least 0'],
  [["-c", "b.yaml", "--concurrency", "-1"], 'flag --concurrency got "-1": must be a whole number of at least 0'],
  [
    ["-c", "b.yaml", "-l", "loud"],
    'flag --log-level got "loud": must be one of trace, debug, info, warning, warn, error, critical, off',
  ],
  [["-c", "b.yaml", "--mode", "init_only"], 'flag --mode got "init_only": must be one of serve, validate'],
  [["-c", "b.yaml", "--disable-hot-restart=maybe"], 'flag --disable-hot-restart got "maybe": must be true or false'],
];

for (const [args, said] of WRONG) {
  test(`parseRunOptions() says what to change of: ${args.join(" ") || "nothing"}`, () => {
    const parsed = parseRunOptions(args);
    assert.ok(!parsed.ok);
    assert.equal(parsed.problem, said);
  });
}

test("parseRunOptions() takes both forms of a value, and names flags without a meaning", () => {
  const parsed = parseRunOptions(["-c", "b.yaml", "--drain-time-s=7", "--base-id", "3", "--disable-hot-restart"]);
  assert.ok(parsed.ok);
  const { configPath, drainTimeMs, inert } = parsed.options;
  assert.deepEqual([configPath, drainTimeMs], ["b.yaml", 7_000]);
  assert.deepEqual(inert, ["--base-id", "--disable-hot-restart"]);
});
