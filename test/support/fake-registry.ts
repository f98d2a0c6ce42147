// A registry on a free port of 127.0.0.1, HTTP or HTTPS: manifests and blobs of one repository, token authentication, and
// whatever else a test puts on a path. It keeps every request that came.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const TLS = join(import.meta.dirname, "../fixtures/tls");
/** PEM of the authority that HTTPS registries have their certificate from. */
export const TEST_CA = readFileSync(join(TLS, "localhost.pem"), "utf8");

export interface SeenRequest {
  readonly path: string;
  readonly authorization: string;
  readonly host: string;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export class FakeRegistry implements AsyncDisposable {
  readonly port: number;
  readonly scheme: "http" | "https";
  readonly seen: SeenRequest[] = [];
  readonly #paths = new Map<string, Answer>();
  readonly #server: ReturnType<typeof createServer>;
  /** `Bearer …` or `Basic …` that /v2/ wants; empty: nothing. */
  authorization = "";
  challenge = "";

  private constructor(server: ReturnType<typeof createServer>, scheme: "http" | "https") {
    this.#server = server;
    this.scheme = scheme;
    this.port = (server.address() as AddressInfo).port;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response));
  }

  static async start(scheme: "http" | "https" = "http"): Promise<FakeRegistry> {
    const none: RequestListener = () => undefined;
    const server =
      scheme === "http"
        ? createServer(none)
        : createTlsServer({ key: readFileSync(join(TLS, "localhost.key")), cert: TEST_CA }, none);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new FakeRegistry(server as ReturnType<typeof createServer>, scheme);
  }

  get origin(): string {
    return `${this.scheme}://localhost:${this.port}`;
  }

  /** `oci://` URI of a repository here. */
  uri(reference: string): string {
    return `oci://localhost:${this.port}/${reference}`;
  }

  /** What `path` (without a query) answers from now on. */
  on(path: string, answer: Answer): void {
    this.#paths.set(path, answer);
  }

  serve(path: string, body: Uint8Array, type = "application/octet-stream"): void {
    this.on(path, (_, response) =>
      response.writeHead(200, { "content-type": type, "content-length": body.length }).end(body),
    );
  }

  redirect(path: string, location: string): void {
    this.on(path, (_, response) => response.writeHead(302, { location }).end());
  }

  /** A blob of `repository`; its digest. */
  blob(repository: string, bytes: Uint8Array): string {
    const digest = digestOf(bytes);
    this.serve(`/v2/${repository}/blobs/${digest}`, bytes);
    return digest;
  }

  /** A manifest under its digest and its tags; its digest. */
  manifest(repository: string, manifest: object, ...tags: readonly string[]): string {
    const bytes = Buffer.from(JSON.stringify(manifest));
    const digest = digestOf(bytes);
    for (const reference of [digest, ...tags]) {
      this.serve(`/v2/${repository}/manifests/${reference}`, bytes, String(Reflect.get(manifest, "mediaType")));
    }
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "";
    const authorization = request.headers.authorization ?? "";
    this.seen.push({ path, authorization, host: request.headers.host ?? "" });
    const [plain = ""] = path.split("?");
    if (plain.startsWith("/v2/") && this.authorization !== "" && authorization !== this.authorization) {
      response.writeHead(401, { "www-authenticate": this.challenge }).end();
      return;
    }
    const answer = this.#paths.get(plain);
    if (answer === undefined) {
      response.writeHead(404).end();
    } else {
      answer(request, response);
    }
  }
}

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** An image manifest: `layers` are media type, bytes. */
export function imageManifest(
  config: string,
  layers: readonly (readonly [mediaType: string, bytes: Uint8Array])[],
  mediaType = OCI_MANIFEST,
): object {
  return {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: config, digest: digestOf(Buffer.from("{}")), size: 2 },
    layers: layers.map(([type, bytes]) => ({ mediaType: type, digest: digestOf(bytes), size: bytes.length })),
  };
}
