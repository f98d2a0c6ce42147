// Certificate, key and client CA of a server, from files, read again when they change. A pair that does not fit, or a
// file that cannot be read, is reported and the last good ones stay: a rotation that is half done must not end service.

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { createSecureContext } from "node:tls";
import { readProblem } from "../decode/file-problem.ts";
import type { Clock } from "../clock.ts";
import { watchFile } from "../file-watch.ts";

/** Paths of PEM files. */
export type TlsFiles = Readonly<{
  certificate: string;
  key: string;
  /** When given, a client must show a certificate that one of these signed. */
  clientCa?: string;
}>;

export type TlsMaterial = Readonly<{ certificate: Buffer; key: Buffer; clientCa: Buffer | undefined }>;

/** Certificate and key are two files: a rotation writes one after the other. */
const QUIET_MS = 500;

/** What the files hold, or why it cannot be used. Never throws. */
export function readTlsFiles(files: TlsFiles): TlsMaterial | string {
  const { certificate, key, clientCa } = files;
  let path = certificate;
  try {
    const cert = readFileSync(certificate);
    path = key;
    const privateKey = readFileSync(key);
    path = clientCa ?? "";
    const ca = clientCa === undefined ? undefined : readFileSync(clientCa);
    path = "";
    createSecureContext({ cert, key: privateKey, ...(ca === undefined ? {} : { ca }) });
    return { certificate: cert, key: privateKey, clientCa: ca };
  } catch (error) {
    if (path !== "") return `${path}: ${readProblem(error)}`;
    return `${certificate}, ${key}${clientCa === undefined ? "" : `, ${clientCa}`}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Calls `onMaterial` after each good change, until the returned function is called. */
export function watchTlsFiles(
  files: TlsFiles,
  clock: Clock,
  onMaterial: (material: TlsMaterial) => void,
  onProblem: (problem: string) => void,
): () => void {
  const paths = [files.certificate, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])];
  let last = "";
  const onChange = () => {
    const material = readTlsFiles(files);
    if (typeof material === "string") {
      if (material !== last) onProblem(material);
      last = material;
    } else {
      last = "";
      onMaterial(material);
    }
  };
  const stops = [...new Set(paths.map((path) => dirname(path)))].map((directory) =>
    watchFile({ path: files.certificate, directory, quietMs: QUIET_MS, clock, onChange }),
  );
  return () => {
    for (const stop of stops) stop();
  };
}
