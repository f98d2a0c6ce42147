// Where a verb's result goes: the file that --output names, else standard output.

import { writeFile } from "node:fs/promises";
import type { CliIo } from "./verb.ts";

/** The exit code: 0, or 1 when the file cannot be written, which `verb` says then. */
export async function writeOutput(verb: string, text: string, output: unknown, io: CliIo): Promise<number> {
  if (typeof output !== "string") {
    io.out(text);
    return 0;
  }
  try {
    await writeFile(output, text);
    return 0;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    io.err(`outrigger ${verb}: cannot write "${output}": ${reason}\n`);
    return 1;
  }
}
