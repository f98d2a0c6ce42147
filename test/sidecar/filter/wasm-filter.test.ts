// Plugins in the sidecar's own filter chain, without sockets: what WasmFilter makes of a stream for them.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { PluginSpec } from "../../../plugins/plugin-spec.ts";
import { FilterChain, type ChainOwner } from "../../../sidecar/filter/filter-chain.ts";
import type { FilterFactory } from "../../../sidecar/filter/filter.ts";
import { WasmFilterFactory, type WasmStream } from "../../../sidecar/filter/wasm-filter.ts";
import { HeaderMap } from "../../../sidecar/http/headers.ts";
import { RequestHead, ResponseHead } from "../../../sidecar/http/message.ts";
import type { DownstreamStream } from "../../../sidecar/http/stream.ts";
import { StreamRecord } from "../../../sidecar/stream-record.ts";
import { loaded } from "../../plugins/support/loaded.ts";
import { WatGuest } from "../../plugins/support/wat-guest.ts";

class FakeOwner implements ChainOwner, WasmStream {
  readonly facts: StreamRecord;
  readonly passed: string[] = [];
  requestPassEnded = false;
  responsePassEnded = false;
  constructor(headers: HeaderMap) {
    const head = new RequestHead("POST", "/", "a.example", "http", headers);
    const downstream = { head, connection: {} } as unknown as DownstreamStream;
    this.facts = new StreamRecord(downstream, {
      listenerName: "web",
      trafficDirection: "inbound",
      filterChainName: "",
      listenerMetadata: undefined,
      filterChainMetadata: undefined,
    });
  }
  ensureRoute(): void {}
  onPluginResumed(): void {}
  onRequestHeadersPassed(): void {
    this.passed.push(`request ${this.facts.requestHead.headers.get("content-length")}`);
  }
  onRequestDataPassed(chunk: Uint8Array): void {
    this.passed.push(Buffer.from(chunk).toString("latin1"));
  }
  onRequestTrailersPassed(): void {}
  onResponseHeadersPassed(): void {
    this.passed.push(`response ${this.facts.responseHead?.headers.get("content-length")}`);
  }
  onResponseDataPassed(chunk: Uint8Array): void {
    this.passed.push(Buffer.from(chunk).toString("latin1"));
  }
  onResponseTrailersPassed(): void {}
  onFilterReply(): void {}
  onFilterReset(): void {}
  onTooLarge(): void {}
  pauseRequestSource(): void {}
  resumeRequestSource(): void {}
  pauseResponseSource(): void {}
  resumeResponseSource(): void {}
  clearRouteCache(): void {}

  onInjected(): void {}
}

function chainOf(guest: WatGuest, changes: Partial<PluginSpec> = {}): { owner: FakeOwner; chain: FilterChain } {
  const { plugin } = loaded(guest, changes);
  const factory = new WasmFilterFactory({ name: "guest", plugin, property: () => undefined });
  const owner = new FakeOwner(HeaderMap.from([["Content-Length", "4"]]));
  const factories = [factory as unknown as FilterFactory<ChainOwner>];
  const chain = new FilterChain(factories, owner, { requestBytes: 1 << 20, responseBytes: 1 << 20 });
  return { owner, chain };
}

/** Pauses in both headers callbacks, then replaces the bodies by `body`. */
function replacingGuest(body: string): WatGuest {
  const guest = new WatGuest();
  for (const [index, message] of (["request", "response"] as const).entries()) {
    const range = "(i32.const 0) (i32.const 100)";
    const set = `(drop (call $proxy_set_buffer_bytes (i32.const ${index}) ${range} ${guest.text(body)}))`;
    guest.on(`proxy_on_${message}_headers`, "(i32.const 1)");
    guest.on(`proxy_on_${message}_body`, `${set} (i32.const 0)`);
  }
  return guest;
}

function exchange({ owner, chain }: { owner: FakeOwner; chain: FilterChain }): string[] {
  chain.request.headers(0, false);
  chain.request.data(0, Buffer.from("body"), true);
  owner.facts.responseHead = new ResponseHead(200, "OK", HeaderMap.from([["Content-Length", "4"]]));
  chain.response.headers(0, false);
  chain.response.data(0, Buffer.from("body"), true);
  chain.complete();
  chain.destroy();
  return owner.passed;
}

suite("a body that a plugin replaces while it holds the head", () => {
  test("goes without the old content-length when its size changed", () => {
    const passed = exchange(chainOf(replacingGuest("longer"), { allowOnHeadersStopIteration: true }));
    assert.deepEqual(passed, ["request undefined", "longer", "response undefined", "longer"]);
  });

  test("keeps the content-length when its size is the same", () => {
    const passed = exchange(chainOf(replacingGuest("BODY"), { allowOnHeadersStopIteration: true }));
    assert.deepEqual(passed, ["request 4", "BODY", "response 4", "BODY"]);
  });
});

test("what plugins store on one stream is bounded", () => {
  const guest = new WatGuest();
  const set = `(call $proxy_set_property (i32.const 8) (i32.const 4) (i32.const 0) (i32.const 1))`;
  guest.on(
    "proxy_on_request_headers",
    `(local $i i32) (local $ok i32)
      (loop $again
        (i32.store (i32.const 8) (i32.add (local.get $i) (i32.const 0x61616161)))
        (local.set $ok (i32.add (local.get $ok) (i32.eqz ${set})))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))
      (i32.const 0)`,
  );
  const { owner, chain } = chainOf(guest);
  chain.request.headers(0, true);
  const stored = Array.from({ length: 1_000 }, (_, i) => {
    const name = Buffer.alloc(4);
    name.writeUInt32LE(0x61616161 + i);
    return owner.facts.filterState.get(`wasm.${name.toString("latin1")}`);
  });
  assert.equal(stored.filter((object) => object !== undefined).length, 256);
  chain.destroy();
});

test("a plugin that the request did not reach sees nothing of the answer, and logs", () => {
  const guest = new WatGuest();
  for (const callback of ["proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers"]) {
    guest.on(callback, "unreachable");
  }
  guest.on("proxy_on_log", `(drop (call $proxy_log (i32.const 2) ${guest.text("logged")}))`);
  const { plugin, lines } = loaded(guest);
  const factory = new WasmFilterFactory({ name: "guest", plugin, property: () => undefined });
  const owner = new FakeOwner(HeaderMap.from([]));
  const limits = { requestBytes: 1 << 20, responseBytes: 1 << 20 };
  const chain = new FilterChain([factory as unknown as FilterFactory<ChainOwner>], owner, limits);
  owner.facts.responseHead = new ResponseHead(403, "", HeaderMap.from([]));
  chain.response.headers(0, false);
  chain.response.data(0, Buffer.from("no"), true);
  chain.complete();
  chain.destroy();
  assert.deepEqual(owner.passed, ["response undefined", "no"]);
  assert.deepEqual(lines(), ["logged"]);
});
