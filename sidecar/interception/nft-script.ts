// Rules → one nftables table for both families, as a script that `nft -f` applies in one transaction: whatever was in the table
// before is gone, or nothing has changed.

import { familyOf, HOOKS, type Hook, type Match, type Rule, type Verdict } from "./capture-rules.ts";

export const NFT_TABLE = "inet outrigger";

/** Runs before and after rules of others as iptables' tables of these names do. */
const CHAINS: Readonly<Record<Hook, string>> = {
  raw_prerouting: "type filter hook prerouting priority raw",
  raw_output: "type filter hook output priority raw",
  mangle_prerouting: "type filter hook prerouting priority mangle",
  mangle_output: "type route hook output priority mangle",
  nat_prerouting: "type nat hook prerouting priority dstnat",
  nat_output: "type nat hook output priority -100",
};

/** Replaces the table. The first line makes sure that there is one to delete. */
export function nftScript(rules: readonly Rule[]): string {
  const chains = HOOKS.flatMap((hook) => {
    const lines = rules.filter((rule) => rule.hook === hook).map((rule) => `    ${nftRule(rule)}`);
    return lines.length === 0 ? [] : [`  chain ${hook} {`, `    ${CHAINS[hook]}; policy accept;`, ...lines, "  }"];
  });
  return [...NFT_REMOVAL, `table ${NFT_TABLE} {`, ...chains, "}", ""].join("\n");
}

const NFT_REMOVAL = [`table ${NFT_TABLE} {}`, `delete table ${NFT_TABLE}`];

/** Removes the table, if there is one. */
export const NFT_CLEAN_SCRIPT = `${NFT_REMOVAL.join("\n")}\n`;

function nftRule({ match, verdict }: Rule): string {
  return [...nftMatch(match), nftVerdict(verdict, match)].join(" ");
}

function nftMatch(match: Match): string[] {
  const ip = familyOf(match) === 6 ? "ip6" : "ip";
  const words: string[] = [];
  if (match.input !== undefined) words.push(`iifname ${interfaceName(match.input)}`);
  if (match.output !== undefined) words.push(`oifname ${interfaceName(match.output)}`);
  if (match.protocol !== undefined) words.push(`meta l4proto ${match.protocol}`);
  if (match.source !== undefined) words.push(`${ip} saddr ${match.source}`);
  if (match.destination !== undefined) words.push(`${ip} daddr ${match.destination}`);
  if (match.exceptDestination !== undefined) words.push(`${ip} daddr != ${match.exceptDestination}`);
  const { protocol = "tcp" } = match;
  if (match.destinationPort !== undefined) words.push(`${protocol} dport ${match.destinationPort}`);
  if (match.exceptDestinationPorts !== undefined) {
    words.push(`${protocol} dport != { ${match.exceptDestinationPorts.join(", ")} }`);
  }
  if (match.sourcePort !== undefined) words.push(`${protocol} sport ${match.sourcePort}`);
  if (match.uid !== undefined) words.push(`meta skuid ${match.uid}`);
  if (match.gid !== undefined) words.push(`meta skgid ${match.gid}`);
  if (match.exceptGids !== undefined && match.exceptGids.length > 0) {
    words.push(`meta skgid != { ${match.exceptGids.join(", ")} }`);
  }
  if (match.mark !== undefined) words.push(`meta mark ${match.mark}`);
  if (match.exceptMark !== undefined) words.push(`meta mark != ${match.exceptMark}`);
  if (match.connectionMark !== undefined) words.push(`ct mark ${match.connectionMark}`);
  if (match.state === "established") words.push("ct state related,established");
  if (match.state === "invalid") words.push("ct state invalid");
  return words;
}

function nftVerdict(verdict: Verdict, match: Match): string {
  switch (verdict.kind) {
    case "return":
    case "drop":
      return verdict.kind;
    case "redirect":
      return `redirect to :${verdict.port}`;
    case "tproxy":
      return `tproxy ${familyOf(match) === 6 ? "ip6" : "ip"} to :${verdict.port} meta mark set ${verdict.mark} accept`;
    case "divert":
      return `meta mark set ${verdict.mark} accept`;
    case "set_mark":
      return `meta mark set ${verdict.mark}`;
    case "save_mark":
      return "ct mark set meta mark";
    case "restore_mark":
      return "meta mark set ct mark";
    case "zone":
      return `ct zone set ${verdict.zone} return`;
  }
}

function interfaceName(name: string): string {
  return `"${name.endsWith("+") ? `${name.slice(0, -1)}*` : name}"`;
}
