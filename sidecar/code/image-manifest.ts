// What a registry answers for a tag or digest → the one blob that holds the module. Pure; called by image-code.ts.
// Layouts: OCI image manifest and index, Docker schema 2 and its list; the module as an artifact's layer or as a tar with
// `plugin.wasm` (solo-io's and the CNCF's Wasm image specifications, "compat" variant included). Anything else is refused.

export interface BlobDescriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly sizeBytes: number;
}

export type ManifestChoice =
  /** An index: the manifest to ask for next. */
  | { readonly kind: "manifest"; readonly manifest: BlobDescriptor }
  /** The layer with the module: as it is, or as `plugin.wasm` in a tar that may be gzipped. */
  | { readonly kind: "layer"; readonly layer: BlobDescriptor; readonly packing: "module" | "tar" }
  | { readonly kind: "problem"; readonly problem: string };

/** What a request for a manifest accepts. */
export const MANIFEST_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
] as const;

const MODULE_LAYERS: ReadonlySet<string> = new Set([
  "application/vnd.module.wasm.content.layer.v1+wasm",
  "application/vnd.wasm.content.layer.v1+wasm",
  "application/wasm",
]);
const TAR_LAYERS: ReadonlySet<string> = new Set([
  "application/vnd.docker.image.rootfs.diff.tar.gzip",
  "application/vnd.docker.image.rootfs.diff.tar",
  "application/vnd.oci.image.layer.v1.tar+gzip",
  "application/vnd.oci.image.layer.v1.tar",
]);
const MAX_LAYERS = 128;
const MAX_MANIFESTS = 256;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

type Json = Readonly<Record<string, unknown>>;

/** `bytes` are a manifest's or an index's; which one, its own fields say. */
export function chooseFromManifest(bytes: Uint8Array): ManifestChoice {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8"));
  } catch {
    return problem("the manifest is not JSON");
  }
  if (!isObject(value)) {
    return problem("the manifest is not a JSON object");
  }
  if (value["schemaVersion"] !== 2) {
    return problem(`the manifest's schemaVersion is ${JSON.stringify(value["schemaVersion"])}, only 2 is known`);
  }
  if (Array.isArray(value["manifests"])) {
    return value["layers"] === undefined
      ? chooseManifest(value["manifests"])
      : problem("the manifest is an index, too");
  }
  return Array.isArray(value["layers"])
    ? chooseLayer(value["layers"], value["config"])
    : problem("the manifest has neither layers nor manifests");
}

/** The one for a wasm platform, else the first, as `docker pull` does where nothing fits better. */
function chooseManifest(list: readonly unknown[]): ManifestChoice {
  if (list.length === 0 || list.length > MAX_MANIFESTS) {
    return problem(`the image index names ${list.length} manifests; 1 to ${MAX_MANIFESTS} are allowed`);
  }
  const isWasm = (each: unknown): boolean => {
    const platform = isObject(each) && isObject(each["platform"]) ? each["platform"] : {};
    return platform["architecture"] === "wasm" || String(platform["os"]).startsWith("wasi");
  };
  const manifest = descriptorOf(list.find(isWasm) ?? list[0]);
  return manifest === undefined
    ? problem("the image index names a manifest without a sha256 digest and a size")
    : { kind: "manifest", manifest };
}

function chooseLayer(list: readonly unknown[], config: unknown): ManifestChoice {
  if (list.length === 0 || list.length > MAX_LAYERS) {
    return problem(`the image has ${list.length} layers; 1 to ${MAX_LAYERS} are allowed`);
  }
  const layers = list.map(descriptorOf);
  if (layers.includes(undefined)) {
    return problem("the image has a layer without a media type, a sha256 digest and a size");
  }
  const known = layers as readonly BlobDescriptor[];
  const modules = known.filter(({ mediaType }) => MODULE_LAYERS.has(mediaType));
  const configType = isObject(config) ? String(config["mediaType"]) : "";
  if (modules.length > 0 || configType.includes("wasm")) {
    // A module's artifact is the module, with at most one layer that describes it.
    const [layer] = modules;
    return layer !== undefined && modules.length === 1 && known.length <= 2
      ? { kind: "layer", layer, packing: "module" }
      : problem(
          `the image has ${known.length} layers, ${modules.length} of them modules; a plugin's image has one module`,
        );
  }
  const last = known[known.length - 1];
  return last !== undefined && TAR_LAYERS.has(last.mediaType)
    ? { kind: "layer", layer: last, packing: "tar" }
    : problem(`the image's last layer has the media type "${last?.mediaType ?? ""}", which holds no module`);
}

function descriptorOf(value: unknown): BlobDescriptor | undefined {
  if (!isObject(value)) {
    return undefined;
  }
  const { mediaType, digest, size } = value;
  return typeof mediaType === "string" && typeof digest === "string" && DIGEST.test(digest) && isSize(size)
    ? { mediaType, digest, sizeBytes: size }
    : undefined;
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function problem(text: string): ManifestChoice {
  return { kind: "problem", problem: text };
}
