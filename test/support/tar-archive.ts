// Tar archives as tests need them: right, and wrong in one place. POSIX ustar headers, written by hand.

export interface TarEntry {
  readonly name: string;
  readonly content?: Uint8Array;
  /** "0" regular (default), "2" symbolic link, "5" folder, "x" pax, "L" GNU long name. */
  readonly type?: string;
  readonly prefix?: string;
  /** Instead of the content's own length. */
  readonly size?: number;
}

export function tarArchive(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(tarEntry), Buffer.alloc(1024)]);
}

/** One record of a pax header: `LENGTH key=value\n`, its own length included. */
export function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (String(length).length + Buffer.byteLength(rest) !== length) {
    length++;
  }
  return Buffer.from(`${length}${rest}`);
}

function tarEntry({ name, content = new Uint8Array(), type = "0", prefix = "", size }: TarEntry): Buffer[] {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write("0000644\0", 100);
  header.write((size ?? content.length).toString(8).padStart(11, "0"), 124);
  header.write(type, 156);
  header.write("ustar\0", 257);
  header.write("00", 263);
  header.write(prefix, 345, 155);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return [header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512)];
}
