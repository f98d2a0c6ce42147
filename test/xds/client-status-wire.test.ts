// What the answer to a client status request leaves out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeStatusResponse } from "../../xds/client-status-wire.ts";
import type { ResourceView } from "../../xds/resource-store.ts";
import { CLUSTER_TYPE, SECRET_TYPE } from "../../xds/type-urls.ts";
import { CertificateAuthority } from "../support/certificates.ts";

function resource(typeUrl: string, name: string, text: string): ResourceView {
  const value = Buffer.from(text);
  const error = { details: "d", version: "2", at: 0, bytes: value };
  return {
    typeUrl,
    name,
    source: "ads",
    isStatic: false,
    state: "NACKED",
    version: "1",
    receivedAt: 0,
    ackedAt: 0,
    error,
    value,
  };
}

test("encodeStatusResponse() gives no secret away, and no key that stands inside a cluster", () => {
  const { key } = new CertificateAuthority().issue({ commonName: "x" });
  const resources = [
    resource(SECRET_TYPE, "secret", "hush"),
    resource(CLUSTER_TYPE, "with-key", `before ${key} after`),
    resource(CLUSTER_TYPE, "plain", "shown"),
  ];
  const status = { nodeBytes: new Uint8Array(), resources };
  const bytes = Buffer.from(encodeStatusResponse(status, { hasNodeMatchers: false, withoutContents: false }));
  const [secret, withKey, plain] = ["hush", "PRIVATE KEY", "shown"].map((text) => bytes.includes(text));
  assert.deepEqual([secret, withKey, plain], [false, false, true]);
  assert.ok(bytes.includes("with-key"), "that it is there is no secret");
});
