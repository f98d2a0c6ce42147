// The few resources of a Kubernetes API server that the webhook reads and writes, over TLS with a token, in memory, with resource versions.

import { createServer, type Server } from "node:https";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyOperation, type Json, type JsonObject } from "../../sidecar/inject/json-patch.ts";
import { issueServing, makeAuthority } from "../../sidecar/webhook/certificate.ts";
import { EventLog } from "./events.ts";

export class FakeKubernetesApi {
  /** By path. */
  readonly objects = new Map<string, JsonObject>();
  /** `METHOD path status`, in order. */
  readonly requests = new EventLog<string>();
  /** A service account's folder: token, ca.crt, namespace. */
  readonly folder: string;
  readonly #server: Server;
  readonly #token = "a-token-of-the-kubelet";
  #version = 100;

  private constructor() {
    const authority = makeAuthority("kubernetes", Date.now());
    const serving = issueServing(authority, ["localhost", "127.0.0.1"], Date.now());
    this.folder = mkdtempSync(join(tmpdir(), "outrigger-account-"));
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(join(this.folder, "token"), `${this.#token}\n`);
    writeFileSync(join(this.folder, "ca.crt"), authority.certificate);
    writeFileSync(join(this.folder, "namespace"), "mesh");
    this.#server = createServer({ cert: serving.certificate, key: serving.key }, (request, response) => {
      void this.#answer(request).then(({ status, body }) => {
        this.requests.push(`${request.method} ${request.url} ${status}`);
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      });
    });
  }

  static async start(): Promise<FakeKubernetesApi> {
    const api = new FakeKubernetesApi();
    await new Promise<void>((resolve) => void api.#server.listen(0, "127.0.0.1", resolve));
    return api;
  }

  /** The environment of a pod. */
  get environment(): Record<string, string> {
    return {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: String((this.#server.address() as AddressInfo).port),
      OUTRIGGER_SERVICE_ACCOUNT_DIR: this.folder,
    };
  }

  put(path: string, object: JsonObject): void {
    const metadata = { ...(object["metadata"] as JsonObject | undefined), resourceVersion: String(++this.#version) };
    this.objects.set(path, { ...object, metadata });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    const { method = "", url = "", headers } = request;
    const text = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    if (headers.authorization !== `Bearer ${this.#token}`) {
      return problem(401, "Unauthorized");
    }
    const object = this.objects.get(url);
    if (method === "GET") {
      return object === undefined ? problem(404, `${url} not found`) : { status: 200, body: object };
    }
    if (method === "POST") {
      const made = JSON.parse(text) as JsonObject;
      const path = `${url}/${String((made["metadata"] as JsonObject)["name"] as string)}`;
      if (this.objects.has(path)) {
        return problem(409, "already exists");
      }
      this.put(path, made);
      return { status: 201, body: this.objects.get(path) };
    }
    if (object === undefined) {
      return problem(404, `${url} not found`);
    }
    return this.#patch(url, object, headers["content-type"] ?? "", JSON.parse(text));
  }

  #patch(url: string, object: JsonObject, type: string, patch: unknown): { status: number; body: unknown } {
    const version = (object["metadata"] as JsonObject)["resourceVersion"];
    const next = structuredClone(object);
    if (type === "application/merge-patch+json") {
      const { metadata, data } = patch as { metadata: { resourceVersion: string }; data: JsonObject };
      if (metadata.resourceVersion !== version) {
        return problem(409, "the object has been modified");
      }
      next["data"] = { ...(next["data"] as JsonObject), ...data };
    } else {
      for (const { op, path, value } of patch as { op: "add" | "test"; path: string; value: Json }[]) {
        if (op === "test" && (path !== "/metadata/resourceVersion" || value !== version)) {
          return problem(422, "the test failed");
        }
        if (op === "add") {
          applyOperation(next, { op, path: path.split("/").slice(1), value });
        }
      }
    }
    this.put(url, next);
    return { status: 200, body: this.objects.get(url) };
  }
}

function problem(code: number, message: string): { status: number; body: unknown } {
  return { status: code, body: { kind: "Status", apiVersion: "v1", status: "Failure", message, code } };
}
