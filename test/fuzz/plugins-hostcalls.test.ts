// Every host function with arguments that no SDK would send: pointers anywhere, lengths of any size. None throws into
// the embedder, none ends the guest, each answers a status that exists, and none writes where it was not pointed.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { V0_1_0 } from "../../plugins/abi/v0-1-0.ts";
import { V0_2_1 } from "../../plugins/abi/v0-2-1.ts";
import { FakeStream } from "../plugins/support/fake-stream.ts";
import { loaded } from "../plugins/support/loaded.ts";
import { WatGuest } from "../plugins/support/wat-guest.ts";
import { envFunctions } from "../../plugins/hostcalls/table.ts";
import { wasiFunctions } from "../../plugins/hostcalls/wasi.ts";

type AnyFunction = (...args: unknown[]) => unknown;

const BIG: ReadonlySet<string> = new Set(["proxy_increment_metric", "proxy_record_metric"]);
/** Small numbers, numbers around the end of memory (65536) and of i32, and anything. */
const word = fc.oneof(
  fc.integer({ min: 0, max: 64 }),
  fc.integer({ min: 65_500, max: 65_600 }),
  fc.constantFrom(-1, -4, 0x7fff_ffff, -0x8000_0000),
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
);

test("host functions answer a status for any arguments", () => {
  const guest = new WatGuest();
  const { plugin } = loaded(
    guest.on("proxy_on_request_headers", "(i32.const 1)").on("proxy_on_request_body", "(i32.const 1)"),
  );
  const stream = new FakeStream();
  const context = plugin.createHttpContext(stream);
  context.onRequestHeaders(3, false);
  stream.bodies[0] = Buffer.from("body");
  context.onRequestBody(4, false);
  const vm = plugin.root?.vm;
  if (vm === undefined) assert.fail("the guest did not start");
  const env = envFunctions(vm);
  const wasi = wasiFunctions(vm);
  for (const name of [...V0_1_0.hostFunctions, ...V0_2_1.hostFunctions]) assert.ok(name in env, `${name} is missing`);
  const names = [...Object.keys(env), ...Object.keys(wasi)].filter((name) => name !== "proc_exit");
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.array(word, { minLength: 12, maxLength: 12 }), (name, words) => {
      vm.effective = vm.contexts.get(context.contextId) ?? vm.active;
      const run = (env[name] ?? wasi[name]) as unknown as AnyFunction;
      const args: unknown[] = words.slice(0, Math.max(run.length, 1));
      if (BIG.has(name)) args[1] = BigInt(words[1] as number);
      const status = run(...args);
      const isKnown = status === undefined || (typeof status === "number" && status >= 0 && status <= 76);
      assert.ok(isKnown, `${name}(${words.join(", ")}) answered ${String(status)}`);
      vm.memory.ensure();
    }),
    { numRuns: 4000 },
  );
  assert.equal(vm.fault, undefined);
});
