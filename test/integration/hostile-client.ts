// Plays a hostile case on a connection of its own and says what came of it. Used by hostile-peers.test.ts.

import { RawClient } from "../support/raw-client.ts";
import type { RecordedRequest, RecordingOrigin } from "../support/recording-origin.ts";
import type { HostileCase } from "./hostile-requests.ts";

/** `word` is put in for `~`. The verdict has `~` in its place again. */
export async function play(hostile: HostileCase, port: number, origin: RecordingOrigin, word: string): Promise<string> {
  const client = await RawClient.connect(port);
  const end = `/${word}/end`;
  client.send(hostile.send.replaceAll("~", word));
  if (hostile.last !== true) {
    client.send(`GET ${end} HTTP/1.1\r\nHost: h\r\n\r\n`);
  }
  const text = await client.receiveUntilEndOr(`GET ${end}`);
  const isKept = !client.hasEnded;
  client.destroy();
  const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => match[1]);
  const seen = origin.requests.filter((request) => request.raw.includes(word) && request.target !== end);
  const broken = origin.garbage
    .filter((bytes) => bytes.includes(word))
    .map((bytes) => `BROKEN ${JSON.stringify(bytes)}`);
  const views = [...seen.map((request) => view(request, hostile.shows ?? [])), ...broken];
  return `${statuses.join(" ")} ${isKept ? "kept" : "closed"} | ${views.join("; ")}`.replaceAll(word, "~").trim();
}

function view(request: RecordedRequest, shows: readonly string[]): string {
  const fields = request.fields.filter(([name]) => shows.includes(name)).map(([name, value]) => ` ${name}=${value}`);
  const body = request.body === "" ? "" : ` "${request.body}"`;
  const trailers = request.trailers.map(([name, value]) => ` +${name}: ${value}`);
  return `${request.method} ${request.target}${fields.join("")}${body}${trailers.join("")}`;
}
