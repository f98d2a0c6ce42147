// An application for a network namespace that knows nothing of a mesh: servers and clients, told by lines of JSON on stdin what to do.
// Each server answers with who it is, whom it sees and what it was called by. namespace-app.ts drives it.

import { createServer as createHttpServer, request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { answerNames } from "./dns-responder.ts";
import { text } from "node:stream/consumers";

export type AppCommand =
  | { readonly do: "serve"; readonly kind: "http" | "tcp"; readonly port: number }
  | {
      readonly do: "http";
      readonly host: string;
      readonly port: number;
      readonly path: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly do: "tcp"; readonly host: string; readonly port: number }
  | { readonly do: "dns"; readonly port: number; readonly names: Readonly<Record<string, readonly string[]>> };

/** What a server says of a connection. */
export interface Seen {
  readonly who: string;
  /** The address that the connection comes from. */
  readonly from: string;
  /** The address and port that it has reached. */
  readonly at: string;
  readonly path?: string;
}

const who = process.argv[2] ?? "";
const TIMEOUT_MS = 8_000;

function seen(socket: Socket, path?: string): string {
  const plain = (address = ""): string => address.replace(/^::ffff:/, "");
  const at = `${plain(socket.localAddress)} ${socket.localPort}`;
  return JSON.stringify({ who, from: plain(socket.remoteAddress), at, path });
}

function serve({ kind, port }: Extract<AppCommand, { do: "serve" }>): Promise<string> {
  const server =
    kind === "http"
      ? createHttpServer((incoming, response) => {
          response.setHeader("content-type", "application/json");
          response.end(seen(incoming.socket, incoming.url));
        })
      : createServer((socket) => {
          socket.on("error", () => undefined);
          socket.once("data", () => socket.end(seen(socket)));
        });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "::", () => resolve("{}"));
  });
}

function http({ host, port, path, headers }: Extract<AppCommand, { do: "http" }>): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, path, headers, agent: false, timeout: TIMEOUT_MS }, (response) => {
      void text(response).then(resolve, reject);
    });
    outgoing.on("error", reject);
    outgoing.on("timeout", () => outgoing.destroy(new Error("timeout")));
    outgoing.end();
  });
}

async function tcp({ host, port }: Extract<AppCommand, { do: "tcp" }>): Promise<string> {
  const socket = connect({ host, port });
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error("timeout")));
  socket.on("connect", () => socket.write("hello\n"));
  const answer = await text(socket);
  return answer === "" ? "closed" : answer;
}

function perform(command: AppCommand): Promise<string> {
  switch (command.do) {
    case "serve":
      return serve(command);
    case "http":
      return http(command);
    case "tcp":
      return tcp(command);
    case "dns":
      return answerNames(command.port, command.names).then(() => "{}");
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command } = JSON.parse(line) as { readonly id: number; readonly command: AppCommand };
  const answer = perform(command).catch((error: unknown) => `error: ${String(error)}`);
  void answer.then((result) => process.stdout.write(`${JSON.stringify({ id, result })}\n`));
}
process.exit();
