// Text as it is written: latin1 strings, one character a byte of UTF-8. Used by format strings and their operators.

/** Values are wire text already, unless they came from configuration or the environment. */
export function latin1Text(text: string): string {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 255) {
      return Buffer.from(text, "utf8").toString("latin1");
    }
  }
  return text;
}

/** Configuration text as UTF-8 bytes in latin1 characters. */
export function wireText(text: string): string {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 127) {
      return Buffer.from(text, "utf8").toString("latin1");
    }
  }
  return text;
}

/** Wire text as a JSON string in wire text; bytes that are not UTF-8 become U+FFFD. */
export function jsonText(wire: string): string {
  for (let at = 0; at < wire.length; at++) {
    if (wire.charCodeAt(at) > 127) {
      return wireText(JSON.stringify(Buffer.from(wire, "latin1").toString("utf8")));
    }
  }
  return JSON.stringify(wire);
}
