// A plugin module that is valid and cannot be metered: its type section begins with a garbage-collected type, which wat2wasm
// does not write.

import { watBytes } from "./specs.ts";

export function unmeterableModule(): Uint8Array {
  const bytes = Buffer.from(
    watBytes(`(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
      (func (export "malloc") (param i32) (result i32) (i32.const 0)) (func (export "proxy_on_tick") (param i32)))`),
  );
  const section = bytes.indexOf(Buffer.from([1, bytes[9] as number]));
  const size = bytes[section + 1] as number;
  return Buffer.concat([
    bytes.subarray(0, section),
    Buffer.from([1, size + 2, (bytes[section + 2] as number) + 1]),
    bytes.subarray(section + 3, section + 2 + size),
    Buffer.from([0x5f, 0]),
    bytes.subarray(section + 2 + size),
  ]);
}
