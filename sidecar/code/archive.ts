// A module's bytes out of what carried them: gzip and tar, read strictly and with bounds. Pure; called by code-bytes.ts.
// Written by hand because one regular file of one flat archive is all that is wanted: what a tar library is for (links,
// owners, sparse files, extraction to disk) is exactly what must not happen here. Source: POSIX ustar and pax.

import { promisify } from "node:util";

export type Unpacked =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: string };

const BLOCK = 512;
const MAX_ENTRIES = 4_096;
/** Longest pax record or GNU long name that is read. */
const MAX_NAME_BYTES = 4_096;

export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Whether `bytes` start with a tar header: its checksum is right. */
export function isTar(bytes: Uint8Array): boolean {
  return bytes.length >= BLOCK && hasChecksum(Buffer.from(bytes.buffer, bytes.byteOffset, BLOCK));
}

/** Decompresses to at most `maxBytes`: a bomb ends there, not in memory. */
export async function decompress(bytes: Uint8Array, maxBytes: number): Promise<Unpacked> {
  try {
    // Not before the first one: a start that fetches nothing does without 20 of Node.js's modules.
    const { gunzip } = await import("node:zlib");
    return { ok: true, bytes: await promisify(gunzip)(bytes, { maxOutputLength: maxBytes }) };
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    return refuse(isTooLarge ? `it decompresses to more than ${maxBytes} bytes` : "its gzip data is damaged");
  }
}

/** The regular file `name` in the archive's root; without a name the first regular file. The bytes are a view. */
export function readTarFile(archive: Uint8Array, name: string | undefined): Unpacked {
  const buffer = Buffer.from(archive.buffer, archive.byteOffset, archive.length);
  let found: Uint8Array | undefined;
  let longName = "";
  let offset = 0;
  for (let entries = 0; offset + BLOCK <= buffer.length; entries++) {
    const header = buffer.subarray(offset, offset + BLOCK);
    if (header.every((byte) => byte === 0)) {
      break;
    }
    if (entries >= MAX_ENTRIES) {
      return refuse(`the archive has more than ${MAX_ENTRIES} entries`);
    }
    const sizeBytes = hasChecksum(header) ? octal(header, 124, 12) : -1;
    const end = offset + BLOCK + sizeBytes;
    if (sizeBytes < 0 || end > buffer.length) {
      return refuse("the archive is damaged or cut short");
    }
    const content = buffer.subarray(offset + BLOCK, end);
    offset += BLOCK + Math.ceil(sizeBytes / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "x" || type === "L") {
      const read = type === "L" ? field(content, 0, content.length) : paxPath(content);
      if (read === undefined || content.length > MAX_NAME_BYTES) {
        return refuse("the archive has an extended header that is not understood");
      }
      longName = read === "" ? longName : read;
      continue;
    }
    if (type === "g") {
      continue;
    }
    const path = rootPath(longName === "" ? nameOf(header) : longName);
    longName = "";
    if (path === undefined) {
      return refuse("the archive has a file name that is absolute or leads out of it");
    }
    const isFile = type === "0" || type === "\0";
    if (name === undefined ? !isFile : path !== name) {
      continue;
    }
    if (!isFile) {
      return refuse(`"${path}" is no regular file in the archive`);
    }
    if (name === undefined) {
      return { ok: true, bytes: content };
    }
    if (found !== undefined) {
      return refuse(`"${path}" is in the archive twice`);
    }
    found = content;
  }
  return found === undefined ? refuse(`the archive has no file ${name ?? "in it"}`) : { ok: true, bytes: found };
}

function hasChecksum(header: Buffer): boolean {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) {
    sum += i >= 148 && i < 156 ? 0 : (header[i] as number);
  }
  return octal(header, 148, 8) === sum;
}

/** -1 for what is no octal number; sizes over 8 GiB have another form and are refused with it. */
function octal(header: Buffer, start: number, length: number): number {
  const text = header
    .toString("latin1", start, start + length)
    .replace(/[\0 ]+$/, "")
    .trimStart();
  return /^[0-7]{1,12}$/.test(text) ? Number.parseInt(text, 8) : -1;
}

function nameOf(header: Buffer): string {
  const name = field(header, 0, 100);
  const prefix = header.toString("latin1", 257, 262) === "ustar" ? field(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function field(bytes: Buffer, start: number, length: number): string {
  const text = bytes.toString("utf8", start, start + length);
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

/** Records `LENGTH key=value\n`: the path, "" when there is none, undefined when damaged or when it changes the size. */
function paxPath(content: Buffer): string | undefined {
  let path = "";
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(content.toString("latin1", at, space));
    if (!Number.isSafeInteger(length) || length <= space - at + 1 || at + length > content.length) {
      return undefined;
    }
    const record = content.toString("utf8", space + 1, at + length - 1);
    if (record.startsWith("size=") || record.startsWith("GNU.sparse")) {
      return undefined;
    }
    path = record.startsWith("path=") ? record.slice("path=".length) : path;
    at += length;
  }
  return path;
}

/** Without a leading "./"; undefined when the name leads out of the archive. */
function rootPath(name: string): string | undefined {
  const path = name.replace(/^(?:\.\/+)+/, "");
  return path.startsWith("/") || path.includes("\\") || path.split("/").includes("..") ? undefined : path;
}

function refuse(problem: string): Unpacked {
  return { ok: false, problem };
}
