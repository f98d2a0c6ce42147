import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { test } from "node:test";
import { PortCheck } from "../../sidecar/port-check.ts";
import type { Listener } from "../../xds/model/listener.ts";

/** What the check reads of a listener. */
function listenerAt(port: number, name = "l"): Listener {
  const address = { kind: "tcp", host: "127.0.0.1", port };
  return {
    name,
    address,
    additionalAddresses: [],
    bindToPort: true,
    interception: { freebind: false },
  } as unknown as Listener;
}

/** Binds as a worker does (`shared`), or as another program; the error's code when it cannot. */
async function bound(port: number, shared: boolean): Promise<Server | string> {
  const server = createServer();
  server.listen({ host: "127.0.0.1", port, exclusive: true, reusePort: shared });
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "";
  }
}

async function close(server: Server | string): Promise<void> {
  assert.ok(typeof server !== "string", "the server listens");
  server.close();
  await once(server, "close");
}

function portOf(listener: Listener | string): number {
  assert.ok(typeof listener !== "string" && listener.address.kind === "tcp", JSON.stringify(listener));
  return listener.address.port;
}

test("bindable() keeps the port that 0 has become for the workers, until they have it", async () => {
  const ports = new PortCheck();
  const port = portOf(await ports.bindable(listenerAt(0)));
  assert.ok(port > 0);
  assert.equal(await bound(port, false), "EADDRINUSE", "another program does not get it");
  const worker = await bound(port, true);
  ports.release();
  assert.equal(portOf(await ports.bindable(listenerAt(0))), port, "a new version keeps it");
  await close(worker);
  await close(await bound(port, false));
});

test("bindable() lets a fixed port go again at once, and says so when it is taken", async () => {
  const ports = new PortCheck();
  const other = await bound(0, false);
  assert.ok(typeof other !== "string");
  const { port } = other.address() as AddressInfo;
  assert.equal(
    await ports.bindable(listenerAt(port)),
    `Cannot bind listener "l" to 127.0.0.1:${port}: the address is in use by another process; change the port or stop that process`,
  );
  await close(other);
  assert.equal(portOf(await ports.bindable(listenerAt(port))), port);
  await close(await bound(port, false));
});
