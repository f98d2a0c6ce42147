// A client that talks to a FakeControlPlane over ADS, and the responses that a test sends it.

import type { TestContext } from "node:test";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import type { DiscoveryResponse } from "../../xds/discovery-messages.ts";
import { FakeControlPlane } from "./fake-control-plane.ts";
import type { FakeStream } from "./fake-control-plane.ts";
import { startClient } from "./xds-client.ts";
import type { TestClient } from "./xds-client.ts";
import { adsBootstrap } from "./xds-resources.ts";
import type { AdsVariant } from "./xds-resources.ts";

export type Scene = TestClient & { server: FakeControlPlane; stream: FakeStream };

/** A client whose CDS and LDS requests have arrived at a server that has not answered yet. */
export async function scene(t: TestContext, variant: AdsVariant, options = {}): Promise<Scene> {
  const server = new FakeControlPlane();
  t.after(() => server.close());
  const started = startClient(adsBootstrap(await server.listen(), variant), options);
  t.after(() => started.client.close());
  const stream = await server.nextStream();
  await stream.next();
  await stream.next();
  return { ...started, server, stream };
}

/** Resources as a state-of-the-world server sends them: without names. */
export function sotw(typeUrl: string, version: string, ...all: readonly FileResource[]): DiscoveryResponse {
  const resources = all.map((each) => ({
    name: "",
    version: "",
    typeUrl: each.typeUrl,
    bytes: each.value,
    ttlMs: undefined,
  }));
  return { kind: "sotw", typeUrl, version, nonce: `nonce-${version}`, resources, controlPlane: "fake" };
}

export function delta(
  typeUrl: string,
  nonce: string,
  all: readonly FileResource[],
  removed: readonly string[] = [],
): DiscoveryResponse {
  const resources = all.map(({ name, value, typeUrl: own }) => ({
    name,
    version: nonce,
    typeUrl: own,
    bytes: value,
    ttlMs: undefined,
  }));
  return { kind: "delta", typeUrl, version: "", nonce, resources, removed, controlPlane: "fake" };
}
