// What a module was built with, for people: language, compiler and SDK, as far as its bytes tell. Nothing depends on it.
// plugin-module.ts asks for the language, module-report.ts for all.

import { ByteReader } from "../metering/byte-reader.ts";

export interface Toolchain {
  /** "go", "rust", "assemblyscript", "c++", "tinygo", "zig" or "unknown". */
  readonly language: string;
  /** Such as "Go 1.26.8" or "clang 19.1.7"; undefined when the bytes do not tell. */
  readonly compiler: string | undefined;
  /** Such as "proxy-wasm-rust-sdk 0.2.5"; undefined when there is none or the bytes do not tell. */
  readonly sdk: string | undefined;
}

/** A name with a version, of the "producers" section. */
interface Producer {
  readonly field: string;
  readonly name: string;
  readonly version: string;
}

/** The part of a version that people read; the rest is a commit or a build's name. */
const SHORT_VERSION = /^v?\d+(?:\.\d+)*(?:-[0-9A-Za-z.]+)?/;
const MAX_PRODUCERS = 64;

/** Reads compiled modules and such as do not compile. Searches the bytes once for each clue: about 1 ms for a megabyte. */
export function readToolchain(module: WebAssembly.Module | undefined, bytes: Uint8Array): Toolchain {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const producers = module === undefined ? [] : producersOf(module);
  const language = languageOf(module, producers, whole);
  return { language, compiler: compilerOf(language, producers, whole), sdk: sdkOf(language, whole) };
}

/** The language alone. */
export function readLanguage(module: WebAssembly.Module, bytes: Uint8Array): string {
  return languageOf(module, producersOf(module), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

function languageOf(module: WebAssembly.Module | undefined, producers: readonly Producer[], whole: Buffer): string {
  const names = producers.map(({ name }) => name).join(" ");
  if (names.includes("TinyGo")) return "tinygo";
  if (names.includes("rustc") || whole.includes("/rustc/")) return "rust";
  const hasBuildId = module !== undefined && WebAssembly.Module.customSections(module, "go:buildid").length > 0;
  if (hasBuildId || whole.includes("go:buildid")) return "go";
  // AssemblyScript keeps its strings as UTF-16: paths of its library, and the property that its SDK reads for each root context.
  if (names.includes("AssemblyScript") || hasUtf16(whole, "~lib/") || hasUtf16(whole, SOLO_CLUE))
    return "assemblyscript";
  if (/zig/i.test(names)) return "zig";
  if (/clang|emscripten/i.test(names) || whole.includes("emscripten_")) return "c++";
  return "unknown";
}

function compilerOf(language: string, producers: readonly Producer[], whole: Buffer): string | undefined {
  const by = producers.find(
    ({ field, name }) => field === "processed-by" && !/^(?:wasm-bindgen|walrus|wit-)/.test(name),
  );
  if (language === "go") {
    const version = textAfter(whole, "go1.", "latin1");
    return version === undefined ? describeProducer(by) : `Go 1.${/^\d+(?:\.\d+)?/.exec(version)?.[0] ?? "?"}`;
  }
  if (by !== undefined) return describeProducer(by);
  const commit = language === "rust" ? textAfter(whole, "/rustc/", "latin1") : undefined;
  return commit === undefined ? undefined : `rustc of commit ${/^[0-9a-f]{0,9}/.exec(commit)?.[0] ?? ""}`;
}

function describeProducer(by: Producer | undefined): string | undefined {
  if (by === undefined) return undefined;
  const version = SHORT_VERSION.exec(by.version)?.[0];
  return version === undefined ? by.name : `${by.name} ${version}`;
}

/** Panics of Rust name files with the crate's version, Go keeps its list of modules, AssemblyScript names its library's files. */
function sdkOf(language: string, whole: Buffer): string | undefined {
  switch (language) {
    case "rust": {
      const version = textAfter(whole, "/proxy-wasm-", "latin1");
      const found = version === undefined ? undefined : /^(\d+\.\d+\.\d+[\w.-]*)[/\\]/.exec(version)?.[1];
      return found === undefined ? undefined : `proxy-wasm-rust-sdk ${found}`;
    }
    case "go":
    case "tinygo":
      return goSdkOf(whole);
    case "assemblyscript":
      return hasUtf16(whole, SOLO_CLUE) ? "proxy-wasm-assemblyscript-sdk (proxy-runtime)" : undefined;
    case "c++":
      return whole.includes("proxy_wasm_intrinsics") ? "proxy-wasm-cpp-sdk" : undefined;
    default:
      return undefined;
  }
}

function goSdkOf(whole: Buffer): string | undefined {
  for (const owner of ["proxy-wasm", "tetratelabs", "higress-group"]) {
    const path = `github.com/${owner}/proxy-wasm-go-sdk`;
    if (!whole.includes(path)) continue;
    // "dep <path> <version> <hash>", parted by tabs.
    const version = textAfter(whole, `${path}\t`, "latin1") ?? textAfter(whole, `${path}@`, "latin1");
    const found = version === undefined ? undefined : SHORT_VERSION.exec(version)?.[0];
    return `${owner === "proxy-wasm" ? "proxy-wasm-go-sdk" : path}${found === undefined ? "" : ` ${found}`}`;
  }
  return undefined;
}

const SOLO_CLUE = "plugin_root_id";

function hasUtf16(whole: Buffer, text: string): boolean {
  return whole.includes(text, 0, "utf16le");
}

const TEXT_BYTES = 80;

/** What stands right behind the first place of `clue`. */
function textAfter(whole: Buffer, clue: string, encoding: "latin1"): string | undefined {
  const at = whole.indexOf(clue, 0, encoding);
  return at < 0 ? undefined : whole.toString(encoding, at + clue.length, at + clue.length + TEXT_BYTES);
}

/** Source: tool-conventions ProducersSection.md. A damaged section ends the list. */
function producersOf(module: WebAssembly.Module): Producer[] {
  const producers: Producer[] = [];
  for (const section of WebAssembly.Module.customSections(module, "producers")) {
    const bytes = new Uint8Array(section);
    const reader = new ByteReader(bytes, 0, bytes.length);
    const text = (): string => {
      const length = reader.u32();
      const start = reader.at;
      reader.skip(length);
      return reader.failed ? "" : Buffer.from(section, start, length).toString("latin1");
    };
    for (let fields = reader.count(); fields > 0 && !reader.failed; fields--) {
      const field = text();
      for (let values = reader.count(); values > 0 && !reader.failed && producers.length < MAX_PRODUCERS; values--) {
        const [name, version] = [text(), text()];
        if (!reader.failed) producers.push({ field, name, version });
      }
    }
  }
  return producers;
}
