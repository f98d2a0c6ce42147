// V8's regular expressions for patterns that come from outside: a match that would backtrack for long is done anew by V8's linear
// engine. That is a V8 flag of the process, and it is set with the first such pattern, not at the start: what V8 compiled before (Node.js's own
// modules, the compile cache) counts only under the flags under which it was made, and to do without took a third of a start's CPU.

import { setFlagsFromString } from "node:v8";

let isLinear = false;

/** As `new RegExp`, which throws what it throws. Look-around and back references stay exponential: the caller refuses those. */
export function linearRegExp(source: string, flags: string): RegExp {
  if (!isLinear) {
    isLinear = true;
    setFlagsFromString("--enable-experimental-regexp-engine-on-excessive-backtracks");
  }
  return new RegExp(source, flags);
}
