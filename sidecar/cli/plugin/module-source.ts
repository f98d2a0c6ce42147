// Where a module that somebody names on the command line is: a file, `oci://…` or `http(s)://…` → its bytes. As the sidecar fetches
// it, with the same limits and pull secrets, but of whatever digest, and nothing is kept on disk.

import { readFile, stat } from "node:fs/promises";
import { isLoopbackHost } from "../../code/address-guard.ts";
import { unpackModule } from "../../code/code-bytes.ts";
import { CodeCache } from "../../code/code-cache.ts";
import { fetchCode } from "../../code/code-fetch.ts";
import { type CodeSettings, codeSettings } from "../../code/code-settings.ts";
import { fetchBytes } from "../../code/http-fetch.ts";
import { OCI_SCHEME } from "../../code/image-reference.ts";
import { readPullSecrets } from "../../code/secret-sources.ts";
import { StatsTable } from "../../stats/table.ts";
import type { CliIo } from "../verb.ts";

/** The problem is one line that names what was asked for. */
export type ModuleBytes =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: string };

const TIMEOUT_MS = 60_000;
const MAX_REDIRECTS = 3;
const MIB = 1024 * 1024;

export async function readModuleAt(place: string, io: CliIo): Promise<ModuleBytes> {
  const settings = codeSettings({}, io.env);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(place)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
      return readModuleFile(place, settings.maxBytes);
    case "oci":
      return named(place, await fetchImage(place, settings, io));
    case "http":
    case "https":
      return named(place, await fetchUrl(place, settings, io));
    default:
      return refuse(`cannot fetch "${place}": its scheme is none of http:, https: and oci:`);
  }
}

function named(place: string, result: ModuleBytes): ModuleBytes {
  return result.ok ? result : refuse(`cannot fetch "${place}": ${result.problem}`);
}

async function readModuleFile(path: string, maxBytes: number): Promise<ModuleBytes> {
  try {
    const { size } = await stat(path);
    return size > maxBytes
      ? refuse(`cannot read "${path}": ${size} bytes, at most ${maxBytes / MIB} MiB are allowed`)
      : { ok: true, bytes: await readFile(path) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    return refuse(`cannot read "${path}": ${FILE_PROBLEMS[code] ?? code}`);
  }
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "reading it is not permitted",
};

async function fetchImage(place: string, settings: CodeSettings, io: CliIo): Promise<ModuleBytes> {
  const uri = OCI_SCHEME + place.slice(OCI_SCHEME.length);
  const stats = new StatsTable({ onDefine: () => undefined });
  const secrets = await readPullSecrets(settings, undefined, (from, problem) => {
    io.err(`outrigger: pull secrets of ${from} cannot be read: ${problem}\n`);
  });
  return fetchCode(
    { kind: "remote", uri, cluster: "", timeoutMs: TIMEOUT_MS, sha256: "", retries: 0, retryBaseMs: 0, retryMaxMs: 0 },
    {
      settings,
      cache: new CodeCache({ folder: "", maxBytes: 0, stats, onUnusable: () => undefined }),
      endpointsOf: () => undefined,
      secrets,
      signal: AbortSignal.any([io.stop, AbortSignal.timeout(TIMEOUT_MS)]),
      attempt: 0,
      ca: undefined,
    },
  );
}

async function fetchUrl(place: string, { maxBytes }: CodeSettings, io: CliIo): Promise<ModuleBytes> {
  if (!URL.canParse(place)) {
    return refuse("it is no URL");
  }
  const url = new URL(place);
  const fetched = await fetchBytes({
    url,
    headers: { accept: "*/*" },
    authorization: undefined,
    endpoint: undefined,
    maxBytes,
    maxRedirects: MAX_REDIRECTS,
    signal: AbortSignal.any([io.stop, AbortSignal.timeout(TIMEOUT_MS)]),
    loopbackAllowed: isLoopbackHost(url.hostname),
    ca: undefined,
  });
  if (!fetched.ok) {
    return fetched;
  }
  return fetched.status === 200
    ? unpackModule(fetched.body, "any", maxBytes)
    : refuse(`the answer has the status ${fetched.status}`);
}

function refuse(problem: string): ModuleBytes {
  return { ok: false, problem };
}
