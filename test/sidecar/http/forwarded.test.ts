// The expectations were read off Envoy 1.40 with the same requests and options.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dateField } from "../../../sidecar/http/date-field.ts";
import {
  finishResponseHeaders,
  forwardedOptions,
  mutateRequestHeaders,
  trustedClient,
} from "../../../sidecar/http/forwarded.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../../sidecar/http/message.ts";
import type { HttpConnectionManager } from "../../../xds/model/listener.ts";
import { MANAGER_DEFAULTS } from "../../support/h1-server.ts";

const LOCAL = "192.0.2.2";

interface Outcome {
  fields: Record<string, string>;
  isInternal: boolean;
  scheme: string;
}

function mutate(manager: Partial<HttpConnectionManager>, pairs: [string, string][], peer = "203.0.113.9"): Outcome {
  const head = new RequestHead("GET", "/", "a", "http", HeaderMap.from(pairs));
  const connection = {
    id: 1,
    remoteAddress: peer,
    remotePort: 5,
    localAddress: "10.0.0.1",
    localPort: 80,
    direct: undefined,
    source: undefined,
  };
  const options = forwardedOptions({ ...MANAGER_DEFAULTS, ...manager }, undefined, LOCAL);
  const isInternal = mutateRequestHeaders(head, connection, options);
  return { fields: Object.fromEntries(head.headers), isInternal, scheme: head.scheme };
}

const NO_ID = { generateRequestId: false };
const EDGE = { useRemoteAddress: true, ...NO_ID };
const INSIDE = [{ address: "10.0.0.0", prefixLength: 8 }];

test("mutateRequestHeaders() believes a peer that is not the edge", () => {
  const { fields, scheme } = mutate(NO_ID, [
    ["x-forwarded-for", "1.2.3.4, 5.6.7.8"],
    ["x-forwarded-proto", "https"],
    ["x-forwarded-client-cert", "c"],
    ["x-envoy-original-path", "/q"],
    ["x-envoy-decorator-operation", "d"],
    ["x-envoy-external-address", "1.2.3.4"],
    ["x-envoy-internal", "true"],
    ["x-envoy-retry-on", "5xx"],
    ["x-envoy-upstream-rq-timeout-ms", "5"],
    ["x-envoy-foo", "1"],
    ["x-request-id", "zz"],
  ]);
  assert.deepEqual(fields, {
    "x-forwarded-for": "1.2.3.4, 5.6.7.8",
    "x-forwarded-proto": "https",
    "x-envoy-original-path": "/q",
    "x-envoy-decorator-operation": "d",
    "x-envoy-external-address": "1.2.3.4",
    "x-envoy-foo": "1",
    "x-request-id": "zz",
  });
  assert.equal(scheme, "https");
});

test("mutateRequestHeaders() believes nobody at the edge", () => {
  const { fields, scheme, isInternal } = mutate(EDGE, [
    ["x-forwarded-for", "1.2.3.4, 5.6.7.8"],
    ["x-forwarded-proto", "https"],
    ["x-envoy-original-path", "/q"],
    ["x-envoy-decorator-operation", "d"],
    ["x-envoy-external-address", "1.2.3.4"],
    ["x-envoy-internal", "true"],
    ["x-envoy-force-trace", "1"],
    ["x-envoy-foo", "1"],
    ["x-forwarded-host", "h"],
  ]);
  assert.deepEqual(fields, {
    "x-forwarded-for": "1.2.3.4, 5.6.7.8,203.0.113.9",
    "x-forwarded-proto": "http",
    "x-envoy-external-address": "203.0.113.9",
    "x-envoy-foo": "1",
    "x-forwarded-host": "h",
  });
  assert.equal(scheme, "http");
  assert.equal(isInternal, false);
});

test("mutateRequestHeaders() trusts as many hops as configured", () => {
  const hops = { ...EDGE, xffNumTrustedHops: 1 };
  const trusted = mutate(hops, [
    ["x-forwarded-for", "1.2.3.4, 5.6.7.8"],
    ["x-forwarded-proto", "https"],
  ]);
  assert.equal(trusted.fields["x-envoy-external-address"], "5.6.7.8");
  assert.equal(trusted.fields["x-forwarded-proto"], "https");
  assert.equal(trusted.scheme, "https");
  assert.equal(mutate(hops, []).fields["x-envoy-external-address"], "203.0.113.9");
  assert.equal(mutate(hops, [["x-forwarded-for", "nonsense"]]).fields["x-envoy-external-address"], "203.0.113.9");
});

test("mutateRequestHeaders() appends to x-forwarded-for only where it should", () => {
  assert.equal(mutate(EDGE, [], "127.0.0.1").fields["x-forwarded-for"], LOCAL);
  assert.equal(mutate({ ...EDGE, skipXffAppend: true }, []).fields["x-forwarded-for"], undefined);
  assert.equal(mutate(NO_ID, []).fields["x-forwarded-for"], undefined);
  assert.equal(mutate(EDGE, [], "").fields["x-forwarded-for"], undefined);
  const lines = mutate(EDGE, [
    ["x-forwarded-for", "1.1.1.1"],
    ["x-forwarded-for", "2.2.2.2"],
  ]);
  assert.equal(lines.fields["x-forwarded-for"], "1.1.1.1,2.2.2.2,203.0.113.9");
});

test("mutateRequestHeaders() knows internal requests only by configuration", () => {
  assert.equal(mutate(EDGE, [], "10.1.1.1").isInternal, false);
  const inside = mutate({ ...EDGE, internalAddressCidrs: INSIDE }, [["x-envoy-retry-on", "5xx"]], "10.1.1.1");
  assert.equal(inside.isInternal, true);
  assert.deepEqual(inside.fields, {
    "x-envoy-retry-on": "5xx",
    "x-forwarded-for": "10.1.1.1",
    "x-forwarded-proto": "http",
    "x-envoy-internal": "true",
  });
  const cidrs = { ...NO_ID, internalAddressCidrs: INSIDE };
  assert.equal(mutate({ ...EDGE, ...cidrs }, [["x-forwarded-for", "10.1.1.2"]], "10.1.1.1").isInternal, false);
  assert.equal(mutate(cidrs, [["x-forwarded-for", "10.1.1.1"]]).isInternal, true);
  assert.equal(mutate(cidrs, [["x-forwarded-for", "10.1.1.1, 10.1.1.2"]]).isInternal, false);
  assert.equal(mutate(cidrs, [], "10.1.1.1").isInternal, false);
  const six = { ...EDGE, internalAddressCidrs: [{ address: "fd00::", prefixLength: 8 }] };
  assert.equal(mutate(six, [], "fd12::1").isInternal, true);
});

test("mutateRequestHeaders() makes request ids where they are missing or not believed", () => {
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
  assert.match(mutate({}, []).fields["x-request-id"] ?? "", uuid);
  assert.equal(mutate({}, [["x-request-id", "mine"]]).fields["x-request-id"], "mine");
  const edge = { useRemoteAddress: true };
  assert.match(mutate(edge, [["x-request-id", "mine"]]).fields["x-request-id"] ?? "", uuid);
  const kept = mutate({ ...edge, preserveExternalRequestId: true }, [["x-request-id", "mine"]]);
  assert.equal(kept.fields["x-request-id"], "mine");
});

test("mutateRequestHeaders() appends to via", () => {
  assert.equal(mutate({ via: "1.1 me" }, [["via", "1.0 you"]]).fields["via"], "1.0 you, 1.1 me");
});

test("trustedClient() counts hops from the end", () => {
  const connection = {
    id: 1,
    remoteAddress: "9.9.9.9",
    remotePort: 5,
    localAddress: "10.0.0.1",
    localPort: 80,
    direct: undefined,
    source: undefined,
  };
  const headers = HeaderMap.from([["x-forwarded-for", "1.1.1.1, 2.2.2.2,3.3.3.3"]]);
  const client = (useRemoteAddress: boolean, xffNumTrustedHops: number): string =>
    trustedClient(headers, connection, forwardedOptions({ ...MANAGER_DEFAULTS, useRemoteAddress, xffNumTrustedHops }));
  assert.equal(client(false, 0), "3.3.3.3");
  assert.equal(client(false, 2), "1.1.1.1");
  assert.equal(client(false, 3), "9.9.9.9");
  assert.equal(client(true, 0), "9.9.9.9");
  assert.equal(client(true, 1), "3.3.3.3");
  assert.equal(client(true, 3), "1.1.1.1");
});

test("finishResponseHeaders() sets Server, Date, Via and the request's id as configured", () => {
  const request = new RequestHead("GET", "/", "a", "http", HeaderMap.from([["x-request-id", "7"]]));
  const finish = (manager: Partial<HttpConnectionManager>, pairs: [string, string][]): Record<string, string> => {
    const head = new ResponseHead(200, "", HeaderMap.from(pairs));
    finishResponseHeaders(head, request, { ...MANAGER_DEFAULTS, ...manager });
    return Object.fromEntries(head.headers);
  };
  const plain = finish({}, [
    ["Server", "theirs"],
    ["Connection", "x"],
    ["X", "y"],
    ["Date", "then"],
  ]);
  assert.deepEqual(plain, { Server: "envoy", Date: "then" });
  assert.match(finish({}, [])["date"] ?? "", /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  assert.equal(finish({ serverHeader: "pass_through" }, [])["server"], undefined);
  assert.equal(finish({ serverHeader: "append_if_absent" }, [["server", "theirs"]])["server"], "theirs");
  assert.equal(finish({ serverHeader: "append_if_absent" }, [])["server"], "envoy");
  assert.equal(finish({ via: "1.1 me" }, [])["via"], "1.1 me");
  assert.equal(finish({ alwaysSetRequestIdInResponse: true }, [])["x-request-id"], "7");
});

test("dateField() changes with the second", () => {
  assert.equal(dateField(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  assert.equal(dateField(999), "Thu, 01 Jan 1970 00:00:00 GMT");
  assert.equal(dateField(1_000), "Thu, 01 Jan 1970 00:00:01 GMT");
});
