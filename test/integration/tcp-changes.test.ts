// A TCP listener that changes: new connections get the new configuration, those that live keep theirs; when the listener is gone,
// they have until the drain time is over. Its statistics go with the last of them, and those of HTTP likewise.

import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { bootstrap, cluster, listener } from "../support/bootstrap-builder.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";
import { freePort, until } from "../support/sidecar-story.ts";
import { tcp } from "../support/tcp-plugins.ts";
import { TcpPeer, TcpServer } from "../support/tcp-peer.ts";

/** An LDS file, moved into place. */
function listeners(folder: string, version: string, ...all: readonly object[]): void {
  const type = "type.googleapis.com/envoy.config.listener.v3.Listener";
  const file = join(folder, "lds.json");
  const resources = all.map((listener) => ({ "@type": type, ...listener }));
  writeFileSync(`${file}.new`, JSON.stringify({ version_info: version, resources }));
  renameSync(`${file}.new`, file);
}

/** The listener on a port of its own, so that it stays the same one. */
function on(port: number, listener: object): object {
  return { ...listener, address: { socket_address: { address: "127.0.0.1", port_value: port } } };
}

suite("a TCP listener that changes", { timeout: 60_000 }, () => {
  test("new connections get the new cluster, old ones stay; those of a removed listener end with the drain time", async () => {
    await using one = await TcpServer.start();
    await using two = await TcpServer.start();
    const port = await freePort();
    const first = on(port, tcp("main"));
    await using sidecar = await SidecarProcess.start(
      (folder) => {
        listeners(
          folder,
          "1",
          first,
          listener("web", { routes: [{ match: { prefix: "/" }, route: { cluster: "up" } }] }),
        );
        return bootstrap({
          clusters: [cluster("up", [one.port]), cluster("other", [two.port])],
          more: {
            dynamic_resources: {
              lds_config: {
                path_config_source: { path: join(folder, "lds.json"), watched_directory: { path: folder } },
              },
            },
          },
        });
      },
      { args: ["--drain-time-s", "1"] },
    );
    assert.notEqual(sidecar.port("web"), 0);
    assert.match((await sidecar.admin("/stats")).text, /^http\.web\.downstream_rq_total: 0$/m);
    const old = await TcpPeer.connect(port);
    const oldServer = await one.next();
    const text = JSON.stringify(first).replace('"cluster":"up"', '"cluster":"other"');
    listeners(sidecar.folder, "2", JSON.parse(text) as object);
    await until(
      "the change",
      () => sidecar.admin("/config_dump"),
      (dump) => dump.text.includes('"other"') && /"version_info": "2"/.test(dump.text),
    );
    await until(
      "a connection to the other cluster",
      async () => {
        (await TcpPeer.connect(port)).destroy();
        return sidecar.stat("cluster.other.upstream_cx_total");
      },
      (count) => count > 0,
    );
    old.send("still");
    await oldServer.untilReceived("still");

    listeners(sidecar.folder, "3");
    await until(
      "the listener is gone",
      () =>
        TcpPeer.connect(port).then(
          (peer) => peer.destroy(),
          () => "refused",
        ),
      (outcome) => outcome === "refused",
    );
    const names = async (): Promise<string> => (await sidecar.admin("/stats?filter=^(tcp|http)\\.(main|web)\\.")).text;
    assert.equal(await until("HTTP without its listener", names, (text) => !text.includes("http.web.")), await names());
    assert.match(await names(), /^tcp\.main\.downstream_cx_total: [1-9]/m);
    const from = performance.now();
    old.send(", a while");
    await oldServer.untilReceived("still, a while");
    await Promise.all([old.untilClosed(), oldServer.untilClosed()]);
    assert.ok(performance.now() - from < 3_000);
    await until("TCP without its connections", names, (text) => text === "");
  });
});
