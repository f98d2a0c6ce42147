// The verb `demo` (npm start): an upstream, the control plane and a sidecar in one terminal, the sidecar configured only
// through ADS. Prints what to try. A port that is taken is a clear error that names the flag to change it.

import { mkdtemp, readFile, rm, watch, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createServer } from "../node-http.ts";
import { bindProblem } from "../port-check.ts";
import { controlPlaneVerb } from "./control-plane.ts";
import { describeFlags, type Flag, parseFlags } from "./flags.ts";
import { serve } from "./run.ts";
import { parseRunOptions } from "./run-flags.ts";
import { type CliIo, type VerbAction, wrongUsage } from "./verb.ts";

const HOME = fileURLToPath(new URL("../..", import.meta.url));
const RESOURCES = "deploy/demo/control-plane.yaml";
const BOOTSTRAP = "deploy/demo/sidecar.yaml";

/** Ports as the demo's files have them. */
const PORTS = {
  app: 8080,
  "control-plane": 18000,
  "control-plane-admin": 18001,
  listener: 9080,
  admin: 15000,
} as const;
type PortName = keyof typeof PORTS;
type Ports = Record<PortName, number>;

const FLAGS: readonly Flag[] = [
  { name: "app-port", kind: "number", value: "PORT", defaultText: "8080", help: "where the demo's upstream listens" },
  {
    name: "control-plane-port",
    kind: "number",
    value: "PORT",
    defaultText: "18000",
    help: "where the control plane listens",
  },
  {
    name: "control-plane-admin-port",
    kind: "number",
    value: "PORT",
    defaultText: "18001",
    help: "the control plane's admin port",
  },
  {
    name: "listener-port",
    kind: "number",
    value: "PORT",
    defaultText: "9080",
    help: "where the sidecar takes requests",
  },
  { name: "admin-port", kind: "number", value: "PORT", defaultText: "15000", help: "the sidecar's admin port" },
  {
    name: "log-level",
    short: "l",
    kind: "string",
    value: "LEVEL",
    defaultText: "warning",
    help: "the sidecar's log level",
  },
];

export const demoVerb: VerbAction = {
  words: { flags: FLAGS },
  help: () =>
    `outrigger demo\n\nStarts an upstream, the control plane and a sidecar with a Go plugin.\n\nFlags:\n${describeFlags(FLAGS)}`,
  run: async (argv, io) => {
    const parsed = parseFlags(FLAGS, argv);
    if (!parsed.ok || parsed.positionals.length > 0) {
      return wrongUsage(io, "demo", parsed.ok ? `unexpected argument "${parsed.positionals[0]}"` : parsed.problem);
    }
    const ports = Object.fromEntries(
      Object.entries(PORTS).map(([name, port]) => [
        name,
        (parsed.values[`${name}-port`] as number | undefined) ?? port,
      ]),
    ) as Ports;
    return demo(ports, (parsed.values["log-level"] as string | undefined) ?? "warning", io);
  },
};

async function demo(ports: Ports, logLevel: string, io: CliIo): Promise<number> {
  const taken = await takenPorts(ports);
  if (taken.length > 0) {
    taken.forEach((problem) => io.err(`outrigger demo: ${problem}\n`));
    return 1;
  }
  const app = await startApp(ports.app);
  const files = await DemoFiles.open(ports);
  const planeEnd = new AbortController();
  const planeSpoke = Promise.withResolvers<void>();
  const planePorts = ["--port", String(ports["control-plane"]), "--admin-port", String(ports["control-plane-admin"])];
  const plane = controlPlaneVerb.run(["-f", files.resources, ...planePorts], {
    ...io,
    out: (text) => {
      planeSpoke.resolve();
      io.out(`control plane: ${text}`);
    },
    stop: planeEnd.signal,
  });
  // Its first line says that it listens; when it cannot, it has said why and ended.
  const planeCode = await Promise.race([planeSpoke.promise, plane]);
  if (typeof planeCode === "number") {
    await files.close();
    app.close();
    return planeCode;
  }
  const options = parseRunOptions([
    "-c",
    files.bootstrap,
    "-l",
    logLevel,
    "--log-format",
    "text",
    "--drain-time-s",
    "5",
  ]);
  const code = options.ok
    ? await serve(options.options, { ...io, onHangup: endsWithTerminal }, () => io.out(welcome(ports)))
    : 1;
  planeEnd.abort("SIGTERM");
  await plane;
  await files.close();
  app.closeAllConnections();
  app.close();
  return code;
}

/** Takes the sidecar's word on SIGHUP away: the demo ends with its terminal. */
function endsWithTerminal(): void {}

async function takenPorts(ports: Ports): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, port] of Object.entries(ports)) {
    const problem = await new Promise<string>((resolve) => {
      const probe = createServer();
      probe.once("error", (error: NodeJS.ErrnoException) => resolve(bindProblem(error)));
      probe.listen({ host: "127.0.0.1", port, exclusive: true }, () => probe.close(() => resolve("")));
    });
    if (problem !== "") {
      problems.push(`port ${port} of 127.0.0.1: ${problem}: --${name}-port PORT chooses another`);
    }
  }
  return problems;
}

/** The upstream: answers every request with what it received, so that one sees what the sidecar changed. */
function startApp(port: number): Promise<Server> {
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/plain; charset=utf-8");
    const fields: string[] = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      fields.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    }
    response.end(
      `Hello from the application. It received:\n\n${request.method} ${request.url}\n${fields.join("\n")}\n`,
    );
  });
  server.keepAliveTimeout = 60_000;
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

/** The demo's two files: those of the repository, or copies with other ports that follow edits of the originals. */
class DemoFiles {
  readonly bootstrap: string;
  readonly resources: string;
  readonly #folder: string | undefined;
  readonly #stop = new AbortController();

  private constructor(folder: string | undefined) {
    this.#folder = folder;
    this.bootstrap = join(folder ?? join(HOME, "deploy/demo"), "sidecar.yaml");
    this.resources = join(folder ?? join(HOME, "deploy/demo"), "control-plane.yaml");
  }

  static async open(ports: Ports): Promise<DemoFiles> {
    const folder = await mkdtemp(join(tmpdir(), "outrigger-demo-"));
    const files = new DemoFiles(folder);
    await copy(BOOTSTRAP, files.bootstrap, ports);
    await copy(RESOURCES, files.resources, ports);
    void files.#follow(ports);
    return files;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    if (this.#folder !== undefined) {
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  /** An edit of the original changes the running demo. */
  async #follow(ports: Ports): Promise<void> {
    try {
      for await (const { filename } of watch(join(HOME, "deploy/demo"), { signal: this.#stop.signal })) {
        if (filename === "control-plane.yaml") {
          await copy(RESOURCES, this.resources, ports);
        }
      }
    } catch {
      // The demo ends, or the folder cannot be watched: the running configuration stays.
    }
  }
}

/** Paths of plugins become absolute, ports become those that were asked for. */
async function copy(from: string, to: string, ports: Ports): Promise<void> {
  let text = await readFile(join(HOME, from), "utf8");
  for (const [name, port] of Object.entries(PORTS)) {
    text = text.replaceAll(`port_value: ${port}`, `port_value: ${ports[name as PortName]}`);
  }
  await writeFile(to, text.replaceAll("plugins/examples/", join(HOME, "plugins/examples/")));
}

function welcome(ports: Ports): string {
  const listener = `http://127.0.0.1:${ports.listener}`;
  const admin = `http://127.0.0.1:${ports.admin}`;
  return `
outrigger runs: client ─▶ sidecar ${listener} ─▶ application http://127.0.0.1:${ports.app}
The sidecar's configuration comes over ADS from 127.0.0.1:${ports["control-plane"]}, a Go plugin runs on every request.

Try:
  curl -sI ${listener}/                     the header X-Go-Wasm was added by the plugin
  curl -s ${admin}/traces?limit=1        that request with a span for each callback of the plugin
  curl -s ${admin}/xds                   what was received, acknowledged and is in use
  outrigger status --control-plane --admin 127.0.0.1:${ports["control-plane-admin"]}
                                                       the same, seen by the control plane

Open ${admin}/ in a browser. Edit ${RESOURCES} and try again: no restart.
Ctrl-C ends it.

`;
}
