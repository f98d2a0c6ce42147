// The value of the Date field (RFC 9110 §6.6.1), made at most once a second.

let second = -1;
let text = "";

/** IMF-fixdate of `nowMs`, milliseconds since the epoch. */
export function dateField(nowMs: number): string {
  const current = Math.floor(nowMs / 1000);
  if (current !== second) {
    second = current;
    text = new Date(current * 1000).toUTCString();
  }
  return text;
}
