// Plays a conversation against Subscriptions and writes it down as text: what the golden transcripts hold. Each line
// is one message ("--> request", "<-- response"), one change of interest ("want"), or one event of the stream.

import type { DiscoveryRequest, DiscoveryResponse, Variant } from "../../xds/discovery-messages.ts";
import { Subscriptions } from "../../xds/subscriptions.ts";
import type { Outcome, Receipt } from "../../xds/subscriptions.ts";
import { typeLabel } from "../../xds/type-urls.ts";

const GOOD: Outcome = { accepted: new Map(), removed: [], refused: [], error: undefined, fingerprint: "" };

export class Transcript {
  readonly subscriptions: Subscriptions;
  readonly lines: string[] = [];

  constructor(variant: Variant, nodeOnEveryRequest = false) {
    this.subscriptions = new Subscriptions(variant, nodeOnEveryRequest);
  }

  note(text: string): void {
    this.lines.push(`# ${text}`);
  }

  open(): void {
    this.lines.push("open");
    this.subscriptions.onStreamOpen();
    this.flush();
  }

  want(typeUrl: string, ...names: string[]): void {
    this.wantWithoutFlush(typeUrl, ...names);
    this.flush();
  }

  wantWithoutFlush(typeUrl: string, ...names: string[]): void {
    this.lines.push(`want ${typeLabel(typeUrl)} [${names.join(" ")}]`);
    const isWildcard = names.includes("*");
    const explicit = new Set(names.filter((name) => name !== "*"));
    this.subscriptions.setInterest(typeUrl, { isWildcard, names: explicit });
  }

  /** A response whose outcome is not known yet. */
  receive(response: DiscoveryResponse): Receipt | undefined {
    this.lines.push(`<-- ${printResponse(response)}`);
    const receipt = this.subscriptions.onResponse(response);
    if (receipt === undefined) this.lines.push("    (ignored)");
    return receipt;
  }

  settle(receipt: Receipt, outcome: Outcome): number {
    const wait = this.subscriptions.settle(receipt, outcome);
    if (wait > 0) this.lines.push(`    (answer held, wait ${wait})`);
    this.flush();
    return wait;
  }

  release(typeUrl: string): void {
    this.lines.push(`release ${typeLabel(typeUrl)}`);
    this.subscriptions.release(typeUrl);
    this.flush();
  }

  /** A response of which everything is accepted. */
  accept(response: DiscoveryResponse): void {
    const receipt = this.receive(response);
    const accepted = new Map(response.resources.map((resource) => [resource.name, resource.version]));
    const removed = response.kind === "delta" ? response.removed : [];
    if (receipt === undefined) this.flush();
    else this.settle(receipt, { ...GOOD, accepted, removed });
  }

  /** A response of which the named resources are refused. */
  refuse(response: DiscoveryResponse, message: string, refused: readonly string[]): number {
    const receipt = this.receive(response);
    if (receipt === undefined) return 0;
    const good = response.resources.filter((resource) => !refused.includes(resource.name));
    const accepted = new Map(good.map((resource) => [resource.name, resource.version]));
    const removed = response.kind === "delta" ? response.removed : [];
    const fingerprint = `${response.version} ${message}`;
    return this.settle(receipt, { accepted, removed, refused, error: { code: 13, message }, fingerprint });
  }

  flush(): void {
    for (let request = this.subscriptions.next(); request !== undefined; request = this.subscriptions.next()) {
      this.lines.push(`--> ${printRequest(request)}`);
    }
  }

  text(): string {
    return `${this.lines.join("\n")}\n`;
  }
}

export function sotwResponse(typeUrl: string, version: string, nonce: string, ...names: string[]): DiscoveryResponse {
  const resources = names.map((name) => resource(typeUrl, name, ""));
  return { kind: "sotw", typeUrl, version, nonce, resources, controlPlane: "" };
}

/** Resources as "name=version"; removed ones as "-name". */
export function deltaResponse(typeUrl: string, nonce: string, ...changes: string[]): DiscoveryResponse {
  const removed = changes.filter((change) => change.startsWith("-")).map((change) => change.slice(1));
  const resources = changes
    .filter((change) => !change.startsWith("-"))
    .map((change) => {
      const [name = "", version = ""] = change.split("=");
      return resource(typeUrl, name, version);
    });
  return { kind: "delta", typeUrl, version: "", nonce, resources, removed, controlPlane: "" };
}

function resource(typeUrl: string, name: string, version: string) {
  return { name, version, typeUrl, bytes: new Uint8Array(), ttlMs: undefined };
}

export function printRequest(request: DiscoveryRequest): string {
  const parts = [typeLabel(request.typeUrl)];
  if (request.withNode) parts.push("node");
  if (request.kind === "sotw") {
    parts.push(`version=${request.version || "-"} nonce=${request.nonce || "-"} names=[${request.names.join(" ")}]`);
  } else {
    if (request.nonce !== "") parts.push(`nonce=${request.nonce}`);
    if (request.subscribe.length > 0) parts.push(`+[${request.subscribe.join(" ")}]`);
    if (request.unsubscribe.length > 0) parts.push(`-[${request.unsubscribe.join(" ")}]`);
    const held = [...request.initialVersions].map(([name, version]) => `${name}=${version}`);
    if (held.length > 0) parts.push(`held=[${held.join(" ")}]`);
  }
  if (request.error !== undefined) parts.push(`error=${request.error.code} ${JSON.stringify(request.error.message)}`);
  return parts.join(" ");
}

function printResponse(response: DiscoveryResponse): string {
  const label = typeLabel(response.typeUrl);
  if (response.kind === "sotw") {
    const names = response.resources.map((resource) => resource.name);
    return `${label} version=${response.version} nonce=${response.nonce} [${names.join(" ")}]`;
  }
  const changed = response.resources.map((resource) => `${resource.name}=${resource.version}`);
  const removed = response.removed.map((name) => `-${name}`);
  return `${label} nonce=${response.nonce} [${[...changed, ...removed].join(" ")}]`;
}
