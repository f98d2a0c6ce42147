// What session.ts needs to know of one resource type on one stream, in either variant. Types only; sotw-type.ts and
// delta-type.ts implement it.

import type { DiscoveryResponse } from "../discovery-messages.ts";
import type { ResourceSet } from "./resource-set.ts";

/** What a request turned out to be. `version` is that of the response it answers. */
export type Answer =
  | Readonly<{ kind: "ack"; version: string }>
  | Readonly<{ kind: "nack"; version: string; message: string }>;

export interface ClientType {
  readonly typeUrl: string;
  /** A response was sent and not answered yet. */
  readonly isAwaited: boolean;
  /** Names subscribed, for the limit and for status; "*" stands for everything. */
  readonly names: ReadonlySet<string>;
  /** Makes the next response tell again what has a time to live, so that the client does not drop it. */
  refresh(): void;
  /** The response that brings the client from what it was sent to `resources`; undefined when it is up to date. */
  respond(resources: ResourceSet, nonce: string, controlPlane: string): DiscoveryResponse | undefined;
}
