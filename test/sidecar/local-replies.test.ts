// Bodies of local replies where they meet limits and files; what Envoy does with the rest is in integration/local-reply-config.test.ts.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { answerData } from "../../sidecar/answer-data.ts";
import { ResponseHead } from "../../sidecar/http/message.ts";
import { type AnsweredFacts, compileLocalReplies } from "../../sidecar/local-replies.ts";
import type { DataSource } from "../../xds/model/plugin-config.ts";
import type { LocalReplyConfig } from "../../xds/model/local-reply.ts";
import { buildFacts, buildRequest } from "./telemetry/facts.ts";

const EVERY = { kind: "status_code", op: "GE", value: 0 } as const;

function compile(config: LocalReplyConfig, readData: (source: DataSource) => Uint8Array | undefined = () => undefined) {
  let count = 0;
  const tooLarge = { inc: () => void count++, add: (amount: number) => void (count += amount), value: 0 };
  const format = { hostname: "", environment: {} };
  const replies = compileLocalReplies(config, { format, runtime: {}, random: () => 0, readData, tooLarge });
  return { replies, tooLarge: () => count };
}

function facts(fields: Readonly<Record<string, string>>): AnsweredFacts {
  return { ...buildFacts({ requestHead: buildRequest(fields) }), localReplyBody: undefined };
}

function mapper(more: object): LocalReplyConfig["mappers"][number] {
  return { filter: EVERY, statusCode: undefined, body: undefined, bodyFormat: undefined, headersToAdd: [], ...more };
}

test("a body that a client's fields make larger than a mebibyte stays as it is, and is counted", () => {
  const format = { kind: "text", text: "%REQ(x-a)%".repeat(20), omitEmptyValues: false } as const;
  const { replies, tooLarge } = compile({ mappers: [], bodyFormat: { format, contentType: "text/html" } });
  assert.ok(typeof replies !== "string");
  const head = new ResponseHead(503, "");
  const body = replies.rewrite(head, Buffer.from("plain"), facts({ "x-a": "a".repeat(60_000) }));
  assert.equal(Buffer.from(body).toString(), "plain");
  assert.equal(tooLarge(), 1);
  replies.rewrite(head, Buffer.from("plain"), facts({ "x-a": "a" }));
  assert.equal(tooLarge(), 1);
});

test("a body comes from a file or a variable, and without it there is a problem", () => {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-reply-"));
  try {
    const path = join(folder, "body");
    writeFileSync(path, "from file");
    for (const [source, expected] of [
      [{ kind: "file", path }, "from file"],
      [{ kind: "environment", variable: "BODY" }, "from variable"],
    ] as const) {
      const { replies } = compile({ mappers: [mapper({ body: source })], bodyFormat: undefined }, (data) =>
        answerData(data, { BODY: "from variable" }),
      );
      assert.ok(typeof replies !== "string");
      const body = replies.rewrite(new ResponseHead(404, ""), new Uint8Array(0), facts({}));
      assert.equal(Buffer.from(body).toString(), expected);
    }
    for (const source of [
      { kind: "file", path: folder },
      { kind: "file", path: "/dev/zero" },
    ] as const) {
      assert.equal(answerData(source, {}), undefined);
      const { replies } = compile({ mappers: [mapper({ body: source })], bodyFormat: undefined });
      assert.equal(replies, "local_reply_config: cannot read the body of a local reply from file");
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
