// `oci://registry/repository:tag@sha256:…` → its parts. Pure; called by image-code.ts.
// Grammar: the OCI distribution specification's <name> and <reference>, and Docker's reading of a name without a registry.

export interface ImageReference {
  /** `host` or `host:port` as pull secrets name it, lower case: `ghcr.io`, `localhost:5000`, `docker.io`. */
  readonly registry: string;
  /** Where the registry answers: the same, but for Docker Hub. */
  readonly authority: string;
  readonly repository: string;
  /** `latest` when there is neither a tag nor a digest; empty when there is a digest alone. */
  readonly tag: string;
  /** `sha256:` and 64 hexadecimal digits, or empty. */
  readonly digest: string;
}

export type ParsedReference =
  | { readonly ok: true; readonly image: ImageReference }
  | { readonly ok: false; readonly problem: string };

export const OCI_SCHEME = "oci://";

/** Longer names are nobody's: a repository has at most 255 characters, a tag 128. */
const MAX_REFERENCE_CHARS = 1_024;
const MAX_REPOSITORY_CHARS = 255;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const HOST =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$/;
const DOCKER_HUB = "docker.io";
const DOCKER_HUB_NAMES: ReadonlySet<string> = new Set([DOCKER_HUB, "index.docker.io", "registry-1.docker.io"]);

/** `uri` with or without its scheme. */
export function parseImageReference(uri: string): ParsedReference {
  const text = uri.startsWith(OCI_SCHEME) ? uri.slice(OCI_SCHEME.length) : uri;
  if (text.length > MAX_REFERENCE_CHARS) {
    return refuse(uri.slice(0, 64), `${text.length} characters, at most ${MAX_REFERENCE_CHARS} are allowed`);
  }
  const [named, digest = "", ...rest] = text.split("@");
  if (named === undefined || rest.length > 0) {
    return refuse(uri, 'more than one "@"');
  }
  if (text.includes("@") && !DIGEST.test(digest)) {
    return refuse(uri, 'after "@" comes a digest: sha256: and 64 lower-case hexadecimal digits');
  }
  const slash = named.indexOf("/");
  const first = slash < 0 ? "" : named.slice(0, slash);
  const hasRegistry = /[.:]/.test(first) || first.toLowerCase() === "localhost";
  const registry = hasRegistry ? first.toLowerCase() : DOCKER_HUB;
  if (!HOST.test(registry) || Number(/:(\d+)$/.exec(registry)?.[1] ?? 443) > 65_535) {
    return refuse(uri, `"${registry}" is no registry host`);
  }
  const path = hasRegistry ? named.slice(slash + 1) : named;
  const colon = path.lastIndexOf(":");
  const repository = colon < 0 ? path : path.slice(0, colon);
  const tag = colon < 0 ? "" : path.slice(colon + 1);
  if (repository.length > MAX_REPOSITORY_CHARS || !repository.split("/").every((part) => COMPONENT.test(part))) {
    return refuse(uri, `"${repository}" is no repository name: lower-case words, joined by "/"`);
  }
  if (colon >= 0 && !TAG.test(tag)) {
    return refuse(uri, `"${tag}" is no tag: at most 128 letters, digits, ".", "_" and "-"`);
  }
  return { ok: true, image: image(registry, repository, tag === "" && digest === "" ? "latest" : tag, digest) };
}

/** The reference as text, without its scheme; parses to the same again. */
export function imageText({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === "" ? "" : `:${tag}`}${digest === "" ? "" : `@${digest}`}`;
}

function image(registry: string, repository: string, tag: string, digest: string): ImageReference {
  if (!DOCKER_HUB_NAMES.has(registry)) {
    return { registry, authority: registry, repository, tag, digest };
  }
  const path = repository.includes("/") ? repository : `library/${repository}`;
  return { registry: DOCKER_HUB, authority: "registry-1.docker.io", repository: path, tag, digest };
}

function refuse(uri: string, why: string): ParsedReference {
  return { ok: false, problem: `Cannot parse the image reference "${uri}": ${why}` };
}
