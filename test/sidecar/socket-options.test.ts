// The calls to libc on real sockets. Original destinations need rules: integration/capture.test.ts.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket, SocketAddress } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  addressBytes,
  descriptorOf,
  ipv6Text,
  setAll,
  SO_REUSEADDR,
  socketOptions,
} from "../../sidecar/socket-options.ts";
import { dial } from "../../sidecar/upstream/connect.ts";
import type { BindConfig, SocketOption } from "../../xds/model/socket-options.ts";

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;

function option(parts: Partial<SocketOption> = {}): SocketOption {
  return { level: SOL_SOCKET, name: SO_KEEPALIVE, value: 1, state: "prebind", family: 0, ...parts };
}

async function listening(host: string): Promise<Server & { port: number }> {
  const server = createServer();
  server.listen(0, host);
  await once(server, "listening");
  const address = server.address();
  return Object.assign(server, { port: typeof address === "object" && address !== null ? address.port : 0 });
}

test("addresses are written as Node.js writes them, and read back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(0xffff), (random, mask) => {
      // Runs of zeros are what the short form is about.
      const bytes = random.map((byte, index) => ((mask >> (index >> 1)) & 1 ? byte : 0));
      const text = ipv6Text(new DataView(bytes.buffer), 0);
      assert.deepEqual(addressBytes(text), bytes);
      const canonical = new SocketAddress({ address: text, family: "ipv6" }).address;
      // The C library writes the last 32 bits of some addresses as IPv4.
      if (!canonical.includes(".")) assert.equal(text, canonical);
      assert.deepEqual(addressBytes(canonical), bytes);
    }),
  );
  assert.deepEqual(addressBytes("10.0.255.1"), Uint8Array.from([10, 0, 255, 1]));
});

test("originalDestination() knows nothing of what is no connection", () => {
  assert.equal(socketOptions().originalDestination(-1, false), undefined);
});

test("setAll() sets the options of a state and an IP version, and names what is refused", async (t) => {
  const server = await listening("127.0.0.1");
  t.after(() => server.close());
  const fd = descriptorOf(server);
  setAll(fd, false, [option(), option({ value: Uint8Array.from([1, 0, 0, 0]) })], "prebind");
  const bad = option({ level: 9_999 });
  assert.throws(() => setAll(fd, false, [bad], "prebind"), /socket option 9999\/9 is refused/);
  setAll(fd, false, [bad], "bound");
  setAll(fd, false, [option({ level: 9_999, family: 6 })], "prebind");
  assert.ok(socketOptions().set(fd, ...SO_REUSEADDR, 1));
});

/** Where a connection to `host` comes from. */
async function sourceOf(host: string, bind: BindConfig): Promise<string | undefined> {
  const server = await listening(host);
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const dialled = dial(
    { kind: "tcp", host, port: server.port },
    {
      readBuffer: Buffer.alloc(64),
      bufferLimitBytes: 64,
      onRead: () => true,
      keepAliveMs: undefined,
      bind,
      source: undefined,
    },
  );
  const failed = once(dialled, "error").then(([error]: unknown[]) => Promise.reject(error as Error));
  try {
    const [socket] = await Promise.race([accepted, failed]);
    const { remoteAddress } = socket;
    socket.destroy();
    return remoteAddress;
  } finally {
    failed.catch(() => undefined);
    dialled.destroy();
    server.close();
  }
}

test("dial() comes from the cluster's address of the host's IP version, with and without options", async () => {
  for (const options of [[], [option()], [option({ state: "bound" })]]) {
    const sources = [{ host: "127.0.0.6", port: 0, freebind: false, options }];
    assert.equal(await sourceOf("127.0.0.1", { sources }), "127.0.0.6");
    assert.equal(await sourceOf("::1", { sources }), "::1");
  }
});

test("dial() fails with what the kernel refuses", async () => {
  const refused = [{ host: "127.0.0.6", port: 0, freebind: false, options: [option({ level: 9_999 })] }];
  await assert.rejects(sourceOf("127.0.0.1", { sources: refused }), /socket option 9999\/9 is refused/);
  const elsewhere = [{ host: "192.0.2.1", port: 0, freebind: false, options: [option()] }];
  await assert.rejects(sourceOf("127.0.0.1", { sources: elsewhere }), /cannot connect from 192\.0\.2\.1/);
});
