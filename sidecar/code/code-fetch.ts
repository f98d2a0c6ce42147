// Remote code, one attempt: the bytes that `http(s)://` or `oci://` leads to, checked against their digest and unpacked.
// remote-code.ts calls it, with a signal that ends it. As Envoy does, an http(s) fetch goes to a host of the named cluster with
// the URI's host as its authority; an image is fetched from its registry, whatever cluster is named.

import type { PluginCode } from "../../xds/model/plugin-config.ts";
import { isLoopbackHost } from "./address-guard.ts";
import { unpackModule } from "./code-bytes.ts";
import { type CodeCache, sha256Of } from "./code-cache.ts";
import type { CodeSettings } from "./code-settings.ts";
import { fetchBytes } from "./http-fetch.ts";
import { chooseFromManifest } from "./image-manifest.ts";
import { imageText, OCI_SCHEME, parseImageReference } from "./image-reference.ts";
import type { PullSecrets } from "./pull-secrets.ts";
import { Registry } from "./registry.ts";

export type RemotePluginCode = Extract<PluginCode, { readonly kind: "remote" }>;

export type FetchedCode =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** `isFinal`: trying again would end the same. */
  | { readonly ok: false; readonly problem: string; readonly isFinal: boolean };

/** One endpoint of a cluster: an IP address or a name. */
export interface CodeEndpoint {
  readonly host: string;
  readonly port: number;
}

export interface FetchContext {
  readonly settings: CodeSettings;
  readonly cache: CodeCache;
  /** Endpoints of a cluster; undefined when there is no such cluster. */
  readonly endpointsOf: (cluster: string, isSecure: boolean) => readonly CodeEndpoint[] | undefined;
  readonly secrets: PullSecrets;
  readonly signal: AbortSignal;
  /** 0 for the first. */
  readonly attempt: number;
  readonly ca: string | undefined;
}

/** An index may name an index once. */
const MAX_MANIFESTS = 3;
const MAX_REDIRECTS = 3;

export function fetchCode(code: RemotePluginCode, context: FetchContext): Promise<FetchedCode> {
  return code.uri.startsWith(OCI_SCHEME) ? fetchImage(code, context) : fetchUri(code, context);
}

/** Code that is on disk already and needs no network; undefined when it is not. */
export async function cachedCode(code: RemotePluginCode, context: FetchContext): Promise<FetchedCode | undefined> {
  const isImage = code.uri.startsWith(OCI_SCHEME);
  const bytes = isImage ? await cachedImage(code, context) : await context.cache.read(code.sha256);
  return bytes === undefined ? undefined : unpacked(bytes, isImage ? "module" : "any", context);
}

async function fetchUri(code: RemotePluginCode, context: FetchContext): Promise<FetchedCode> {
  const { settings, signal, ca, cache } = context;
  // Envoy takes a URI without a scheme, too.
  const text = code.uri.includes("://") ? code.uri : `http://${code.uri}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return final("its scheme is none of http:, https: and oci:");
  }
  const endpoints = context.endpointsOf(code.cluster, url.protocol === "https:");
  const endpoint = endpoints?.[context.attempt % Math.max(1, endpoints.length)];
  if (endpoint === undefined) {
    return retry(
      endpoints === undefined
        ? `there is no cluster "${code.cluster}"`
        : `the cluster "${code.cluster}" has no endpoint with an address`,
    );
  }
  const fetched = await fetchBytes({
    url,
    headers: { accept: "*/*" },
    authorization: undefined,
    endpoint,
    maxBytes: settings.maxBytes,
    maxRedirects: MAX_REDIRECTS,
    signal,
    loopbackAllowed: isLoopbackHost(endpoint.host),
    ca,
  });
  if (!fetched.ok) {
    return retry(fetched.problem);
  }
  if (fetched.status !== 200 || fetched.body.length === 0) {
    return retry(fetched.status === 200 ? "the answer is empty" : `the answer has the status ${fetched.status}`);
  }
  const digest = sha256Of(fetched.body);
  if (digest !== code.sha256) {
    return retry(`the sha256 of what came is ${digest}, not ${code.sha256}`);
  }
  await cache.write(digest, fetched.body);
  return unpacked(fetched.body, "any", context);
}

async function fetchImage(code: RemotePluginCode, context: FetchContext): Promise<FetchedCode> {
  const { settings, cache, signal, ca, secrets } = context;
  const parsed = parseImageReference(code.uri);
  if (!parsed.ok) {
    return final(parsed.problem);
  }
  const { image } = parsed;
  const isPlain =
    isLoopbackHost(new URL(`http://${image.authority}`).hostname) || settings.insecureRegistries.has(image.registry);
  const registry = new Registry({ image, secrets, isPlain, maxBytes: settings.maxBytes, signal, ca });
  const digests: string[] = [];
  let reference = image.digest === "" ? image.tag : image.digest;
  for (let depth = 0; depth < MAX_MANIFESTS; depth++) {
    const manifest = await manifestOf(reference, registry, cache);
    if (!manifest.ok) {
      return retry(manifest.problem);
    }
    digests.push(sha256Of(manifest.bytes));
    const choice = chooseFromManifest(manifest.bytes);
    if (choice.kind === "problem") {
      return retry(choice.problem);
    }
    if (choice.kind === "manifest") {
      reference = choice.manifest.digest;
      continue;
    }
    const digest = choice.layer.digest.slice("sha256:".length);
    const kept = await cache.read(digest);
    const layer = kept === undefined ? await registry.blob(choice.layer) : { ok: true as const, bytes: kept };
    if (!layer.ok) {
      return retry(layer.problem);
    }
    const module = await unpacked(layer.bytes, choice.packing, context);
    if (module.ok && code.sha256 !== "" && ![...digests, digest, sha256Of(module.bytes)].includes(code.sha256)) {
      return retry(
        `the sha256 of its manifest is ${digests[0]}, of its module ${sha256Of(module.bytes)}, neither is ${code.sha256}`,
      );
    }
    if (module.ok && kept === undefined) {
      await cache.write(digest, layer.bytes);
    }
    return module;
  }
  return retry(`the image ${imageText(image)} is an index in an index in an index`);
}

async function manifestOf(
  reference: string,
  registry: Registry,
  cache: CodeCache,
): Promise<{ readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly problem: string }> {
  const isPinned = reference.startsWith("sha256:");
  const kept = isPinned ? await cache.read(reference.slice("sha256:".length)) : undefined;
  if (kept !== undefined) {
    return { ok: true, bytes: kept };
  }
  const fetched = await registry.manifest(reference);
  if (fetched.ok) {
    await cache.write(sha256Of(fetched.bytes), fetched.bytes);
  }
  return fetched;
}

/** The module of a pinned image, or of one whose manifest or module the configuration's sha256 names. */
async function cachedImage(code: RemotePluginCode, context: FetchContext): Promise<Uint8Array | undefined> {
  const parsed = parseImageReference(code.uri);
  if (!parsed.ok) {
    return undefined;
  }
  const pinned = parsed.image.digest.slice("sha256:".length);
  const digests = [];
  for (let digest = pinned === "" ? code.sha256 : pinned, depth = 0; depth < MAX_MANIFESTS; depth++) {
    const bytes = await context.cache.read(digest);
    if (bytes === undefined) {
      return undefined;
    }
    digests.push(digest);
    const choice = chooseFromManifest(bytes);
    if (choice.kind === "manifest") {
      digest = choice.manifest.digest.slice("sha256:".length);
    } else if (choice.kind === "problem") {
      // No manifest: the layer itself, which is what sha256 names then.
      return depth === 0 && pinned === "" ? bytes : undefined;
    } else {
      const layerDigest = choice.layer.digest.slice("sha256:".length);
      const layer = await context.cache.read(layerDigest);
      const module = layer === undefined ? undefined : await unpacked(layer, choice.packing, context);
      return module?.ok === true && [...digests, layerDigest, sha256Of(module.bytes)].includes(code.sha256)
        ? module.bytes
        : undefined;
    }
  }
  return undefined;
}

async function unpacked(
  bytes: Uint8Array,
  packing: "module" | "tar" | "any",
  { settings }: FetchContext,
): Promise<FetchedCode> {
  const module = await unpackModule(bytes, packing, settings.maxBytes);
  return module.ok ? module : final(module.problem);
}

function retry(problem: string): FetchedCode {
  return { ok: false, problem, isFinal: false };
}

function final(problem: string): FetchedCode {
  return { ok: false, problem, isFinal: true };
}
