// One request in bytes, one answer in bytes: read up to its length, because a proxy may take its time to close.

import { RawClient } from "./raw-client.ts";

/** The answer as latin1. It has a Content-Length, or no body at all. */
export async function rawAnswer(port: number, request: string): Promise<string> {
  const client = await RawClient.connect(port);
  try {
    client.send(request);
    return await client.receive((received) => isComplete(received, request.startsWith("HEAD ")));
  } finally {
    client.destroy();
  }
}

function isComplete(received: string, toHead: boolean): boolean {
  const end = received.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, end))?.[1];
  return end >= 0 && received.length >= end + 4 + (toHead ? 0 : Number(length ?? 0));
}
