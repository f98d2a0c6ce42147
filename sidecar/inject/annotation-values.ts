// What the values of annotations may be: pure checks of texts.

import { isIPv4, isIPv6 } from "node:net";

export function isWholeNumber(text: string): boolean {
  return /^\d{1,9}$/.test(text);
}

export function isPort(text: string): boolean {
  return isWholeNumber(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

/** Empty, or ports with commas between. */
export function isPortList(text: string): boolean {
  return listOf(text).every(isPort);
}

/** Empty, or ranges such as `10.0.0.0/8` and `fd00::/8` with commas between. */
export function isCidrList(text: string): boolean {
  return listOf(text).every((part) => {
    const [address = "", bits = "", ...rest] = part.split("/");
    const longest = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
    return rest.length === 0 && isWholeNumber(bits) && Number(bits) <= longest;
  });
}

/** Empty, or names of interfaces as Linux allows them (15 bytes, no slash) with commas between. */
export function isInterfaceList(text: string): boolean {
  return listOf(text).every((part) => /^[^\s/:,]{1,15}$/.test(part));
}

/** Kubernetes' quantities: `100m`, `0.5`, `128Mi`, `1e3`. */
export function isQuantity(text: string): boolean {
  return /^\+?(?:\d+(?:\.\d*)?|\.\d+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.test(text);
}

function listOf(text: string): string[] {
  return text.trim() === "" ? [] : text.split(",").map((part) => part.trim());
}
