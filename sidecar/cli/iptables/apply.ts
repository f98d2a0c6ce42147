// Brings rules into a network namespace, and takes them out: all of it, or nothing.
// What rules need besides (the address ::6, TPROXY's route) is made first and taken back when the rules are refused.

import { captureRules, type Rule } from "../../interception/capture-rules.ts";
import type { CaptureSettings } from "../../interception/capture-settings.ts";
import { NFT_CLEAN_SCRIPT, nftScript } from "../../interception/nft-script.ts";
import { type Family, hasOwnRules, restoreScript } from "../../interception/restore-script.ts";
import { type CommandRunner, describeFailure } from "./commands.ts";

/** Before the main table (32766). With a number of its own a second rule is refused; otherwise each `add` makes one more. */
const RULE_PRIORITY = "1337";

export type Backend = "nft" | "iptables";

/** One thing that `ip` makes and removes. */
interface Fixture {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface Node {
  readonly run: CommandRunner;
  readonly hasIpv6: boolean;
}

/** Undefined, or why nothing has changed. */
export type Problem = string | undefined;

export async function applyRules(settings: CaptureSettings, backend: Backend, node: Node): Promise<Problem> {
  const added: Fixture[] = [];
  const rules = captureRules(settings);
  const { wanted, unwanted } = fixtures(settings, node.hasIpv6);
  let problem: Problem;
  for (const fixture of wanted) {
    const result = await node.run("ip", fixture.add);
    if (result.code === 0) {
      added.push(fixture);
    } else if (!/File exists|already assigned/.test(result.stderr)) {
      problem = describeFailure("ip", fixture.add, result);
      break;
    }
  }
  problem ??= backend === "nft" ? await nft(nftScript(rules), node) : await iptables(rules, node);
  const superfluous = problem === undefined ? unwanted : added.toReversed();
  for (const { remove } of superfluous) {
    await node.run("ip", remove);
  }
  return problem;
}

/** Removes everything that `applyRules` can have made, of the backends given. */
export async function cleanRules(
  settings: CaptureSettings,
  backends: readonly Backend[],
  node: Node,
): Promise<Problem> {
  for (const backend of backends) {
    const problem = backend === "nft" ? await nft(NFT_CLEAN_SCRIPT, node) : await iptables([], node);
    if (problem !== undefined) {
      return problem;
    }
  }
  for (const { remove } of fixtures({ ...settings, mode: "TPROXY" }, node.hasIpv6).wanted) {
    await node.run("ip", remove);
  }
  return undefined;
}

/** What `apply` would run, for people and for scripts: comments name what is not a rule. */
export function printRules(settings: CaptureSettings, backend: Backend, hasIpv6: boolean): string {
  const rules = captureRules(settings);
  const before = fixtures(settings, hasIpv6).wanted.map(({ add }) => `# ip ${add.join(" ")}\n`);
  if (backend === "nft") {
    return `${before.join("")}# nft -f -\n${nftScript(rules)}`;
  }
  const families: readonly Family[] = hasIpv6 ? [4, 6] : [4];
  const scripts = families.map((family) => `# ${restoreName(family)} --noflush\n${restoreScript(rules, family, "")}`);
  return [...before, ...scripts].join("");
}

/** Commands of `ip`: what the settings need, and what an earlier `apply` of other settings may have left. */
function fixtures(
  { mode, tproxyMark, tproxyTable }: CaptureSettings,
  hasIpv6: boolean,
): { readonly wanted: readonly Fixture[]; readonly unwanted: readonly Fixture[] } {
  const families: readonly Family[] = hasIpv6 ? [4, 6] : [4];
  // IPv4 has all of 127.0.0.0/8 on lo, IPv6 only ::1.
  const source = ["addr", "add", "::6/128", "dev", "lo"];
  const addresses = hasIpv6 ? [fixture(["-6", ...source])] : [];
  const marked = ["fwmark", String(tproxyMark), "lookup", String(tproxyTable)];
  const transparent = families.flatMap((family) => [
    fixture([`-${family}`, "rule", "add", "priority", RULE_PRIORITY, ...marked]),
    fixture([`-${family}`, "route", "add", "local", "default", "dev", "lo", "table", String(tproxyTable)]),
  ]);
  return mode === "TPROXY"
    ? { wanted: [...addresses, ...transparent], unwanted: [] }
    : { wanted: addresses, unwanted: transparent };
}

function fixture(add: readonly string[]): Fixture {
  return { add, remove: add.map((word) => (word === "add" ? "del" : word)) };
}

async function nft(script: string, { run }: Node): Promise<Problem> {
  const args = ["-f", "-"];
  const result = await run("nft", args, script);
  return result.code === 0 ? undefined : describeFailure("nft", args, result);
}

/** Tries all families first; when one fails all the same, each is put back to what it was. */
async function iptables(rules: readonly Rule[], node: Node): Promise<Problem> {
  const families: readonly Family[] = node.hasIpv6 ? [4, 6] : [4];
  const before: { readonly family: Family; readonly saved: string; readonly script: string }[] = [];
  for (const family of families) {
    const saved = await node.run(saveName(family), ["-c"]);
    if (saved.code !== 0) {
      return describeFailure(saveName(family), ["-c"], saved);
    }
    const text = saved.stdout.replace(/^\[\d+:\d+\] /gm, "");
    before.push({ family, saved: saved.stdout, script: restoreScript(rules, family, text) });
  }
  for (const trial of [true, false]) {
    for (const { family, script } of before) {
      const args = ["--noflush", "-w", "10", ...(trial ? ["--test"] : [])];
      const result = script === "" ? undefined : await node.run(restoreName(family), args, script);
      if (result !== undefined && result.code !== 0) {
        return (trial ? "" : await putBack(before, node)) + describeFailure(restoreName(family), args, result);
      }
    }
  }
  return undefined;
}

async function putBack(
  before: readonly { readonly family: Family; readonly saved: string }[],
  { run }: Node,
): Promise<string> {
  for (const { family, saved } of before) {
    const now = await run(saveName(family), []);
    if (hasOwnRules(now.stdout)) {
      await run(restoreName(family), ["--noflush", "-w", "10"], restoreScript([], family, now.stdout));
    }
    const result = await run(restoreName(family), ["-c", "-w", "10"], saved);
    if (result.code !== 0) {
      return `the rules of before could not be put back (${result.stderr.trim()}); `;
    }
  }
  return "";
}

function saveName(family: Family): string {
  return family === 4 ? "iptables-save" : "ip6tables-save";
}

function restoreName(family: Family): string {
  return family === 4 ? "iptables-restore" : "ip6tables-restore";
}
