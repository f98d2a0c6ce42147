// A CliIo that keeps what a verb prints.

import type { CliIo } from "../../sidecar/cli/verb.ts";

export interface Printed {
  readonly io: CliIo;
  readonly out: () => string;
  readonly err: () => string;
}

export function printed(env: Readonly<Record<string, string>> = {}): Printed {
  const texts = { out: "", err: "" };
  const never = new AbortController().signal;
  return {
    io: {
      out: (text) => void (texts.out += text),
      err: (text) => void (texts.err += text),
      env,
      stop: never,
      kill: never,
    },
    out: () => texts.out,
    err: () => texts.err,
  };
}
