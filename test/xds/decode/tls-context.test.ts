// What clusters with TLS share once they are decoded.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeResource } from "../../../xds/decode/resource.ts";
import type { SecretReference } from "../../../xds/model/tls.ts";
import { CLUSTER_TYPE } from "../../../xds/type-urls.ts";
import { one } from "../../support/xds-resources.ts";

const TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";

function reference(sni: string, name: string, seconds: number): SecretReference | undefined {
  const secret = `{ name: ${name}, sds_config: { ads: {}, initial_fetch_timeout: ${seconds}s } }`;
  const context = `common_tls_context: { tls_certificate_sds_secret_configs: [${secret}] }`;
  const socket = `{ name: tls, typed_config: { "@type": ${TYPE}, sni: ${sni}, ${context} } }`;
  const { value } = one(`{ "@type": "${CLUSTER_TYPE}", name: c, transport_socket: ${socket} }`);
  const decoded = decodeResource(CLUSTER_TYPE, value);
  assert.ok(decoded.ok && decoded.value.kind === "cluster");
  assert.equal(decoded.value.value.tls?.sni, sni);
  return decoded.value.value.tls.certificateSecrets[0];
}

test("references to the same secret are one object, others are not", () => {
  const first = reference("a", "default", 1);
  assert.ok(first !== undefined);
  assert.equal(reference("b", "default", 1), first);
  assert.notEqual(reference("a", "other", 1), first);
  assert.notEqual(reference("a", "default", 2), first);
});
