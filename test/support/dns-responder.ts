// A DNS server that knows a few names, over UDP (RFC 1035): A and AAAA, one question a message. For namespaces in which nothing else answers.

import { createSocket } from "node:dgram";
import { isIPv6, SocketAddress } from "node:net";

const HEADER_BYTES = 12;
const TYPES = { A: 1, AAAA: 28 };
const NAME_ERROR = 3;

/** Name → addresses. Resolves when it listens, on every address. */
export function answerNames(port: number, names: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const socket = createSocket("udp6");
  socket.on("message", (query, from) => socket.send(answer(query, names), from.port, from.address));
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, "::", resolve);
  });
}

function answer(query: Buffer, names: Readonly<Record<string, readonly string[]>>): Buffer {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const known = names[labels.join(".").toLowerCase()];
  const records = (known ?? [])
    .filter((address) => type === (isIPv6(address) ? TYPES.AAAA : TYPES.A))
    .map((address) => {
      const bytes = bytesOf(address);
      const head = Buffer.alloc(HEADER_BYTES);
      head.writeUInt16BE(0xc0_0c, 0); // the name of the question
      head.writeUInt16BE(type, 2);
      head.writeUInt16BE(1, 4);
      head.writeUInt32BE(30, 6);
      head.writeUInt16BE(bytes.length, 10);
      return Buffer.concat([head, bytes]);
    });
  const header = Buffer.from(query.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(0x81_80 | (known === undefined ? NAME_ERROR : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt32BE(0, 8);
  return Buffer.concat([header, query.subarray(HEADER_BYTES, at + 5), ...records]);
}

function bytesOf(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split(".").map(Number));
  const { address: plain } = new SocketAddress({ address, family: "ipv6" });
  const [head = "", tail = ""] = plain.split("::");
  const words = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const missing = 8 - words(head).length - words(tail).length;
  const all = [...words(head), ...Array.from({ length: missing }, () => "0"), ...words(tail)];
  return Buffer.from(all.map((word) => word.padStart(4, "0")).join(""), "hex");
}
