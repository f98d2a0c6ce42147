// Rules → what iptables-restore and ip6tables-restore take with --noflush, for nodes without nftables.
// Each hook has a chain of its own, flushed and filled in the same transaction, and one jump to it from the kernel's chain.

import { familyOf, HOOKS, type Hook, type Match, type Rule, type Verdict } from "./capture-rules.ts";

export type Family = 4 | 6;

/** Which of iptables' tables and chains a hook is. */
const PLACES: Readonly<Record<Hook, { readonly table: string; readonly chain: string; readonly own: string }>> = {
  raw_prerouting: { table: "raw", chain: "PREROUTING", own: "OUTRIGGER_PREROUTING" },
  raw_output: { table: "raw", chain: "OUTPUT", own: "OUTRIGGER_OUTPUT" },
  mangle_prerouting: { table: "mangle", chain: "PREROUTING", own: "OUTRIGGER_PREROUTING" },
  mangle_output: { table: "mangle", chain: "OUTPUT", own: "OUTRIGGER_OUTPUT" },
  nat_prerouting: { table: "nat", chain: "PREROUTING", own: "OUTRIGGER_PREROUTING" },
  nat_output: { table: "nat", chain: "OUTPUT", own: "OUTRIGGER_OUTPUT" },
};

export const IPTABLES_TABLES = ["raw", "mangle", "nat"] as const;

/**
 * `saved` is what iptables-save says: jumps of before are taken out, so that there is one of each afterwards and none where no
 * rule is left. Without rules everything of ours goes. Empty when there is nothing to change.
 */
export function restoreScript(rules: readonly Rule[], family: Family, saved: string): string {
  const tables = IPTABLES_TABLES.flatMap((table) => {
    const lines = HOOKS.filter((hook) => PLACES[hook].table === table).map((hook) => {
      const mine = rules.filter((rule) => rule.hook === hook && (familyOf(rule.match) ?? family) === family);
      return hookLines(hook, mine, table, saved);
    });
    const chains = lines.flatMap(({ chain }) => chain);
    const commands = lines.flatMap(({ commands: each }) => each);
    return chains.length === 0 ? [] : [`*${table}`, ...chains, ...commands, "COMMIT"];
  });
  return tables.length === 0 ? "" : `${tables.join("\n")}\n`;
}

/** Whether iptables-save's text has anything of ours. */
export function hasOwnRules(saved: string): boolean {
  return saved.includes("OUTRIGGER_");
}

function hookLines(
  hook: Hook,
  rules: readonly Rule[],
  table: string,
  saved: string,
): { readonly chain: readonly string[]; readonly commands: readonly string[] } {
  const { chain, own } = PLACES[hook];
  const before = tableText(saved, table);
  const jump = `${chain} -j ${own}`;
  const removals = before.filter((line) => line === `-A ${jump}`).map(() => `-D ${jump}`);
  const exists = before.some((line) => line.startsWith(`:${own} `));
  if (rules.length === 0) {
    return exists ? { chain: [`:${own} - [0:0]`], commands: [...removals, `-X ${own}`] } : { chain: [], commands: [] };
  }
  const words = rules.flatMap((rule) => restoreRules(rule).map((line) => `-A ${own} ${line}`));
  return { chain: [`:${own} - [0:0]`], commands: [...removals, ...words, `-A ${jump}`] };
}

function tableText(saved: string, table: string): readonly string[] {
  const lines = saved.split("\n").map((line) => line.trim());
  const start = lines.indexOf(`*${table}`);
  const end = start < 0 ? start : lines.indexOf("COMMIT", start);
  return start < 0 ? [] : lines.slice(start, end < 0 ? undefined : end);
}

function restoreRules({ match, verdict }: Rule): readonly string[] {
  const words = restoreMatch(match).join(" ");
  return restoreVerdicts(verdict).map((target) => `${words}${words === "" ? "" : " "}${target}`);
}

function restoreMatch(match: Match): string[] {
  const words: string[] = [];
  if (match.source !== undefined) words.push(`-s ${match.source}`);
  if (match.destination !== undefined) words.push(`-d ${match.destination}`);
  if (match.exceptDestination !== undefined) words.push(`! -d ${match.exceptDestination}`);
  if (match.input !== undefined) words.push(`-i ${match.input}`);
  if (match.output !== undefined) words.push(`-o ${match.output}`);
  if (match.protocol !== undefined) words.push(`-p ${match.protocol}`);
  if (match.destinationPort !== undefined) words.push(`--dport ${match.destinationPort}`);
  if (match.sourcePort !== undefined) words.push(`--sport ${match.sourcePort}`);
  if (match.exceptDestinationPorts !== undefined) {
    words.push(`-m multiport ! --dports ${match.exceptDestinationPorts.join(",")}`);
  }
  if (match.uid !== undefined) words.push(`-m owner --uid-owner ${match.uid}`);
  if (match.gid !== undefined) words.push(`-m owner --gid-owner ${match.gid}`);
  words.push(...(match.exceptGids ?? []).map((gid) => `-m owner ! --gid-owner ${gid}`));
  if (match.mark !== undefined) words.push(`-m mark --mark ${match.mark}`);
  if (match.exceptMark !== undefined) words.push(`-m mark ! --mark ${match.exceptMark}`);
  if (match.connectionMark !== undefined) words.push(`-m connmark --mark ${match.connectionMark}`);
  if (match.state === "established") words.push("-m conntrack --ctstate RELATED,ESTABLISHED");
  if (match.state === "invalid") words.push("-m conntrack --ctstate INVALID");
  return words;
}

/** In iptables a mark does not end the walk, so that one rule may become two. */
function restoreVerdicts(verdict: Verdict): readonly string[] {
  switch (verdict.kind) {
    case "return":
      return ["-j RETURN"];
    case "drop":
      return ["-j DROP"];
    case "redirect":
      return [`-j REDIRECT --to-ports ${verdict.port}`];
    case "tproxy":
      return [`-j TPROXY --tproxy-mark ${verdict.mark}/0xffffffff --on-port ${verdict.port}`];
    case "divert":
      return [`-j MARK --set-mark ${verdict.mark}`, "-j ACCEPT"];
    case "set_mark":
      return [`-j MARK --set-mark ${verdict.mark}`];
    case "save_mark":
      return ["-j CONNMARK --save-mark"];
    case "restore_mark":
      return ["-j CONNMARK --restore-mark"];
    case "zone":
      return [`-j CT --zone ${verdict.zone}`, "-j RETURN"];
  }
}
