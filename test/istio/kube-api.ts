// As much of the Kubernetes API as istiod needs to start and to read its configuration: lists and watches of objects that are
// given once, without authentication. Objects that nobody gave are empty lists. Run by istiod.ts; loopback only.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Kinds of Istio that istiod looks for, by API version: a kind without a definition is not watched. */
const DEFINED: Readonly<Record<string, readonly string[]>> = {
  "networking.istio.io/v1": [
    "destinationrules",
    "gateways",
    "serviceentries",
    "sidecars",
    "virtualservices",
    "workloadentries",
    "workloadgroups",
  ],
  "networking.istio.io/v1alpha3": ["envoyfilters"],
  "networking.istio.io/v1beta1": ["proxyconfigs"],
  "security.istio.io/v1": ["authorizationpolicies", "peerauthentications", "requestauthentications"],
  "telemetry.istio.io/v1": ["telemetries"],
  "extensions.istio.io/v1alpha1": ["trafficextensions", "wasmplugins"],
};

const VERSION = "1";

export class KubeApi implements AsyncDisposable {
  readonly #server: Server;
  /** By path of the collection in all namespaces. */
  readonly #collections = new Map<string, object[]>();

  private constructor(objects: readonly KubeObject[]) {
    for (const name of ["default", "istio-system"]) {
      this.#add("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
    }
    for (const [apiVersion, plurals] of Object.entries(DEFINED)) {
      for (const plural of plurals) {
        this.#define(`${plural}.${apiVersion.slice(0, apiVersion.indexOf("/"))}`);
      }
    }
    for (const object of objects) {
      this.#add(`/apis/${object.apiVersion}/${pluralOf(object.kind)}`, object);
    }
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(objects: readonly KubeObject[]): Promise<KubeApi> {
    const api = new KubeApi(objects);
    api.#server.listen(0, "127.0.0.1");
    await once(api.#server, "listening");
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #define(name: string): void {
    const definition = { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name } };
    this.#add("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
  }

  #add(collection: string, { metadata, ...rest }: KubeObject): void {
    const all = this.#collections.get(collection) ?? [];
    this.#collections.set(collection, all);
    const given = {
      uid: `${collection}-${all.length}`,
      resourceVersion: VERSION,
      creationTimestamp: "2026-01-01T00:00:00Z",
    };
    all.push({ ...rest, metadata: { ...given, ...metadata } });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://kube");
    if (request.method !== "GET") {
      send(response, 404, failure());
    } else if (pathname === "/version") {
      send(response, 200, { major: "1", minor: "36", gitVersion: "v1.36.0" });
    } else if (searchParams.get("watch") === "1" || searchParams.get("watch") === "true") {
      // Nothing ever changes.
      response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    } else if (/^\/(api\/v1|apis\/[^/]+\/[^/]+)(\/namespaces\/[^/]+)?\/[a-z]+$/.test(pathname)) {
      send(response, 200, this.#list(pathname, searchParams, String(request.headers.accept)));
    } else {
      send(response, 404, failure());
    }
  }

  #list(pathname: string, search: URLSearchParams, accept: string): object {
    const namespace = /\/namespaces\/([^/]+)\//.exec(pathname)?.[1];
    const name = /metadata\.name=([^,]+)/.exec(search.get("fieldSelector") ?? "")?.[1];
    const all = this.#collections.get(pathname.replace(/\/namespaces\/[^/]+\//, "/")) ?? [];
    const found = (all as KubeObject[]).filter(
      ({ metadata }) =>
        (namespace === undefined || metadata.namespace === namespace) && (name === undefined || metadata.name === name),
    );
    const metadata = { resourceVersion: VERSION };
    if (!accept.includes("PartialObjectMetadata")) return { metadata, items: found };
    const meta = { apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata" };
    const items = found.map((object) => ({ ...meta, metadata: object.metadata }));
    return { apiVersion: meta.apiVersion, kind: `${meta.kind}List`, metadata, items };
  }
}

function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  return lower.endsWith("y") ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

function failure(): object {
  return { apiVersion: "v1", kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: "not found" };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
