// Manifests and blobs of one repository in one registry, with its authentication. Called by image-code.ts, one for each image.
// Source: the OCI distribution specification ("Pull") and Docker's token authentication. Every digest is checked here.
//
//   GET → 401 + challenge → Basic, or a token from the realm → GET again; a blob may be redirected, without the credentials

import { isLoopbackHost } from "./address-guard.ts";
import { isSameSite, parseChallenge } from "./auth-challenge.ts";
import { sha256Of } from "./code-cache.ts";
import { fetchBytes, type FetchedBody, type FetchResult, urlText } from "./http-fetch.ts";
import type { BlobDescriptor } from "./image-manifest.ts";
import { MANIFEST_TYPES } from "./image-manifest.ts";
import type { ImageReference } from "./image-reference.ts";
import type { PullSecrets, RegistryCredentials } from "./pull-secrets.ts";

export interface RegistryOptions {
  readonly image: ImageReference;
  readonly secrets: PullSecrets;
  /** Spoken to without TLS: loopback hosts, and those that the runtime key names. */
  readonly isPlain: boolean;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly ca: string | undefined;
}

export type Blob = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly problem: string };

/** What registries allow for a manifest. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_TOKEN_BYTES = 256 * 1024;
const MAX_REDIRECTS = 5;
const TOKEN = /^[\x21-\x7e]+$/;

export class Registry {
  readonly #options: RegistryOptions;
  readonly #base: URL;
  #authorization: string | undefined = undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    const { authority, repository } = options.image;
    this.#base = new URL(`${options.isPlain ? "http" : "https"}://${authority}/v2/${repository}/`);
  }

  /** `reference`: a tag, or a digest that the manifest must have. */
  async manifest(reference: string): Promise<Blob> {
    const fetched = await this.#get(`manifests/${reference}`, MAX_MANIFEST_BYTES, MANIFEST_TYPES.join(", "));
    return fetched.ok ? checked(fetched.body, reference, "the manifest") : fetched;
  }

  async blob({ digest, sizeBytes }: BlobDescriptor): Promise<Blob> {
    const { maxBytes } = this.#options;
    if (sizeBytes > maxBytes) {
      return { ok: false, problem: `the layer ${digest} has ${sizeBytes} bytes, at most ${maxBytes} are allowed` };
    }
    const fetched = await this.#get(`blobs/${digest}`, sizeBytes, "*/*");
    return fetched.ok ? checked(fetched.body, digest, "the layer") : fetched;
  }

  /** Answers one challenge. */
  async #get(path: string, maxBytes: number, accept: string): Promise<FetchResult> {
    const url = new URL(path, this.#base);
    let fetched = await this.#fetch(url, maxBytes, { accept }, this.#authorization);
    if (fetched.ok && fetched.status === 401) {
      const authorization = await this.#authorize(fetched);
      if (!authorization.ok) {
        return authorization;
      }
      this.#authorization = authorization.value;
      fetched = await this.#fetch(url, maxBytes, { accept }, this.#authorization);
    }
    if (fetched.ok && fetched.status !== 200) {
      return { ok: false, problem: `GET ${urlText(url)}: the registry answered ${statusText(fetched.status)}` };
    }
    return fetched;
  }

  async #authorize(
    answer: FetchedBody,
  ): Promise<{ readonly ok: true; readonly value: string } | { readonly ok: false; readonly problem: string }> {
    const { image, secrets } = this.#options;
    const challenge = parseChallenge(answer.headers["www-authenticate"] ?? "");
    const own = secrets.get(image.registry);
    switch (challenge?.kind) {
      case undefined:
        return refuse(`the registry ${image.registry} asks for an authentication that is not known`);
      case "basic":
        return own === undefined
          ? refuse(`the registry ${image.registry} wants a password, and there is no pull secret for it`)
          : { ok: true, value: basic(own) };
      case "bearer": {
        const realm = this.#realmUrl(challenge.realm);
        if (typeof realm === "string") {
          return refuse(`the registry ${image.registry} names a token realm that is refused: ${realm}`);
        }
        if (challenge.service !== "") {
          realm.searchParams.set("service", challenge.service);
        }
        realm.searchParams.set(
          "scope",
          challenge.scope === "" ? `repository:${image.repository}:pull` : challenge.scope,
        );
        return this.#token(realm, this.#secretFor(realm));
      }
    }
  }

  #realmUrl(realm: string): URL | string {
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
      return "it is no http: or https: URL";
    }
    if (url.username !== "" || url.password !== "") {
      return "it holds a user name";
    }
    return url.protocol === "http:" && !this.#options.isPlain ? `${urlText(url)} is not encrypted` : url;
  }

  /** The realm's own secret, else the registry's when both are of one site. */
  #secretFor(realm: URL): RegistryCredentials | undefined {
    const { image, secrets } = this.#options;
    return (
      secrets.get(realm.host) ??
      (isSameSite(this.#base.hostname, realm.hostname) ? secrets.get(image.registry) : undefined)
    );
  }

  async #token(
    realm: URL,
    secret: RegistryCredentials | undefined,
  ): Promise<{ readonly ok: true; readonly value: string } | { readonly ok: false; readonly problem: string }> {
    const authorization = secret === undefined ? undefined : basic(secret);
    const fetched = await this.#fetch(realm, MAX_TOKEN_BYTES, { accept: "application/json" }, authorization);
    if (!fetched.ok) {
      return fetched;
    }
    if (fetched.status !== 200) {
      const whom = secret === undefined ? "without a pull secret" : "with the pull secret";
      return refuse(`GET ${urlText(realm)}: the token realm answered ${statusText(fetched.status)} ${whom}`);
    }
    const token = tokenOf(fetched.body);
    return token === undefined
      ? refuse(`GET ${urlText(realm)}: the token realm's answer holds no token`)
      : { ok: true, value: `Bearer ${token}` };
  }

  #fetch(
    url: URL,
    maxBytes: number,
    headers: Readonly<Record<string, string>>,
    authorization: string | undefined,
  ): Promise<FetchResult> {
    const { signal, ca } = this.#options;
    const loopbackAllowed = isLoopbackHost(this.#base.hostname);
    const endpoint = undefined;
    return fetchBytes({
      url,
      headers,
      authorization,
      endpoint,
      maxBytes,
      maxRedirects: MAX_REDIRECTS,
      signal,
      ca,
      loopbackAllowed,
    });
  }
}

function checked(bytes: Buffer, reference: string, what: string): Blob {
  const got = `sha256:${sha256Of(bytes)}`;
  return reference.startsWith("sha256:") && got !== reference
    ? { ok: false, problem: `${what} has the digest ${got}, not ${reference}` }
    : { ok: true, bytes };
}

function basic({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function tokenOf(body: Buffer): string | undefined {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    const { token, access_token: other } = (value ?? {}) as { token?: unknown; access_token?: unknown };
    const text = typeof token === "string" ? token : other;
    return typeof text === "string" && TOKEN.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function statusText(status: number): string {
  const words: Readonly<Record<number, string>> = {
    401: "401: it does not accept who we are",
    403: "403: this is not allowed",
    404: "404: there is no such image",
    429: "429: too many requests",
  };
  return words[status] ?? String(status);
}

function refuse(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
