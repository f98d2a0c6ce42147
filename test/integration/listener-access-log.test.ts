// The access logs of listeners (Listener.access_log): a line for each connection that is over. Envoy and outrigger write the
// same with the same bootstrap, into a stream and by a plugin.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { bootstrap, cluster, guest, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { FakeUpstream, within } from "../support/fake-upstream.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { until } from "../support/sidecar-story.ts";

const TYPE = "type.googleapis.com/envoy";
const FIELDS = ["RESPONSE_FLAGS", "BYTES_RECEIVED", "PROTOCOL", "RESPONSE_CODE_DETAILS", "UPSTREAM_CLUSTER"];

function streamLog(name: string): object {
  const inline_string = `line ${name} ${[...FIELDS, "ACCESS_LOG_TYPE", "REQ(:PATH)"].map((each) => `%${each}%`).join(" ")}\n`;
  const type = `${TYPE}.extensions.access_loggers.stream.v3.StderrAccessLog`;
  return { name, typed_config: { "@type": type, log_format: { text_format_source: { inline_string } } } };
}

function pluginLog(): object {
  const value = ["header 0 :path", "pairs 2", "property request.size", "property response.flags"].join("\n");
  const config = {
    name: "logger",
    configuration: { "@type": "type.googleapis.com/google.protobuf.StringValue", value },
    vm_config: { runtime: "envoy.wasm.runtime.v8", code: { local: { filename: guest("access-log") } } },
  };
  return { name: "w", typed_config: { "@type": `${TYPE}.extensions.access_loggers.wasm.v3.WasmAccessLog`, config } };
}

function config(port: number): object {
  const tcp = {
    "@type": `${TYPE}.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
    stat_prefix: "t",
    cluster: "origin",
  };
  const [http] = (listener("http") as { filter_chains: readonly object[] }).filter_chains;
  const listeners = [
    { ...listener("http"), access_log: [streamLog("http"), pluginLog()] },
    {
      ...listener("tcp"),
      filter_chains: [{ filters: [{ name: "t", typed_config: tcp }] }],
      access_log: [streamLog("tcp")],
    },
    {
      ...listener("none"),
      filter_chains: [{ ...http, filter_chain_match: { destination_port: 1 } }],
      access_log: [streamLog("none")],
    },
  ];
  return bootstrap({ listeners, clusters: [cluster("origin", [port])] });
}

const SIZE = (bytes: number): string => Buffer.of(bytes, 0, 0, 0, 0, 0, 0, 0).toString("hex");
const guestLine = (bytes: number): string =>
  `access log: header 0 :path = !1; pairs 2 = false; property request.size = ${SIZE(bytes)}; property response.flags = ${SIZE(0)}`;

const REQUEST = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const EXPECTED = [
  `line http - ${REQUEST.length} HTTP/1.1 - - NotSet -`,
  "line http - 0 - - - NotSet -",
  `line tcp - ${REQUEST.length} - - origin NotSet -`,
  "line none NR 0 - filter_chain_not_found - NotSet -",
  guestLine(REQUEST.length),
  guestLine(0),
];

/** Sends the text, and waits for the end of the connection. */
async function speak(port: number, text: string): Promise<void> {
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  // The end may come as a reset, which is none of this test's business.
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  if (text === "") {
    socket.end();
  } else {
    socket.write(text);
  }
  await within(closed, "the end of the connection");
}

const oracle = findEnvoy();

suite("access logs of listeners", () => {
  for (const name of ["outrigger", "Envoy"] as const) {
    const skip = name === "Envoy" && oracle === undefined ? ENVOY_MISSING : false;
    test(`${name}: a line for each connection that is over`, { skip }, async () => {
      await using upstream = await FakeUpstream.start({
        respond: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      });
      const envoy = name === "Envoy" ? oracle : undefined;
      const levels = ["--component-log-level", "wasm:info"];
      await using proxy = await ProxyProcess.start(envoy, config(upstream.port), levels);
      await speak(proxy.port("http"), REQUEST);
      await speak(proxy.port("http"), "");
      const over = speak(proxy.port("tcp"), REQUEST);
      await until(
        "the request",
        () => upstream.connections.length,
        (count) => count >= 2,
      );
      await upstream.connections[1]?.untilRequests(1);
      upstream.connections[1]?.end();
      await over;
      await speak(proxy.port("none"), REQUEST);
      const lines = await until(
        "all lines",
        () => [...proxy.log.matchAll(/line (?:http|tcp|none) .*|access log: [^"\n]*/g)].map(([line]) => line),
        (all) => all.length >= EXPECTED.length,
      );
      assert.deepEqual(lines.toSorted(byText), EXPECTED.toSorted(byText));
    });
  }
});

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
