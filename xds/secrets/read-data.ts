// Reads what a DataSource stands for: bytes that are inline, in a file, or in the environment. Synchronous: certificates and
// tokens are a few kilobytes, and are read when a secret comes, a file changes or a connection is opened, never for a request.

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { readProblem } from "../decode/file-problem.ts";
import type { DataSource } from "../model/plugin-config.ts";

/** Far above any bundle of authorities (the system's own is 300 KiB), far below what would hurt. */
const MAX_BYTES = 4 * 1024 * 1024;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Bytes, or why there are none: the latter for people. Empty data is a problem, as in Envoy. */
export type ReadData = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly problem: string };

/** What people call the source: the file's path, `<inline>`, or the variable. */
export function describeData(source: DataSource): string {
  if (source.kind === "file") return source.path;
  return source.kind === "bytes" ? "<inline>" : `$${source.variable}`;
}

export function readData(source: DataSource, environment: Environment): ReadData {
  const read = readAny(source, environment);
  return read.ok && read.bytes.length === 0 ? { ok: false, problem: `${describeData(source)} is empty` } : read;
}

function readAny(source: DataSource, environment: Environment): ReadData {
  switch (source.kind) {
    case "bytes":
      if (source.bytes.length > MAX_BYTES) return { ok: false, problem: `<inline> has more than ${MAX_BYTES} bytes` };
      return { ok: true, bytes: Buffer.from(source.bytes) };
    case "environment": {
      const text = environment[source.variable];
      if (text === undefined) return { ok: false, problem: `the environment has no ${source.variable}` };
      return { ok: true, bytes: Buffer.from(text) };
    }
    case "file":
      return readFile(source.path);
  }
}

function readFile(path: string): ReadData {
  try {
    // To open a pipe without this is to wait for its writer.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) return { ok: false, problem: `${path} is no file` };
      if (stats.size > MAX_BYTES) return { ok: false, problem: `${path} is larger than ${MAX_BYTES} bytes` };
      return { ok: true, bytes: readFileSync(file) };
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return { ok: false, problem: `${path} ${readProblem(error)}` };
  }
}
