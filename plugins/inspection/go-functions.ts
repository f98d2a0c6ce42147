// The functions that are written in a Go module's source, from the table that its runtime keeps for stack traces. It is there in
// stripped modules, too. Methods that the compiler made for embedded types are told apart by their line, which is 1: own-callbacks.ts
// asks what the author wrote. Input is hostile: reads are checked, names have a limit.
// Source: Go 1.20 to 1.26, runtime/symtab.go (pcHeader, functab) and runtime/runtime2.go (_func).

/** Little endian 0xfffffff1, two zeros, an instruction size of 1 and a pointer size of 8. */
const MAGIC = Buffer.from("f1ffffff00000108", "hex");
/** Fields of 8 bytes behind it. */
const Header = { Functions: 0, NamesAt: 3, TableAt: 7 } as const;
/** Bytes into a function's record. */
const NAME_AT = 4;
const LINE_AT = 36;
const RECORD_BYTES = 44;
const MAX_FUNCTIONS = 200_000;
const MAX_NAME_BYTES = 1_024;
/** No function of a file stands in its first line: that is the package clause. */
const GENERATED_LINE = 1;

/** Their names, as "main.(*httpContext).OnHttpRequestHeaders"; empty when the memory holds no such table. */
export function goFunctions(image: Buffer): string[] {
  const at = image.indexOf(MAGIC);
  if (at < 0 || at + 72 > image.length) return [];
  const field = (index: number): number => Number(image.readBigUInt64LE(at + MAGIC.length + index * 8));
  const count = field(Header.Functions);
  const names = at + field(Header.NamesAt);
  const table = at + field(Header.TableAt);
  if (count > MAX_FUNCTIONS || table + count * 8 > image.length) return [];
  const found: string[] = [];
  for (let i = 0; i < count; i++) {
    const record = table + image.readUInt32LE(table + i * 8 + 4);
    if (record + RECORD_BYTES > image.length) return [];
    if (image.readInt32LE(record + LINE_AT) === GENERATED_LINE) continue;
    const name = names + image.readUInt32LE(record + NAME_AT);
    const end = image.indexOf(0, name);
    if (end >= name && end - name <= MAX_NAME_BYTES) found.push(image.toString("utf8", name, end));
  }
  return found;
}
