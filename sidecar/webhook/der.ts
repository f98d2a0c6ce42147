// The few forms of DER (ITU-T X.690) that a certificate is made of. Written only, never read: what others send is OpenSSL's to read.

export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  // Up to 127 the length is one byte; above, its own length comes first.
  const bytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  if (length > 0xffff) {
    throw new RangeError(`Cannot write ${length} bytes of DER: at most 65535`);
  }
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, ...parts);
export const octets = (content: Uint8Array): Buffer => der(0x04, content);
export const text = (content: string): Buffer => der(0x0c, Buffer.from(content, "utf8"));
export const truth = (): Buffer => der(0x01, Buffer.from([0xff]));

/** A positive number, most significant byte first. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) {
    start++;
  }
  const content = bytes.subarray(start);
  // A first bit that is set would make it negative.
  return der(0x02, (content[0] ?? 0) & 0x80 ? Buffer.from([0]) : Buffer.alloc(0), content);
}

/** Whole bytes, or with `unused` bits at the end. */
export function bits(content: Uint8Array, unused = 0): Buffer {
  return der(0x03, Buffer.from([unused]), content);
}

/** `2.5.29.17` and the like. */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) {
      groups.unshift((left & 0x7f) | 0x80);
    }
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** Whole seconds. RFC 5280, 4.1.2.5: two-digit years until 2049, four digits after. */
export function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, "");
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

/** `[n]` with what it holds inside. */
export function tagged(n: number, ...parts: readonly Uint8Array[]): Buffer {
  return der(0xa0 + n, ...parts);
}

/** `[n]` in place of the tag of what it holds. */
export function retagged(n: number, content: Uint8Array): Buffer {
  return der(0x80 + n, content);
}
