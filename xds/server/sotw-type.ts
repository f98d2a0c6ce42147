// State of the world, one type on one stream, seen by the server: what the client wants, what it was sent, and what it
// said to that. Pure. A refused response is not sent again: nothing is, until the content changes.

import type { DiscoveryResponse, SotwRequest } from "../discovery-messages.ts";
import { COLLECTION_TYPES } from "../type-urls.ts";
import type { Answer, ClientType } from "./client-type.ts";
import type { ResourceSet, VersionedResource } from "./resource-set.ts";

export class SotwType implements ClientType {
  readonly typeUrl: string;
  /** The names of the last request, as they came. */
  #requested: readonly string[] | undefined;
  #names: ReadonlySet<string> = new Set();
  #isWildcard = false;
  #hasNamed = false;
  #hasRequested = false;
  /** What the client was sent and still wants, name to version. */
  readonly #sent = new Map<string, string>();
  #hasResponded = false;
  #clientVersion = "";
  #nonce = "";
  #sentVersion = "";
  #isAwaited = false;
  #mustRefresh = false;
  /** What the client is known to be up to date with, while it asks for the same: a push is many questions and few answers. */
  #upToDate: ReadonlyMap<string, VersionedResource> | undefined;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get isAwaited(): boolean {
    return this.#isAwaited;
  }

  get names(): ReadonlySet<string> {
    return this.#isWildcard ? new Set(["*", ...this.#names]) : this.#names;
  }

  /** Takes a request in. Returns what it says about the last response, if it answers that. */
  onRequest(request: SotwRequest): Answer | undefined {
    // A nonce that is not the latest answers a response that was overtaken: its names are old too.
    if (request.nonce !== "" && request.nonce !== this.#nonce) return undefined;
    this.#setNames(request.names);
    if (!this.#hasRequested) this.#clientVersion = request.version;
    this.#hasRequested = true;
    if (request.nonce === "" || !this.#isAwaited) return undefined;
    this.#isAwaited = false;
    if (request.error === undefined) return { kind: "ack", version: this.#sentVersion };
    return { kind: "nack", version: this.#sentVersion, message: request.error.message };
  }

  /** Everything is sent again: a complete set cannot have a resource without its content. */
  refresh(): void {
    this.#mustRefresh = this.#hasResponded;
  }

  respond(resources: ResourceSet, nonce: string, controlPlane: string): DiscoveryResponse | undefined {
    if (!this.#hasRequested || this.#isAwaited) return undefined;
    const all = resources.type(this.typeUrl);
    if (all === this.#upToDate && !this.#mustRefresh) return undefined;
    this.#upToDate = all;
    const visible = this.#visible(all);
    const version = resources.versionOf(this.typeUrl);
    if (!this.#isNews(visible, version) && !this.#mustRefresh) return undefined;
    this.#mustRefresh = false;
    this.#sent.clear();
    for (const resource of visible) this.#sent.set(resource.name, resource.version);
    this.#nonce = nonce;
    this.#sentVersion = version;
    this.#isAwaited = true;
    this.#hasResponded = true;
    const { typeUrl } = this;
    const wire = visible.map((resource) => resource.wire);
    return { kind: "sotw", typeUrl, version, nonce, resources: wire, controlPlane };
  }

  #setNames(names: readonly string[]): void {
    // An ACK repeats the names.
    const requested = this.#requested;
    if (requested?.length === names.length && names.every((name, index) => name === requested[index])) return;
    this.#requested = names;
    this.#upToDate = undefined;
    if (names.length > 0) this.#hasNamed = true;
    this.#isWildcard = names.includes("*") || (COLLECTION_TYPES.has(this.typeUrl) && !this.#hasNamed);
    this.#names = new Set(names.filter((name) => name !== "*"));
    if (this.#isWildcard) return;
    for (const name of this.#sent.keys()) if (!this.#names.has(name)) this.#sent.delete(name);
  }

  #visible(all: ReadonlyMap<string, VersionedResource>): VersionedResource[] {
    const each = [...all.values()];
    return this.#isWildcard ? each : each.filter(({ name }) => this.#names.has(name));
  }

  #isNews(visible: readonly VersionedResource[], version: string): boolean {
    const isCollection = COLLECTION_TYPES.has(this.typeUrl);
    if (isCollection && !this.#hasResponded) {
      // A client that comes back with the present version has everything; a new one is told also of nothing.
      if (this.#clientVersion !== version || !this.#isWildcard) return true;
      this.#hasResponded = true;
      for (const resource of visible) this.#sent.set(resource.name, resource.version);
      return false;
    }
    if (visible.some((resource) => this.#sent.get(resource.name) !== resource.version)) return true;
    // Only a complete set can say that something is gone.
    return isCollection && visible.length < this.#sent.size;
  }
}
