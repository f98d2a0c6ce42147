// node test/conformance/module-table.ts FOLDER|MODULE.wasm… : whether modules that others built load here and on Envoy, as a table.
// Each is started as the only plugin of a sidecar and gets a GET and a POST; "same" when both hosts answer alike. Exit 1 when one
// loads on Envoy and not here. By hand, since building modules takes minutes: test/guests/sdk-examples.sh makes a folder of them.
// A file NAME.json beside NAME.wasm may say {"root_id", "configuration", "tcp": true}.

import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { loadPluginModule } from "../../plugins/plugin-module.ts";
import { address, bootstrap, cluster, http2Cluster, listener } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { envoyKind, OUTRIGGER, Subject, type SubjectKind } from "./subject.ts";

const ANSWER_DEADLINE_MS = 8_000;
const TYPE = "type.googleapis.com/envoy.extensions.filters";
/** Clusters that the SDKs' examples call by name. */
const CALLED = ["httpbin", "web_service", "mock_service", "auth"];

interface Settings {
  readonly root_id?: string;
  readonly configuration?: string;
  readonly tcp?: boolean;
}

interface Outcome {
  readonly loads: boolean;
  /** What it answered, or why it does not load. */
  readonly text: string;
}

async function outcome(kind: SubjectKind, file: string, originPort: number): Promise<Outcome> {
  const settings = settingsOf(file);
  try {
    await using subject = await Subject.start(
      kind,
      () => ({ bootstrap: bootstrapOf(file, settings, originPort), accessLog: "", removeListeners: () => {} }),
      () => {},
    );
    const port = subject.port("here");
    if (port === undefined) {
      return { loads: false, text: "no listener" };
    }
    return { loads: true, text: settings.tcp === true ? await overTcp(port) : await overHttp(port) };
  } catch (error) {
    return { loads: false, text: reasonIn(error instanceof Error ? error.message : String(error)) };
  }
}

function settingsOf(file: string): Settings {
  const beside = file.replace(/\.wasm$/, ".json");
  return existsSync(beside) ? (JSON.parse(readFileSync(beside, "utf8")) as Settings) : {};
}

function bootstrapOf(file: string, settings: Settings, originPort: number): object {
  const config = {
    name: "here",
    root_id: settings.root_id ?? "",
    configuration: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: settings.configuration ?? "" },
    vm_config: { vm_id: "here", runtime: "envoy.wasm.runtime.v8", code: { local: { filename: file } } },
  };
  const http = { name: "here", typed_config: { "@type": `${TYPE}.http.wasm.v3.Wasm`, config } };
  const tcp = [
    { name: "here", typed_config: { "@type": `${TYPE}.network.wasm.v3.Wasm`, config } },
    {
      name: "envoy.filters.network.tcp_proxy",
      typed_config: { "@type": `${TYPE}.network.tcp_proxy.v3.TcpProxy`, stat_prefix: "tcp", cluster: "origin" },
    },
  ];
  return bootstrap({
    clusters: [
      cluster("origin", [originPort]),
      ...CALLED.map((name) => cluster(name, [originPort])),
      http2Cluster("grpcbin", originPort),
    ],
    listeners: [
      settings.tcp === true
        ? { name: "here", address: address(0), filter_chains: [{ filters: tcp }] }
        : listener("here", { filters: [http] }),
    ],
  });
}

async function overHttp(port: number): Promise<string> {
  const body = JSON.stringify({ id: 1, token: "x" });
  const headers = { "content-type": "application/json", "my-custom-header": "foo" };
  return [await answer(port, { headers }), await answer(port, { method: "POST", headers, body })].join(", ");
}

/** The status and what the plugin may have changed: names of headers, and the body. */
async function answer(port: number, init: RequestInit): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      ...init,
      signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
    });
    const text = await response.text();
    const names = [...response.headers.keys()].filter((name) => !PLAIN.has(name)).toSorted();
    return [response.status, ...names, JSON.stringify(text.slice(0, 60))].join(" ");
  } catch (error) {
    return error instanceof Error && error.name === "TimeoutError" ? "no answer" : "cut";
  }
}

const PLAIN: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "content-type",
  "date",
  "keep-alive",
  "server",
  "transfer-encoding",
  "x-envoy-upstream-service-time",
]);

async function overTcp(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1");
  socket.setTimeout(ANSWER_DEADLINE_MS, () => resolve("no answer"));
  let got = "";
  socket.on("data", (chunk: Buffer) => (got += chunk.toString("latin1")));
  socket.on("error", () => resolve("cut"));
  socket.on("close", () => resolve(got.split("\r\n")[0] ?? ""));
  socket.end("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  const said = await promise;
  socket.destroy();
  return said;
}

/** The line of a host's log that says why. */
function reasonIn(log: string): string {
  const lines = log.split("\n");
  const line = lines.findLast((text) => /wasm|plugin/i.test(text)) ?? lines.at(-1) ?? "";
  const message = line.startsWith("{") ? (JSON.parse(line) as { message?: string; msg?: string }) : undefined;
  return (message?.message ?? message?.msg ?? line).slice(-160);
}

function modulesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) {
    return [path];
  }
  return readdirSync(path)
    .filter((name) => name.endsWith(".wasm"))
    .toSorted()
    .map((name) => join(path, name));
}

async function main(paths: readonly string[]): Promise<number> {
  const envoy = findEnvoy();
  if (envoy === undefined || paths.length === 0) {
    console.error(envoy === undefined ? ENVOY_MISSING : "usage: module-table.ts FOLDER|MODULE.wasm…");
    return 2;
  }
  const origin = createServer((_, response) => response.end("origin")).listen(0, "127.0.0.1");
  await once(origin, "listening");
  const { port } = origin.address() as AddressInfo;
  console.log("| module | made with | loads on Envoy | loads here | answers |\n| --- | --- | --- | --- | --- |");
  let missed = 0;
  for (const file of paths.flatMap(modulesIn)) {
    const checked = loadPluginModule(readFileSync(file));
    const made = checked.ok ? `${checked.module.language}, ABI ${checked.module.abi}` : checked.problem;
    // One after the other: a host that starts has the machine for itself.
    const theirs = await outcome(envoyKind(envoy), file, port);
    const ours = await outcome(OUTRIGGER, file, port);
    missed += theirs.loads && !ours.loads ? 1 : 0;
    const answers = theirs.text === ours.text ? `same: ${ours.text}` : `Envoy: ${theirs.text}; here: ${ours.text}`;
    const cells = [basename(file, ".wasm"), made, yes(theirs), yes(ours), theirs.loads || ours.loads ? answers : ""];
    console.log(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
    if (!theirs.loads || !ours.loads) {
      console.error(`${basename(file)}\n  Envoy: ${theirs.text}\n  here:  ${ours.text}`);
    }
  }
  origin.close();
  console.error(missed === 0 ? "all that load on Envoy load here" : `${missed} load on Envoy and not here`);
  return missed === 0 ? 0 : 1;
}

function yes({ loads }: Outcome): string {
  return loads ? "yes" : "no";
}

process.exitCode = await main(process.argv.slice(2));
