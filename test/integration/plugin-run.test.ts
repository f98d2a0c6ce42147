// What `outrigger plugin run` shows is what the sidecar does: the same guests and requests through the real process with sockets, and
// through `plugin run` without. Compared are the upstream's request and the client's response, as far as plugins touch them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { after, before, suite, test } from "node:test";
import { pluginRunVerb } from "../../sidecar/cli/plugin/run.ts";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { printed } from "../support/cli-printer.ts";
import { type RecordedRequest, RecordingOrigin } from "../support/recording-origin.ts";
import { SidecarProcess } from "../support/sidecar-process.ts";

/** Listener, guest, configuration and paths. */
const SCENES: readonly {
  readonly name: string;
  readonly guest: string;
  readonly config: string;
  readonly paths: string[];
}[] = [
  {
    name: "actions",
    guest: "actions",
    config: "",
    paths: ["headers", "body"].flatMap((part) =>
      ["request", "response"].flatMap((side) => [0, 1, 2, 3, 4].map((status) => `/${side}-${part}/${status}`)),
    ),
  },
  {
    name: "replies",
    guest: "local-reply",
    config: "",
    paths: ["request-headers", "request-body", "response-headers", "response-body", "continue", "empty", "type"].map(
      (reply) => `/reply/${reply}`,
    ),
  },
  { name: "bodies", guest: "body-buffer", config: "request append !\nresponse replace new", paths: ["/"] },
  { name: "chunks", guest: "body-chunk", config: "request response grow", paths: ["/"] },
  { name: "headers", guest: "headers", config: "request add X-In 1\nresponse replace X-Origin 2", paths: ["/a?b=c"] },
  { name: "faults", guest: "trap", config: "", paths: ["/trap", "/trap-body", "/trap-response", "/pass"] },
];
const BODY = "hello, world";
const RESPONSE = "HTTP/1.1 201 Created\r\nX-Origin: 1\r\nContent-Length: 4\r\n\r\nbody";

interface Seen {
  /** Undefined: none went there, or not all of it. */
  readonly upstream: { readonly line: string; readonly headers: readonly string[]; readonly body: string } | undefined;
  readonly client: { readonly status: number; readonly headers: readonly string[]; readonly body: string } | "cut";
}

/** What plugins write; the rest is the sidecar's own, or says how the body is framed. */
function pluginHeaders(fields: readonly (readonly [string, string])[]): string[] {
  const isOwn = (name: string): boolean =>
    /^x-(?!envoy-|request-id|forwarded-)/i.test(name) || /^content-type$/i.test(name);
  return fields.filter(([name]) => isOwn(name)).map(([name, value]) => `${name.toLowerCase()}: ${value}`);
}

async function runVerb(module: string, config: string, path: string): Promise<Seen> {
  const { io, out } = printed();
  const request = ["-r", `POST ${path}`, "-d", BODY, "--response", RESPONSE];
  await pluginRunVerb.run([module, "--config", config, ...request, "--json"], io);
  interface Message {
    readonly headers: readonly [string, string][];
    readonly body: string;
  }
  const { streams } = JSON.parse(out()) as {
    streams: [
      {
        request: (Message & { method: string; path: string; is_complete: boolean }) | null;
        response: (Message & { status: number; is_complete: boolean }) | null;
      },
    ];
  };
  const [{ request: sent, response }] = streams;
  return {
    upstream:
      sent === null || !sent.is_complete
        ? undefined
        : { line: `${sent.method} ${sent.path}`, headers: pluginHeaders(sent.headers), body: sent.body },
    client:
      response?.is_complete !== true
        ? "cut"
        : { status: response.status, headers: pluginHeaders(response.headers), body: response.body },
  };
}

async function throughSidecar(port: number, path: string): Promise<Seen["client"]> {
  const request = httpRequest({ port, path, method: "POST", headers: { "content-length": BODY.length } });
  request.end(BODY);
  try {
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const body = (await response.toArray()).join("");
    const fields = response.rawHeaders.flatMap((name, i): [string, string][] =>
      i % 2 === 0 ? [[name, response.rawHeaders[i + 1] ?? ""]] : [],
    );
    return { status: response.statusCode ?? 0, headers: pluginHeaders(fields), body };
  } catch {
    return "cut";
  }
}

suite("plugin run and the sidecar", () => {
  let origin: RecordingOrigin;
  let sidecar: SidecarProcess;

  before(async () => {
    origin = await RecordingOrigin.start(() => RESPONSE);
    const listeners = SCENES.map(({ name, guest: module, config }) =>
      listener(name, { filters: [wasmFilter(name, guest(module), config)] }),
    );
    sidecar = await SidecarProcess.start(bootstrap({ listeners, clusters: [cluster("origin", [origin.port])] }));
  });
  after(async () => {
    await sidecar[Symbol.asyncDispose]();
    await origin[Symbol.asyncDispose]();
  });

  for (const { name, guest: module, config, paths } of SCENES) {
    for (const path of paths) {
      test(`do the same with ${name} ${path}`, async () => {
        const before = origin.requests.length;
        const client = await throughSidecar(sidecar.port(name), path);
        const sent: RecordedRequest | undefined = origin.requests[before];
        const upstream =
          sent === undefined
            ? undefined
            : { line: `${sent.method} ${sent.target}`, headers: pluginHeaders(sent.fields), body: sent.body };
        assert.deepEqual(await runVerb(guest(module), config, path), { upstream, client });
      });
    }
  }
});
