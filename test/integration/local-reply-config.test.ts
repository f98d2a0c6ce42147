// local_reply_config, and direct responses with a body_format: Envoy and outrigger with the same bootstrap give the same answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bootstrap, cluster, guest, listener, wasmFilter } from "../support/bootstrap-builder.ts";
import { ENVOY_MISSING, findEnvoy } from "../support/envoy-binary.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { rawAnswer } from "../support/raw-answer.ts";

const status = (op: "EQ" | "GE" | "LE", value: number) => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: "none" } } },
});
const field = (key: string, value: string, append_action = "APPEND_IF_EXISTS_OR_ADD") => ({
  header: { key, value },
  append_action,
});
const text = (format: string, more: object = {}) => ({
  text_format_source: { inline_string: format },
  ...more,
});

const ROUTES = [
  { match: { prefix: "/direct" }, direct_response: { status: 418, body: { inline_string: 'short "and"\nstout\té' } } },
  { match: { prefix: "/bytes" }, direct_response: { status: 200, body: { inline_bytes: "/wDIQQ==" } } },
  {
    match: { prefix: "/typed" },
    direct_response: { status: 200, body: { inline_string: "typed" } },
    response_headers_to_add: [field("content-type", "text/x", "OVERWRITE_IF_EXISTS_OR_ADD")],
  },
  { match: { prefix: "/redirect" }, redirect: { path_redirect: "/x" } },
  {
    match: { prefix: "/formatted" },
    direct_response: {
      status: 201,
      body: { inline_string: "%PROTOCOL%" },
      body_format: text("[%LOCAL_REPLY_BODY% %RESPONSE_CODE% %REQ(x-a)%]", { content_type: "a/b" }),
    },
  },
  {
    match: { prefix: "/json" },
    direct_response: {
      status: 201,
      body_format: { json_format: { a: "%LOCAL_REPLY_BODY%", r: "%RESPONSE_CODE%", d: "%RESPONSE_CODE_DETAILS%" } },
    },
    response_headers_to_add: [field("x-route", "%RESPONSE_CODE%")],
  },
  { match: { prefix: "/none" }, route: { cluster: "none" }, response_headers_to_add: [field("x-route", "route")] },
  {
    match: { prefix: "/down" },
    name: "down",
    route: { cluster: "down" },
    response_headers_to_add: [
      field("x-route", "%RESPONSE_CODE% %RESP(x-local)% %RESP(content-type)%"),
      field("x-local", "route", "OVERWRITE_IF_EXISTS_OR_ADD"),
    ],
    response_headers_to_remove: ["x-twice"],
  },
  { match: { prefix: "/reply" }, route: { cluster: "down" }, response_headers_to_add: [field("x-route", "route")] },
];

const FORMAT =
  "<%LOCAL_REPLY_BODY%|%RESPONSE_CODE%|%RESP(:status)%|%RESP(x-route)%|%RESP(content-type)%|%RESPONSE_FLAGS%|" +
  "%REQ(x-a)%|%REQ(x-none)%|%ROUTE_NAME%>";

const CONFIGS: Readonly<Record<string, object | undefined>> = {
  without: undefined,
  empty: {},
  text: { body_format: text(FORMAT, { content_type: "text/html; charset=UTF-8" }) },
  // Envoy's of failed connections have the error of the operating system too.
  details: { mappers: [{ filter: status("LE", 450), body_format_override: text("%RESPONSE_CODE_DETAILS%") }] },
  omitting: { body_format: text("a%REQ(x-none)%b%RESPONSE_FLAGS%", { omit_empty_values: true }) },
  json: {
    body_format: {
      json_format: {
        z: "%LOCAL_REPLY_BODY%",
        code: "%RESPONSE_CODE%",
        mixed: "x%LOCAL_REPLY_BODY%",
        in: { list: [1, true, "%PROTOCOL%", "%REQ(x-none)%"], flags: "%RESPONSE_FLAGS%" },
      },
    },
  },
  mapped: {
    body_format: text("{%LOCAL_REPLY_BODY%}"),
    mappers: [
      {
        filter: status("EQ", 404),
        body: { inline_string: "nothing 100% here" },
        headers_to_add: [field("x-map", "%RESPONSE_CODE% %RESP(x-route)%"), field("x-map", "%LOCAL_REPLY_BODY%!")],
      },
      {
        filter: {
          and_filter: {
            filters: [
              status("EQ", 503),
              { header_filter: { header: { name: "x-a", string_match: { exact: "1" } } } },
              { response_flag_filter: { flags: ["UH", "UF"] } },
            ],
          },
        },
        status_code: 599,
        body_format_override: { json_format: { b: "%LOCAL_REPLY_BODY%", c: "%RESPONSE_CODE%" }, content_type: "j/s" },
        headers_to_add: [field("x-map", "%RESPONSE_CODE% %RESP(x-route)%"), field("x-map", "2")],
      },
      { filter: status("EQ", 503), status_code: 200, headers_to_add: [field("content-type", "text/own")] },
      { filter: status("EQ", 418), body: { inline_string: "" }, body_format_override: text("%LOCAL_REPLY_BODY%") },
      { filter: { duration_filter: { comparison: { op: "GE", value: { default_value: 60_000, runtime_key: "n" } } } } },
      { filter: status("GE", 0), headers_to_add: [field("x-map", "last")] },
    ],
  },
};

const GRPC = "content-type: application/grpc\r\n";
const get = (path: string, fields = "", method = "GET") =>
  `${method} ${path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n${fields}\r\n`;

const REQUESTS = [
  ...ROUTES.map(({ match }) => get(match.prefix, "x-a: 1\r\n")),
  get("/nowhere"),
  get("/down"),
  get("/down", "", "HEAD"),
  get("/direct", GRPC),
  get("/redirect", GRPC),
  get("/none", GRPC),
  get("/nowhere", GRPC),
  ...["request-headers", "twice", "empty", "type", "grpc"].flatMap((phase) => [
    get(`/reply/${phase}`),
    get(`/reply/${phase}`, GRPC),
  ]),
  // Refused before they are requests.
  "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
  "GET / HTTP/1.1\r\nbad header\r\n\r\n",
  "GET / HTTP/1.0\r\n\r\n",
];

/** What says nothing of local replies. Reason phrases differ for some codes. */
const IGNORED = /^(?:date|server|connection|x-envoy-|content-length: 0)/;

const IGNORED_204 = /^(?:date|server|connection|x-envoy-|content-)/;

function comparable(answer: string): unknown {
  const end = answer.indexOf("\r\n\r\n");
  const [line = "", ...fields] = answer.slice(0, end).toLowerCase().split("\r\n");
  const code = line.split(" ")[1];
  // Envoy sends a formatted body with this status too.
  const body = code === "204" ? "" : answer.slice(end + 4);
  const ignored = code === "204" ? IGNORED_204 : IGNORED;
  return [code, fields.filter((each) => !ignored.test(each)).toSorted(byText), body];
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

async function answers(envoy: string | undefined): Promise<unknown[]> {
  const listeners = Object.entries(CONFIGS).map(([name, local_reply_config]) =>
    listener(name, {
      routes: ROUTES,
      filters: [wasmFilter("local", guest("local-reply"))],
      manager: local_reply_config === undefined ? {} : { local_reply_config },
    }),
  );
  const clusters = [cluster("none", []), cluster("down", [1])];
  await using proxy = await ProxyProcess.start(envoy, bootstrap({ listeners, clusters }));
  const all: unknown[] = [];
  for (const name of Object.keys(CONFIGS)) {
    const sent = REQUESTS.map(async (request) => [
      name,
      request,
      comparable(await rawAnswer(proxy.port(name), request)),
    ]);
    all.push(...(await Promise.all(sent)));
  }
  return all;
}

const envoy = findEnvoy();

test("local replies are changed as by Envoy", { skip: envoy === undefined ? ENVOY_MISSING : false }, async () => {
  const [ours, theirs] = await Promise.all([answers(undefined), answers(envoy)]);
  assert.deepEqual(ours, theirs);
});
