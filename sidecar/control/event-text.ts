// What happens in a control plane as lines for people: who came and went, what was sent, acknowledged and refused. What
// clients say of themselves stays on one line. Pure.

import { isSameContent } from "../../xds/server/index.ts";
import type { ControlPlaneEvent, ResourceGroup, ServedResource } from "../../xds/server/index.ts";
import { typeLabel } from "../../xds/type-urls.ts";

/** `3 Cluster, 1 Listener in 2 groups`. */
export function summary(groups: readonly ResourceGroup[]): string {
  const counts = new Map<string, number>();
  for (const { typeUrl } of groups.flatMap(({ resources }) => resources)) {
    counts.set(typeUrl, (counts.get(typeUrl) ?? 0) + 1);
  }
  const parts = [...counts].map(([typeUrl, count]) => `${count} ${nounOf(typeUrl)}`);
  const text = parts.length === 0 ? "no resources" : parts.join(", ");
  return groups.length < 2 ? text : `${text} in ${groups.length} groups`;
}

/** How many changes are named; the rest is counted. */
const MAX_CHANGES = 8;

/** `Cluster "app", added Listener "in", removed Cluster "old"`. */
export function describeChanges(before: readonly ResourceGroup[], after: readonly ResourceGroup[]): string {
  const left = new Map(before.flatMap((group) => group.resources.map((each) => [keyOf(group, each), each] as const)));
  const changes: string[] = [];
  for (const group of after) {
    for (const resource of group.resources) {
      const key = keyOf(group, resource);
      const known = left.get(key);
      left.delete(key);
      if (known === undefined) changes.push(`added ${label(resource)}`);
      else if (!isSameContent(known, resource)) changes.push(label(resource));
    }
  }
  for (const resource of left.values()) changes.push(`removed ${label(resource)}`);
  if (changes.length === 0) return "nothing that is served";
  const more = changes.length - MAX_CHANGES;
  return changes.slice(0, MAX_CHANGES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function keyOf({ selector, spiffeIds }: ResourceGroup, { typeUrl, name }: ServedResource): string {
  return JSON.stringify([selector, spiffeIds, typeUrl, name]);
}

function label({ typeUrl, name }: ServedResource): string {
  return `${nounOf(typeUrl)} ${quoted(name)}`;
}

/** "Cluster" of a type URL. */
export function nounOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
}

export function describeEvent(event: ControlPlaneEvent): string {
  const { client } = event;
  switch (event.kind) {
    case "connected": {
      const { userAgent, cluster } = event.node;
      const variant = event.variant === "delta" ? "delta" : "state of the world";
      const about = [
        variant,
        cluster === "" ? "" : `cluster ${quoted(cluster)}`,
        userAgent === "" ? "" : quoted(userAgent),
      ];
      return `${client} connected (${about.filter((each) => each !== "").join(", ")})`;
    }
    case "disconnected":
      return `${client} disconnected: ${event.reason}`;
    case "pushed": {
      const removed = event.removed === 0 ? "" : ` and ${event.removed} removed`;
      return `${client} ${typeLabel(event.typeUrl)} ${event.version} sent: ${event.resources} resource${event.resources === 1 ? "" : "s"}${removed}`;
    }
    case "acknowledged":
      return `${client} ${typeLabel(event.typeUrl)} ${event.version} acknowledged`;
    case "refused":
      return `${client} ${typeLabel(event.typeUrl)} ${event.version} REFUSED: ${printable(event.message)}`;
    case "unknown type":
      return `${client} asks for ${quoted(event.typeUrl)}, a type that is not served`;
  }
}

/** Text of a client on one line: a refusal has a line for each resource. */
function printable(text: string): string {
  return quoted(text.slice(0, 4096)).slice(1, -1).replaceAll("\\n", "; ").replaceAll('\\"', '"');
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 4096 ? `${text.slice(0, 4096)}…` : text);
}
