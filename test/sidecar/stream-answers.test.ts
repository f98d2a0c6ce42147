// Replies of filters as messages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { replyMessage } from "../../sidecar/stream-answers.ts";
import { buildRequest } from "../support/recording-waiter.ts";

test("replyMessage() takes the length from the body, whatever the filter's headers say, and the rest as it is", () => {
  for (const name of ["content-length", "Content-Length"]) {
    const reply = {
      status: 200,
      details: "",
      body: Buffer.from("hello"),
      headers: [
        [name, "99"],
        ["Content-Type", "text/html"],
        ["x-a", "1"],
        ["x-a", "2"],
      ] as [string, string][],
      grpcStatus: -1,
      flag: "",
    };
    const { headers } = replyMessage(reply, buildRequest("GET")).head;
    const fields = Array.from({ length: headers.size }, (_, i) => `${headers.nameAt(i)}: ${headers.valueAt(i)}`);
    assert.deepEqual(fields, ["Content-Type: text/html", "x-a: 1", "x-a: 2", "content-length: 5"]);
  }
});
