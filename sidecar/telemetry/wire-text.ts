// Text as it is written: latin1 strings, one character a byte of UTF-8. Used by format strings and their operators.

import { isUtf8 } from "node:buffer";

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

/** Wire text as a JSON string in wire text; in what is not UTF-8 each byte above ASCII becomes `\u00NN`, as in Envoy. */
export function jsonText(wire: string): string {
  for (let at = 0; at < wire.length; at++) {
    if (wire.charCodeAt(at) > 127) {
      const bytes = Buffer.from(wire, "latin1");
      return isUtf8(bytes) ? wireText(JSON.stringify(bytes.toString("utf8"))) : escapedBytes(wire);
    }
  }
  return JSON.stringify(wire);
}

function escapedBytes(wire: string): string {
  return JSON.stringify(wire).replaceAll(/[\u0080-\u00ff]/g, (byte) => `\\u00${byte.charCodeAt(0).toString(16)}`);
}
