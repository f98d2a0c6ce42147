/**
 * The upstream of the bench, and a trace collector beside it that throws away what it gets: nginx where it is found,
 * else this file run as a program on raw sockets. Both answer every request with the same small fixed response.
 */
import { writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";

import { start, type Child } from "./child.ts";

const BODY = "hello from the origin, 64 bytes of text that never ever changes\n";

function nginxOrigin(folder: string, port: number, collectorPort: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `worker_processes 1;
daemon off;
pid ${folder}/origin.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${folder}/origin-${name};`).join("\n")}
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_max_body_size 64m;
  default_type text/plain;
  server { listen 127.0.0.1:${port}; location / { return 200 "${BODY.trimEnd()}\\n"; } }
  server { listen 127.0.0.1:${collectorPort}; location / { default_type application/x-protobuf; return 200 ""; } }
}
`;
}

/** Starts the origin on a core. Says which one it is. */
export async function startOrigin(
  core: number,
  folder: string,
  ports: { readonly origin: number; readonly collector: number },
  nginx: string | undefined,
): Promise<{ child: Child; kind: string }> {
  if (nginx === undefined) {
    const command = [process.execPath, import.meta.filename, String(ports.origin), String(ports.collector)];
    return { child: await start("origin", core, command), kind: "node" };
  }
  const file = join(folder, "origin.conf");
  writeFileSync(file, nginxOrigin(folder, ports.origin, ports.collector));
  return { child: await start("origin", core, [nginx, "-e", "stderr", "-p", folder, "-c", file]), kind: "nginx" };
}

/** Answers each request on a connection: looks for the end of the head, skips a body by its Content-Length. */
function serve(port: number, response: Buffer): void {
  const server = net.createServer({ noDelay: true }, (socket) => {
    let rest = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      rest += chunk.toString("latin1");
      for (let end = rest.indexOf("\r\n\r\n"); end >= 0; end = rest.indexOf("\r\n\r\n")) {
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(rest.slice(0, end))?.[1] ?? 0);
        if (rest.length < end + 4 + length) return;
        rest = rest.slice(end + 4 + length);
        socket.write(response);
      }
    });
  });
  server.listen(port, "127.0.0.1");
}

function main(): void {
  const [port, collectorPort] = process.argv.slice(2).map(Number);
  if (port === undefined || collectorPort === undefined) throw new Error("usage: origin.ts PORT COLLECTOR_PORT");
  const head = "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
  serve(port, Buffer.from(`${head}Content-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`));
  serve(collectorPort, Buffer.from(`${head}Content-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n`));
}

if (import.meta.main) main();
