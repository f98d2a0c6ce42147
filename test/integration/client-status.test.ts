// The Client Status Discovery Service on the admin port of the real process: what a tool that speaks gRPC reads of resources
// that are static, accepted, refused and asked for in vain; and what the port does with connections that are neither.

import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { ClientResourceStatus } from "../../xds/gen/envoy/admin/v3/config_dump_shared_pb.ts";
import { ClientStatusResponseSchema } from "../../xds/gen/envoy/service/status/v3/csds_pb.ts";
import type { ClientConfig } from "../../xds/gen/envoy/service/status/v3/csds_pb.ts";
import { servedResources } from "../support/served-resources.ts";
import { adsBootstrapText, RunningControlPlane, RunningSidecar, startOrigin, until } from "../support/sidecar-story.ts";

const FETCH = "/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus";
const STREAM = "/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus";
/** ClientStatusRequest with exclude_resource_contents, and with an empty node matcher. */
const WITHOUT_CONTENTS = Buffer.from([0x18, 0x01]);
const WITH_MATCHER = Buffer.from([0x0a, 0x00]);

const asIs = (bytes: Buffer): Buffer => bytes;

function configOf(bytes: Buffer): ClientConfig {
  const [config] = fromBinary(ClientStatusResponseSchema, bytes).config;
  assert.ok(config);
  return config;
}

async function fetchStatus(client: Client, request = Buffer.alloc(0)): Promise<ClientConfig> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(FETCH, asIs, asIs, request, (error, answer) => {
      if (error !== null || answer === undefined) {
        reject(error ?? new Error("no answer"));
      } else {
        resolve(configOf(answer));
      }
    });
  });
}

suite("client status", { timeout: 60_000 }, () => {
  test("a gRPC tool reads every resource with version, contents, state and refusal", async (t) => {
    const upstream = await startOrigin(t, "one");
    const plane = await RunningControlPlane.start(t, servedResources({ upstream, plugin: "first", version: "1" }));
    const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, "GRPC"), "--concurrency", "1");
    await sidecar.untilReady();
    const client = new Client(new URL(sidecar.admin).host, credentials.createInsecure());
    t.after(() => client.close());

    const config = await fetchStatus(client);
    assert.equal(config.node?.id, "test-node");
    const of = ({ genericXdsConfigs }: ClientConfig, type: string, isStatic = false) =>
      genericXdsConfigs.find(
        ({ typeUrl, isStaticResource }) => typeUrl.endsWith(type) && isStaticResource === isStatic,
      );
    const listener = of(config, ".Listener");
    assert.equal(listener?.clientStatus, ClientResourceStatus.ACKED);
    assert.match(listener.versionInfo, /^[0-9a-f]{16}$/);
    assert.equal(listener.xdsConfig?.typeUrl, listener.typeUrl);
    assert.ok(listener.xdsConfig.value.length > 0 && listener.lastUpdated !== undefined);
    assert.equal(of(config, ".Cluster", true)?.versionInfo, "");

    await plane.replace(servedResources({ upstream, plugin: "second", version: "2", module: "/nowhere/plugin.wasm" }));
    const refused = await until(
      "the refusal",
      async () => of(await fetchStatus(client), ".TypedExtensionConfig"),
      (plugin) => plugin?.clientStatus === ClientResourceStatus.NACKED,
    );
    assert.match(refused?.errorState?.details ?? "", /\/nowhere\/plugin\.wasm/);
    assert.match(Buffer.from(refused?.errorState?.failedConfiguration?.value ?? []).toString(), /second/);
    assert.match(Buffer.from(refused?.xdsConfig?.value ?? []).toString(), /first/);

    const short = await fetchStatus(client, WITHOUT_CONTENTS);
    assert.equal(short.genericXdsConfigs.length, config.genericXdsConfigs.length);
    assert.ok(short.genericXdsConfigs.every(({ xdsConfig }) => xdsConfig === undefined));

    const problem = await fetchStatus(client, WITH_MATCHER).then(
      () => undefined,
      (error: unknown) => error as ServiceError,
    );
    assert.equal(problem?.code, status.INVALID_ARGUMENT);
    assert.match(problem.details, /node_matchers are not supported/);

    const call = client.makeBidiStreamRequest(STREAM, asIs, asIs);
    for (const _ of [1, 2]) {
      call.write(Buffer.alloc(0));
      const [answer] = (await once(call, "data")) as [Buffer];
      assert.equal(configOf(answer).genericXdsConfigs.length, config.genericXdsConfigs.length);
    }
    call.end();
    await once(call, "end");
  });

  test("the admin port tells HTTP/1.1 from HTTP/2 however the first bytes are cut", async (t) => {
    const upstream = await startOrigin(t, "one");
    const plane = await RunningControlPlane.start(t, servedResources({ upstream, plugin: "", version: "1" }));
    const sidecar = await RunningSidecar.start(t, adsBootstrapText(plane.port, "GRPC"), "--concurrency", "1");
    await sidecar.untilReady();
    const say = async (...parts: string[]): Promise<string> => {
      const socket = connect({ port: Number(new URL(sidecar.admin).port), host: "127.0.0.1", noDelay: true });
      t.after(() => socket.destroy());
      await once(socket, "connect");
      for (const part of parts) {
        await new Promise<void>((resolve) => {
          socket.write(part, () => setImmediate(resolve));
        });
      }
      const [answer] = (await once(socket, "data")) as [Buffer];
      return answer.toString("latin1");
    };
    const get = " /ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert.match(await say("G", "ET", get), /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(await say("P", "R", "OPFIND", get), /^HTTP\/1\.1 \d{3} /);
    // An HTTP/2 server answers the preface and empty settings with its own settings: a frame of type 4.
    const frame = await say("PR", "I * HTTP/2.0\r\n\r\nSM", "\r\n\r\n\0\0\0\u0004\0\0\0\0\0");
    assert.equal(frame.charCodeAt(3), 4);
    assert.match(await say("PRI * nonsense\r\n\r\n"), /^HTTP\/1\.1 400 /);
  });
});
