// A sidecar that serves what a fake control plane has sent, under load: where stories of odd and hostile servers begin.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { FileResource } from "../../xds/decode/resources-file.ts";
import { CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "../../xds/type-urls.ts";
import { type LoadResult, runLoad } from "../bench/load.ts";
import { FakeControlPlane, type FakeStream } from "./fake-control-plane.ts";
import { servedResources } from "./served-resources.ts";
import { adsBootstrapText, RunningSidecar, startOrigin } from "./sidecar-story.ts";
import { type AdsVariant, resources } from "./xds-resources.ts";
import { delta, sotw } from "./xds-scene.ts";

export type Story = Readonly<{
  sidecar: RunningSidecar;
  server: FakeControlPlane;
  stream: FakeStream;
  /** The served resource of a type. */
  one: (typeUrl: string) => FileResource;
  port: number;
  /** Ends the load: what came of it. */
  stopLoad: () => Promise<LoadResult>;
}>;

/** A sidecar that serves what a fake control plane sent, under load. */
export async function controlPlaneStory(t: TestContext, variant: AdsVariant): Promise<Story> {
  const served = resources(servedResources({ upstream: await startOrigin(t, "one") }));
  const one = (typeUrl: string): FileResource => {
    const found = served.find((each) => each.typeUrl === typeUrl);
    assert.ok(found);
    return found;
  };
  const server = new FakeControlPlane();
  t.after(() => server.close());
  const bootstrap = adsBootstrapText(await server.listen(), variant);
  const sidecar = await RunningSidecar.start(t, bootstrap, "--concurrency", "1");
  const stream = await server.nextStream();
  for (const typeUrl of [CLUSTER_TYPE, ENDPOINTS_TYPE, LISTENER_TYPE, ROUTE_TYPE]) {
    await stream.requests.first(`a request of ${typeUrl}`, ({ request }) => request.typeUrl === typeUrl);
    const all = [one(typeUrl)];
    stream.send(variant === "GRPC" ? sotw(typeUrl, "1", ...all) : delta(typeUrl, `1 ${typeUrl}`, all));
  }
  await sidecar.untilReady();
  const port = await sidecar.port();
  const over = new AbortController();
  t.after(() => over.abort());
  const load = runLoad({ port, connections: 4, rate: 200, seconds: 60, signal: over.signal });
  const stopLoad = (): Promise<LoadResult> => {
    over.abort();
    return load;
  };
  return { sidecar, server, stream, one, port, stopLoad };
}

/** The text of a refusal; empty for an ACK. */
export const answerTo = async (stream: FakeStream, nonce: string): Promise<string> => {
  const { request } = await stream.requests.first(`an answer to ${nonce}`, (each) => each.request.nonce === nonce);
  return request.error?.message ?? "";
};
