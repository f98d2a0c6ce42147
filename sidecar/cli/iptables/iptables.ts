// `outrigger iptables print|apply|clean|validate`: what the init container of a pod runs.

import { readFileSync } from "node:fs";
import { type CliIo, type VerbAction, wrongUsage } from "../verb.ts";
import { applyRules, type Backend, cleanRules, type Node, printRules } from "./apply.ts";
import { CAPTURE_FLAGS, captureFlagsHelp, type IptablesOptions, parseIptablesOptions } from "./capture-flags.ts";
import { runCommand } from "./commands.ts";

const SUMMARIES = {
  print: "shows the rules, changes nothing",
  apply: "replaces outrigger's rules by these: all of them, or none and exit code 1; needs CAP_NET_ADMIN",
  clean: "removes every rule, route and address that apply can have made",
  validate: "proves by real connections that capture works; runs before the sidecar, as its user or as root",
} as const;
type IptablesVerb = keyof typeof SUMMARIES;
const VERBS = Object.keys(SUMMARIES) as IptablesVerb[];

export const IPTABLES: VerbAction = {
  words: {
    verbs: VERBS.map((name) => ({ name, summary: SUMMARIES[name], words: () => ({ flags: CAPTURE_FLAGS }) })),
  },
  help: iptablesHelp,
  run: runIptables,
};

export function iptablesHelp(): string {
  return `outrigger iptables VERB [FLAGS]

Redirects the traffic of a network namespace (a pod) to its sidecar. Verbs:
${VERBS.map((name) => `  ${name.padEnd(8)}  ${SUMMARIES[name]}\n`).join("")}
Flags, for each verb alike (lists are separated by commas):
${captureFlagsHelp()}`;
}

/** The exit code: 0, 1 when rules could not be applied or capture does not work, 2 for wrong usage. */
export async function runIptables(argv: readonly string[], io: CliIo): Promise<number> {
  const verb = VERBS.find((each) => each === argv[0]);
  if (verb === undefined) {
    const given = argv[0] === undefined ? "needs a verb" : `unknown verb "${argv[0]}"`;
    return wrongUsage(io, "iptables", `${given}: one of ${VERBS.join(", ")}`);
  }
  const parsed = parseIptablesOptions(argv.slice(1), io.env);
  if (!parsed.ok) {
    return wrongUsage(io, "iptables", parsed.problem);
  }
  const { options } = parsed;
  if (parsed.inert.length > 0) {
    io.err(`outrigger iptables: ${parsed.inert.join(", ")}: accepted, without effect here\n`);
  }
  if (options.settings.dns?.length === 0) {
    io.err("outrigger iptables: /etc/resolv.conf names no server, so DNS is not captured (--capture-all-dns does)\n");
  }
  return run(verb, options, io);
}

async function run(verb: IptablesVerb, options: IptablesOptions, io: CliIo): Promise<number> {
  const { settings, backend } = options;
  const node: Node = { run: runCommand, hasIpv6: hasIpv6() };
  if (verb === "print" || (verb === "apply" && options.dryRun)) {
    io.out(printRules(settings, backend, node.hasIpv6));
    return 0;
  }
  if (verb === "validate") {
    return validate(options, io);
  }
  if (verb === "clean") {
    const backends = options.backendGiven ? [backend] : await presentBackends(node);
    if (backends.length === 0) {
      return failed(io, "neither nft nor iptables-save is on PATH");
    }
    if (options.dryRun) {
      io.out(`would remove the rules of: ${backends.join(", ")}\n`);
      return 0;
    }
    const problem = await cleanRules(settings, backends, node);
    return problem === undefined ? 0 : failed(io, problem);
  }
  const problem = options.skipApply ? undefined : await applyRules(settings, backend, node);
  if (problem !== undefined) {
    return failed(io, `${problem}\nNothing was changed.${hint(problem, backend)}`);
  }
  return options.validateAfter ? validate(options, io) : 0;
}

async function validate(options: IptablesOptions, io: CliIo): Promise<number> {
  const { validateCapture } = await import("./validate.ts");
  return validateCapture(options, io);
}

function failed(io: CliIo, problem: string): number {
  io.err(`outrigger iptables: ${problem}\n`);
  return 1;
}

function hint(problem: string, backend: Backend): string {
  if (problem.includes("not on PATH")) {
    return backend === "nft"
      ? " Install nftables and iproute2, or use --backend iptables."
      : " Install iptables and iproute2.";
  }
  return /not permitted|denied/i.test(problem) ? " This needs CAP_NET_ADMIN in the pod's network namespace." : "";
}

async function presentBackends({ run: runProgram }: Node): Promise<readonly Backend[]> {
  const found: Backend[] = [];
  if ((await runProgram("nft", ["--version"])).code !== 127) {
    found.push("nft");
  }
  if ((await runProgram("iptables-save", ["--version"])).code !== 127) {
    found.push("iptables");
  }
  return found;
}

function hasIpv6(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "utf8").trim() === "0";
  } catch {
    return false;
  }
}
