// Functions that do nothing but answer the same always: what a callback looks like that an SDK exports and no plugin uses.
// module-report.ts asks for each exported callback. Input is hostile: reads are checked.
// Source: WebAssembly Core Specification 3.0, §5.4.

import { ByteReader } from "../metering/byte-reader.ts";

const Op = { Nop: 0x01, End: 0x0b, Return: 0x0f, Drop: 0x1a, LocalGet: 0x20, I32Const: 0x41 } as const;
/** Longer bodies do more than nothing. */
const MAX_BYTES = 64;

/** The i32 that the body answers whatever it is given; "nothing" when it answers nothing; undefined when it does something. */
export function constantResult(bytes: Uint8Array, start: number, end: number): number | "nothing" | undefined {
  if (end - start > MAX_BYTES) return undefined;
  const reader = new ByteReader(bytes, start, end);
  for (let groups = reader.count(); groups > 0 && !reader.failed; groups--) {
    reader.skipLeb();
    reader.skipValueType();
  }
  /** Undefined: a value that is not known. */
  const stack: (number | undefined)[] = [];
  while (!reader.failed && reader.at < reader.end) {
    switch (reader.byte()) {
      case Op.Nop:
        break;
      case Op.I32Const:
        stack.push(signed(reader));
        break;
      case Op.LocalGet:
        reader.skipLeb();
        stack.push(undefined);
        break;
      case Op.Drop:
        stack.pop();
        break;
      case Op.Return:
      case Op.End:
        return stack.length === 0 ? "nothing" : stack.at(-1);
      default:
        return undefined;
    }
  }
  return undefined;
}

/** Signed LEB128 of 32 bits. */
function signed(reader: ByteReader): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = reader.byte();
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return shift < 28 && (byte & 0x40) !== 0 ? value | (-1 << (shift + 7)) : value;
  }
  return value;
}
