// What a plugin sees of real heads, and what its writing makes of them on the wire.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { HeaderAccess } from "../../../plugins/ports.ts";
import { RequestHeaderView, ResponseHeaderView, TrailerView } from "../../../sidecar/filter/header-view.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../../sidecar/http/message.ts";

function entries(view: HeaderAccess): string[] {
  return Array.from({ length: view.size }, (_, i) => `${view.nameAt(i)}=${view.valueAt(i)}`);
}

function response(...pairs: [string, string][]): ResponseHead {
  const head = new ResponseHead(200, "OK");
  pairs.forEach(([name, value]) => head.headers.add(name, value));
  return head;
}

suite("ResponseHeaderView", () => {
  test("shows names in lower case and sends them as they were written", () => {
    const head = response(["Date", "now"]);
    const view = new ResponseHeaderView(head);
    view.add("X-Go-Wasm", "APISIX");
    assert.deepEqual(entries(view), [":status=200", "date=now", "x-go-wasm=APISIX"]);
    assert.equal(view.get("x-go-wasm"), "APISIX");
    assert.equal(head.headers.write(), "Date: now\r\nX-Go-Wasm: APISIX\r\n");
  });

  test("replace() keeps the first field's place under the new spelling and removes the others", () => {
    const head = response(["server", "a"], ["Date", "now"], ["Server", "b"], ["SERVER", "c"]);
    new ResponseHeaderView(head).replace("Server", "plugin");
    assert.equal(head.headers.write(), "Server: plugin\r\nDate: now\r\n");
  });

  test("replaceAll() takes the status from the pairs and the spelling of the rest", () => {
    const head = response(["Date", "now"]);
    new ResponseHeaderView(head).replaceAll([":status", "404", "X-A", "1", "x-a", "2"]);
    assert.equal(head.status, 404);
    assert.equal(head.headers.write(), "X-A: 1\r\nx-a: 2\r\n");
  });

  test("a status that is none changes nothing", () => {
    const head = response();
    const view = new ResponseHeaderView(head);
    for (const value of ["", "abc", "99", "600", "2e2x", "100"]) {
      view.replace(":status", value);
    }
    assert.equal(head.status, 200);
  });
});

suite("RequestHeaderView", () => {
  function request(): RequestHead {
    const headers = HeaderMap.from([
      ["Host", "a.example"],
      ["Accept", "*/*"],
    ]);
    return new RequestHead("GET", "/", "a.example", "http", headers);
  }

  test("has pseudo-headers first and no Host", () => {
    const view = new RequestHeaderView(request());
    assert.deepEqual(entries(view), [":authority=a.example", ":path=/", ":method=GET", ":scheme=http", "accept=*/*"]);
  });

  for (const name of ["host", "Host", "HOST", ":authority", ":Authority"]) {
    test(`writing ${name} changes the authority and the one Host line`, () => {
      for (const write of ["add", "replace"] as const) {
        const head = request();
        new RequestHeaderView(head)[write](name, "b.example");
        assert.equal(head.authority, "b.example");
        assert.equal(head.headers.write(), "Host: b.example\r\nAccept: */*\r\n");
      }
    });
  }

  test("remove() leaves pseudo-headers and Host, in any spelling", () => {
    const head = request();
    const view = new RequestHeaderView(head);
    [":path", ":authority", "host", "Host"].forEach((name) => view.remove(name));
    view.remove("accept");
    assert.deepEqual([head.path, head.headers.write()], ["/", "Host: a.example\r\n"]);
  });

  test("replaceAll() keeps a Host, takes the pseudo-headers and the spelling of the rest", () => {
    const head = request();
    new RequestHeaderView(head).replaceAll([":path", "/new", ":method", "PUT", "X-Only", "1"]);
    assert.deepEqual(
      [head.path, head.method, head.headers.write()],
      ["/new", "PUT", "Host: a.example\r\nX-Only: 1\r\n"],
    );
  });
});

test("TrailerView has no pseudo-headers and keeps the plugin's spelling", () => {
  const trailers = HeaderMap.from([["Grpc-Status", "0"]]);
  const view = new TrailerView(trailers);
  view.add(":status", "200");
  view.replace("grpc-Status", "13");
  view.add("X-Sum", "1");
  assert.deepEqual(entries(view), ["grpc-status=13", "x-sum=1"]);
  assert.equal(trailers.write(), "grpc-Status: 13\r\nX-Sum: 1\r\n");
});
