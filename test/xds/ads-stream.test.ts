// How a stream ends when there is no control plane at the other side.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { openStream } from "../../xds/ads-stream.ts";
import type { StreamSettings } from "../../xds/ads-stream.ts";
import { parseNode } from "../../xds/discovery-wire.ts";
import { ADS_METHODS } from "../../xds/type-urls.ts";

/** Opens a stream and resolves to why it ended, with the number of times it said that it was connected. */
function endOf(settings: Partial<StreamSettings>): Promise<{ reason: string; connections: number }> {
  let connections = 0;
  return new Promise((resolve) => {
    const sink = {
      onConnected: () => {
        connections += 1;
      },
      onResponse: () => {},
      onDrain: () => {},
      onEnd: (reason: string) => resolve({ reason, connections }),
    };
    const fixed = { authority: "", method: ADS_METHODS.delta, variant: "delta", metadata: [] } as const;
    const plain = { tls: undefined, keepAlive: undefined, tcpKeepAliveMs: undefined };
    const limits = { connectTimeoutMs: 5_000, maxMessageBytes: 1_000_000 };
    const node = parseNode(new Uint8Array());
    openStream({ target: "127.0.0.1:1", ...fixed, ...plain, ...limits, node, ...settings }, sink);
  });
}

test("openStream() says that the connection was refused", async () => {
  const { reason, connections } = await endOf({ target: "ipv4:127.0.0.1:1" });
  assert.match(reason, /^cannot connect: 127\.0\.0\.1:1: connection refused, nothing listens there \(ECONNREFUSED\)$/);
  assert.equal(connections, 0);
});

test("openStream() gives up a server that accepts and says nothing", async (t) => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.after(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const { reason } = await endOf({ target: `ipv4:127.0.0.1:${port}`, connectTimeoutMs: 100 });
  assert.match(reason, /no connection to ipv4:127\.0\.0\.1:\d+ within 100 ms/);
});

test("openStream() says that a server speaks another protocol", async (t) => {
  const web = createServer((socket) => {
    socket.on("error", () => {});
    socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  t.after(() => web.close());
  const { reason } = await endOf({ target: `ipv4:127.0.0.1:${(web.address() as AddressInfo).port}` });
  assert.match(reason, /^cannot connect: what answers there does not speak HTTP\/2, so it is no gRPC server/);
});

test("openStream() ends with a reason when its configuration makes no stream", async () => {
  const badKey = await endOf({ metadata: [{ key: "not a header", value: "x" }] });
  assert.match(badKey.reason, /^cannot connect to .*not a header/);
  const badTarget = await endOf({ target: "unknown-scheme:x" });
  assert.match(badTarget.reason, /unknown-scheme:x/);
});
