// A gRPC server below gRPC: an HTTP/2 server that writes the bytes that a test gives it in place of messages, also those
// that no gRPC library would send (lengths that are lies, compressed data that grows a thousandfold).

import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

export class RawGrpcServer {
  readonly #server: Http2Server;

  private constructor(server: Http2Server) {
    this.#server = server;
  }

  /** `write` gets each stream, whose response headers have been sent. */
  static async start(
    write: (stream: ServerHttp2Stream) => void,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ server: RawGrpcServer; port: number }> {
    const server = createServer();
    server.on("sessionError", () => {});
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200, "content-type": "application/grpc", ...headers });
      write(stream);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { server: new RawGrpcServer(server), port: (server.address() as AddressInfo).port };
  }

  close(): void {
    this.#server.close();
  }
}

/** The five bytes before a message; `length` may be a lie. */
export function messageHead(isCompressed: boolean, length: number): Buffer {
  const head = Buffer.alloc(5);
  head[0] = isCompressed ? 1 : 0;
  head.writeUInt32BE(length, 1);
  return head;
}

/** Some kilobytes of gzip that grow to `mebibytes` of zeros. */
export function gzipBomb(mebibytes: number): Buffer {
  const member = gzipSync(Buffer.alloc(1024 * 1024));
  return Buffer.concat(Array.from({ length: mebibytes }, () => member));
}
