// Runs the programs that change a node's network: nft, iptables-restore, ip. One at a time, with a deadline; no shell.

import { spawn } from "node:child_process";

export interface CommandResult {
  /** 127 when the program is not on PATH. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `program` with `input` on its stdin. Never rejects. */
export type CommandRunner = (program: string, args: readonly string[], input?: string) => Promise<CommandResult>;

const DEADLINE_MS = 30_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export const runCommand: CommandRunner = (program, args, input = "") =>
  new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: DEADLINE_MS,
      killSignal: "SIGKILL",
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        if (output[name].length < MAX_OUTPUT_BYTES) {
          output[name] += text;
        }
      });
    }
    child.on("error", (error: NodeJS.ErrnoException) =>
      resolve({
        code: 127,
        stdout: "",
        stderr: error.code === "ENOENT" ? `${program} is not on PATH` : `${program}: ${error.message}`,
      }),
    );
    child.on("close", (code, signal) =>
      resolve({
        code: code ?? 1,
        ...output,
        ...(signal === null ? {} : { stderr: `${program} was ended by ${signal}` }),
      }),
    );
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });

/** What a failed command says, in one line with its words. */
export function describeFailure(program: string, args: readonly string[], { code, stderr }: CommandResult): string {
  const said = stderr.trim();
  return `${[program, ...args].join(" ")}: ${said === "" ? `ended with ${code}` : said}`;
}
