// Upgrade tokens of connection managers and routes → model. Called by http-connection-manager.ts and route-action.ts.
// As in Envoy, tokens are compared without case, and one that comes twice is refused.

import type { UpgradeConfig } from "../model/route.ts";
import { quoted } from "./constraint.ts";
import { child, item, type Findings } from "./issues.ts";
import { NONE } from "./matcher.ts";

interface UpgradeFields {
  readonly upgradeType: string;
  readonly enabled?: boolean | undefined;
}

export function decodeUpgrades(
  messages: readonly UpgradeFields[],
  path: string,
  findings: Findings,
): readonly UpgradeConfig[] {
  if (messages.length === 0) return NONE;
  const seen = new Map<string, number>();
  return messages.map(({ upgradeType, enabled }, index) => {
    const type = upgradeType.toLowerCase();
    const other = seen.get(type);
    if (other === undefined) seen.set(type, index);
    else
      findings.issue(
        child(item(path, index), "upgrade_type"),
        `${quoted(upgradeType)} is already ${item(path, other)}`,
      );
    return { type, enabled: enabled ?? true };
  });
}
