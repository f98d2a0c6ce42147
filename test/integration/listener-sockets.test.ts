// Socket options of listeners in the real process: an address that is nobody's (freebind), options that are set, and one that is
// refused, with which a static listener ends the start, as in Envoy.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { address, bootstrap, listener } from "../support/bootstrap-builder.ts";
import { folderWith, launch } from "../support/launcher.ts";
import { freePort } from "../support/sidecar-story.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

const routes = {
  routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "ok" } } }],
};

test("listeners with freebind and socket options serve", async () => {
  const [free, port] = [await freePort(), await freePort()];
  const options = [{ level: 1, name: 9, int_value: 1 }];
  const at = (host: string, value: number) => ({ address: { socket_address: { address: host, port_value: value } } });
  await using sidecar = await SidecarProcess.start(
    bootstrap({
      listeners: [
        { ...listener("options", routes), ...at("127.0.0.1", port), socket_options: options },
        { ...listener("nobody", routes), ...at("192.0.2.7", free), freebind: true },
      ],
    }),
  );
  const { text } = await sidecar.admin("/listeners");
  assert.match(text, /nobody::192\.0\.2\.7:/);
  const response = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(await response.text(), "ok");
});

test("a static listener whose socket option is refused ends the start, with the option", async (t) => {
  const refused = [{ level: 9_999, name: 9, int_value: 1, state: "STATE_LISTENING" }];
  const listeners = [{ ...listener("refused", routes), address: address(0), socket_options: refused }];
  const folder = folderWith(t, { "bootstrap.json": JSON.stringify(bootstrap({ listeners })) });
  const sidecar = launch(t, "run", "-c", join(folder, "bootstrap.json"), "--concurrency", "1");
  assert.equal((await sidecar.untilEnded()).code, 1);
  assert.match(sidecar.stderr.all.join("\n"), /listener "refused": .*socket option 9999\/9 is refused/);
});
