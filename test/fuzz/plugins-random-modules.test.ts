// Random valid modules, with their limits written in and metered, and as they are: the same results, traps, exceptions, calls of the
// host, globals and memory, on the same fuel each time; and with less fuel than they need they end, having done no more than that.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readOutline, withMaxima } from "../../plugins/wasm-binary.ts";
import { instance, type Instance, metered, type MeteredInstance } from "../plugins/support/metered-pair.ts";
import { type RandomFunction, randomModule } from "../plugins/support/random-module.ts";

const modules = fc.array(fc.nat(255), { maxLength: 700, size: "max" }).map(randomModule);
const ARGUMENTS = { i32: [-3, 40], i64: [-5n, 2n ** 40n], f32: [0.5, 1e9], f64: [-2.25, 1e300], v128: [] } as const;
const PLENTY = 2 ** 52;
const TURNS = 60;
/** What counting one turn costs the module itself; functions that only count are free when the host calls them. */
const [TURN_COST, FREE_COST] = [6, 120];
/** What the modules declare as their largest memory, in pages, and table. */
const [MAX_PAGES, MAX_ENTRIES] = [3, 20];
const GLOBALS = ["i32", "i64", "f64", "turns"] as const;

interface Guest<T extends Instance = Instance> {
  /** What it called, and with what. */
  readonly seen: unknown[][];
  readonly made: T;
}

/** Undefined when its start function trapped or threw. */
function guestOf<T extends Instance>(
  make: (imports: Record<string, Record<string, unknown>>) => T,
): Guest<T> | undefined {
  const seen: unknown[][] = [];
  const see = (value: number): number => (seen.push([value]), value + seen.length);
  const hear = (value: bigint, other: number): void => void seen.push([value, other]);
  try {
    return { seen, made: make({ h: { see, hear } }) };
  } catch {
    return undefined;
  }
}

function calls({ name, parameters }: RandomFunction): (readonly [string, ...(number | bigint)[]])[] {
  return [0, 1].map((which) => [name, ...parameters.map((type) => ARGUMENTS[type][which] ?? 0)] as const);
}

/** Everything that a guest can leave behind but its memory. */
function stateOf({ made: { exports }, seen }: Guest): unknown {
  return [GLOBALS.map((name) => (exports[name] as { readonly value: unknown }).value), seen];
}

function memoryOf({ made: { exports } }: Guest): Buffer {
  return Buffer.from((exports["memory"] as WebAssembly.Memory).buffer);
}

function run(guest: Guest, [name, ...args]: readonly [string, ...(number | bigint)[]]): unknown {
  (guest.made.exports["turns"] as { value: number }).value = TURNS;
  return guest.made.call(name, ...args);
}

test("random modules do the same with and without metering, and no more when they have less fuel", () => {
  const outcomes = { value: 0, trap: 0, exception: 0, spent: 0 };
  let hostCalls = 0;
  fc.assert(
    fc.property(modules, fc.double({ min: 0, max: 1, noNaN: true }), ({ bytes, functions }, part) => {
      assert.ok(WebAssembly.validate(bytes), "the generator makes valid modules");
      const capped = withMaxima(bytes, readOutline(bytes) ?? assert.fail("no outline"), MAX_PAGES, MAX_ENTRIES);
      const plain = guestOf((imports) => instance(bytes, imports));
      const make = (): Guest<MeteredInstance> | undefined => guestOf((imports) => metered(capped, imports));
      const [first, second, poor] = [make(), make(), make()];
      if (plain === undefined || first === undefined || second === undefined || poor === undefined) {
        assert.deepEqual([first, second, poor], [plain, plain, plain]);
        return;
      }
      let isPoorAlive = true;
      for (const call of functions.flatMap(calls)) {
        const expected = run(plain, call);
        for (const guest of [first, second]) {
          guest.made.fill(PLENTY);
          assert.deepEqual(run(guest, call), expected, call.join());
        }
        assert.equal(first.made.left(), second.made.left());
        outcomes[expected === "[Exception]" ? "exception" : typeof expected === "string" ? "trap" : "value"]++;
        const used: number = PLENTY - first.made.left();
        const turns: number = TURNS - (plain.made.exports["turns"] as { readonly value: number }).value;
        if (typeof expected !== "string")
          assert.ok(used >= turns * TURN_COST - FREE_COST, `${turns} turns for ${used}`);
        if (!isPoorAlive) continue;
        const fuel = Math.floor(used * part);
        poor.made.fill(fuel);
        const outcome = run(poor, call);
        isPoorAlive = poor.made.left() >= 0;
        if (!isPoorAlive && outcome === "[unreachable]") outcomes.spent++;
        else {
          assert.deepEqual(outcome, expected);
          assert.equal(poor.made.left(), fuel - used);
        }
        assert.deepEqual(poor.seen, plain.seen.slice(0, poor.seen.length), "it did the same as far as it came");
      }
      assert.deepEqual(stateOf(first), stateOf(plain));
      assert.ok(memoryOf(first).equals(memoryOf(plain)), "the memories are the same");
      hostCalls += plain.seen.length;
    }),
    { numRuns: 700 },
  );
  const { value, trap, exception, spent } = outcomes;
  const did = `${value} values, ${trap} traps, ${exception} exceptions, ${spent} out of fuel, ${hostCalls} host calls`;
  assert.ok(value > 4_000 && trap > 200 && exception > 50 && spent > 300 && hostCalls > 400, did);
});
