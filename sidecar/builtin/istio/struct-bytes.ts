// Writes a google.protobuf.Struct of texts and Structs, with its fields sorted by name, so that equal content is equal bytes.
// Texts are latin1 characters that are UTF-8 bytes, as everywhere on the stream's side (http/headers.ts).

/** Tags of `fields = 1` in Struct, `key = 1` and `value = 2` in its entries, `string_value = 3` and `struct_value = 5` in Value. */
const FIELDS = 0x0a;
const KEY = 0x0a;
const VALUE = 0x12;
const STRING_VALUE = 0x1a;
const STRUCT_VALUE = 0x2a;

export class StructBytes {
  readonly #fields = new Map<string, Buffer>();

  /** An empty text is not written. */
  text(name: string, value: string): void {
    if (value !== "") {
      this.#fields.set(name, delimited(STRING_VALUE, Buffer.from(value, "latin1")));
    }
  }

  struct(name: string, value: StructBytes): void {
    this.#fields.set(name, delimited(STRUCT_VALUE, value.bytes()));
  }

  bytes(): Buffer {
    const names = [...this.#fields.keys()].toSorted();
    return Buffer.concat(
      names.map((name) => {
        const key = delimited(KEY, Buffer.from(name, "latin1"));
        const value = delimited(VALUE, this.#fields.get(name) as Buffer);
        return delimited(FIELDS, Buffer.concat([key, value]));
      }),
    );
  }
}

function delimited(tag: number, content: Buffer): Buffer {
  const head = [tag];
  let rest = content.length;
  for (; rest > 127; rest >>>= 7) {
    head.push((rest & 127) | 128);
  }
  head.push(rest);
  return Buffer.concat([Buffer.from(head), content]);
}
