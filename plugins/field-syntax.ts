// What may be the name or the value of a header that a plugin writes (RFC 9110 section 5.1 and 5.5, plus the pseudo
// headers of RFC 9113 section 8.3). Everything else could split or confuse the message on the wire.

/** One entry per char code below 128: 1 a token character, 2 an upper-case letter (a token character to be lowered). */
const TOKEN = new Uint8Array(128);
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") TOKEN[char.charCodeAt(0)] = 1;
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZ") TOKEN[char.charCodeAt(0)] = 2;

const PSEUDO: ReadonlySet<string> = new Set([":method", ":path", ":authority", ":scheme", ":protocol", ":status"]);
const COLON = 0x3a;

/** A field name in any case, or a known pseudo header. */
export function isFieldName(name: string): boolean {
  if (name.length === 0) return false;
  if (name.charCodeAt(0) === COLON) return PSEUDO.has(name.toLowerCase());
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code >= 128 || TOKEN[code] === 0) return false;
  }
  return true;
}

/** No CR, LF or NUL. Other control characters pass, as they do in Envoy. */
export function isFieldValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 13 || code === 10 || code === 0) return false;
  }
  return true;
}

/** The name in lower case; the same string when it is already. */
export function lowerName(name: string): string {
  for (let i = 0; i < name.length; i++) {
    if (TOKEN[name.charCodeAt(i)] === 2) return name.toLowerCase();
  }
  return name;
}
