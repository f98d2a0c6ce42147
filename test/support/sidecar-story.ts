// A running sidecar and a running control plane of integration stories: started by the launcher, asked over their ports.
// Waiting is by deadline: `until` asks again until the answer satisfies.

import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { folderWith, launch, type Launched, type Owner } from "./launcher.ts";
import type { AdsVariant } from "./xds-resources.ts";

const DEADLINE_MS = 30_000;
const ASK_AGAIN_MS = 15;

/** Asks until `test` accepts the answer; the last answer, or why there was none, is in the failure. */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  test: (answer: T) => boolean,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  do {
    try {
      const answer = await ask();
      if (test(answer)) return answer;
      last = answer;
    } catch (error) {
      last = String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  } while (performance.now() < end);
  const seen = typeof last === "string" ? last : JSON.stringify(last, undefined, 1);
  throw new assert.AssertionError({ message: `not within ${deadlineMs} ms: ${what}; last: ${seen?.slice(-4_000)}` });
}

/** An upstream that answers with its name, on a free port. */
export async function startOrigin(t: Owner, name: string): Promise<number> {
  const server = createServer((_request, response) => response.end(name));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A port that nobody has at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The first line with `text`; fails at once when the process ends without. */
async function firstLine(process: Launched, stream: "stdout" | "stderr", text: string): Promise<string> {
  const line = process[stream].first(text, (each) => each.includes(text));
  const ended = process.ended.then(({ code }) => {
    throw new Error(`ended with ${code} before it said ${text}: ${process.stderr.all.join("\n").slice(0, 2_000)}`);
  });
  return Promise.race([line, ended]);
}

const NODE = "node: { id: test-node, cluster: test-cluster }";
const ADMIN = "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }";

/** Bootstrap text of a sidecar that knows its control plane and nothing else. */
export function adsBootstrapText(controlPlanePort: number, variant: AdsVariant): string {
  const address = `{ socket_address: { address: 127.0.0.1, port_value: ${controlPlanePort} } }`;
  return `${NODE}
${ADMIN}
dynamic_resources:
  ads_config:
    api_type: ${variant}
    transport_api_version: V3
    grpc_services: [{ envoy_grpc: { cluster_name: xds } }]
  lds_config: { ads: {}, resource_api_version: V3 }
  cds_config: { ads: {}, resource_api_version: V3 }
static_resources:
  clusters:
    - name: xds
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
      load_assignment: { cluster_name: xds, endpoints: [{ lb_endpoints: [{ endpoint: { address: ${address} } }] }] }
`;
}

export interface XdsResource {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly received_at?: string;
  readonly in_use_at?: string;
  readonly refused?: { readonly version: string; readonly reason: string };
}

/** A sidecar process with its admin port. */
export class RunningSidecar {
  readonly process: Launched;
  readonly admin: string;

  constructor(process: Launched, admin: string) {
    this.process = process;
    this.admin = admin;
  }

  /** Started by the launcher from bootstrap text; resolves when the admin port answers, ready or not. */
  static async start(t: Owner, bootstrap: string, ...flags: readonly string[]): Promise<RunningSidecar> {
    const folder = folderWith(t, { "bootstrap.yaml": bootstrap });
    const process = launch(t, "run", "-c", join(folder, "bootstrap.yaml"), "--drain-time-s", "1", ...flags);
    const line = await firstLine(process, "stderr", '"admin listens"');
    return new RunningSidecar(process, `http://${(JSON.parse(line) as { address: string }).address}`);
  }

  async text(path: string): Promise<string> {
    return (await fetch(this.admin + path)).text();
  }

  async ready(): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${this.admin}/ready`);
    return { status: answer.status, text: await answer.text() };
  }

  async untilReady(): Promise<void> {
    await until(
      "/ready",
      () => this.ready(),
      ({ status }) => status === 200,
    );
  }

  /** What /xds tells of one resource; undefined while it is not known. `type` is the end of the type's name. */
  async xds(type: string, name: string): Promise<XdsResource | undefined> {
    type Answer = { servers: { server: string; types: { type_url: string; resources: XdsResource[] }[] }[] };
    const { servers } = JSON.parse(await this.text("/xds")) as Answer;
    return servers
      .filter(({ server }) => server !== "static")
      .flatMap(({ types }) => types)
      .filter(({ type_url }) => type_url.endsWith(`.${type}`))
      .flatMap(({ resources }) => resources)
      .find((resource) => resource.name === name);
  }

  /** The port of a listener that came up. */
  async port(listener = "in"): Promise<number> {
    const found = await until(
      `listener ${listener}`,
      () => this.text("/listeners"),
      (text) => text.includes(`${listener}::127.0.0.1:`),
    );
    return Number(new RegExp(`^${listener}::127\\.0\\.0\\.1:(\\d+)$`, "m").exec(found)?.[1]);
  }

  async stat(name: string): Promise<number> {
    const filter = encodeURIComponent(`^${name.replaceAll(".", "\\.")}$`);
    return Number(/: (\d+)/.exec(await this.text(`/stats?filter=${filter}`))?.[1] ?? 0);
  }
}

/** The verb `control-plane` over a file of its own. */
export class RunningControlPlane {
  readonly process: Launched;
  readonly file: string;
  readonly port: number;

  constructor(process: Launched, file: string, port: number) {
    this.process = process;
    this.file = file;
    this.port = port;
  }

  static async start(t: Owner, resources: string, port = 0): Promise<RunningControlPlane> {
    const file = join(folderWith(t, { "resources.yaml": resources }), "resources.yaml");
    // Its own port for the status: the one beside a chosen port may be somebody else's.
    const process = launch(t, "control-plane", "-f", file, "--port", String(port), "--admin-port", "0");
    const line = await firstLine(process, "stdout", "listening on");
    return new RunningControlPlane(process, file, Number(/listening on 127\.0\.0\.1:(\d+)/.exec(line)?.[1]));
  }

  /** As editors do that write a new file and move it into place. */
  async replace(resources: string): Promise<void> {
    await writeFile(`${this.file}.new`, resources);
    await rename(`${this.file}.new`, this.file);
  }

  /** As a shell's `>` does. */
  async overwrite(resources: string): Promise<void> {
    await writeFile(this.file, resources);
  }
}
