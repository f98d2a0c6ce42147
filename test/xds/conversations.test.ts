// Golden conversations: what the client says to a control plane, message by message, over real gRPC. One file each under
// test/fixtures/conversations/, for each rule of the protocol, quirk of a server and failure that is known.
// `UPDATE_CONVERSATIONS=1 node --test test/xds/conversations.test.ts` writes the client's lines anew; read the diff.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { parseScript, play } from "../support/conversation.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/conversations");
const isUpdate = process.env["UPDATE_CONVERSATIONS"] === "1";

suite("conversations", { concurrency: 8 }, () => {
  for (const file of readdirSync(FOLDER)
    .filter((name) => name.endsWith(".txt"))
    .toSorted()) {
    const path = join(FOLDER, file);
    const script = parseScript(readFileSync(path, "utf8"));
    test(`${script.variant}: ${script.title} (${file})`, async (t) => {
      const said = await play(t, script);
      if (isUpdate) writeFileSync(path, `# ${script.variant}: ${script.title}\n${said.join("\n")}\n`);
      else assert.deepEqual(said, script.lines);
    });
  }
});
