// Names of functions, as toolchains write them, and the callbacks that they are.

import assert from "node:assert/strict";
import { test } from "node:test";
import { goFunctions } from "../../../plugins/inspection/go-functions.ts";
import { readMemoryImage } from "../../../plugins/inspection/memory-image.ts";
import { ownCallbacks } from "../../../plugins/inspection/own-callbacks.ts";
import { exampleBytes } from "../support/specs.ts";

const CASES: readonly (readonly [language: string, name: string, callback: string | undefined])[] = [
  ["go", "main.(*httpContext).OnHttpRequestHeaders", "proxy_on_request_headers"],
  ["go", "main.(*plugin).OnPluginStart", "proxy_on_configure"],
  ["go", "main.(*vm).OnVMStart", "proxy_on_vm_start"],
  ["go", "example.com/x/filter.(*ctx).OnHttpStreamDone", "proxy_on_log"],
  ["go", "main.(*tcp).OnDownstreamClose", "proxy_on_downstream_connection_close"],
  ["go", "github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types.(*DefaultHttpContext).OnHttpRequestBody", undefined],
  ["go", "main.parse", undefined],
  [
    "rust",
    "_ZN66_$LT$plugin..Stream$u20$as$u20$proxy_wasm..traits..HttpContext$GT$24on_http_response_headers17h5265358ac4652a92E",
    "proxy_on_response_headers",
  ],
  [
    "rust",
    "_RNvXs0_Csabc_6pluginNtB5_6StreamNtNtCsxyz_10proxy_wasm6traits11HttpContext20on_http_request_body",
    "proxy_on_request_body",
  ],
  ["rust", "<plugin::Root as proxy_wasm::traits::RootContext>::on_tick", "proxy_on_tick"],
  ["rust", "_ZN10proxy_wasm6traits11HttpContext20on_http_request_body17h12115166e3869f29E", undefined],
  ["c++", "MyContext::onResponseTrailers(unsigned int)", "proxy_on_response_trailers"],
  ["c++", "MyRoot::onStart(unsigned long)", "proxy_on_vm_start"],
  ["c++", "RootContext::onConfigure(unsigned long)", undefined],
  ["assemblyscript", "assembly/index/Stream#onResponseHeaders", "proxy_on_response_headers"],
  ["assemblyscript", "~lib/@solo-io/proxy-runtime/assembly/runtime/Context#onRequestHeaders", undefined],
  ["unknown", "main.(*httpContext).OnHttpRequestHeaders", undefined],
];

for (const [language, name, callback] of CASES) {
  test(`ownCallbacks() takes ${name} of ${language} for ${callback ?? "nobody's"}`, () => {
    assert.deepEqual([...ownCallbacks(language, [name])], callback === undefined ? [] : [callback]);
  });
}

test("goFunctions() never throws, whatever is changed or cut", () => {
  const image = readMemoryImage(exampleBytes("go")) ?? assert.fail("no memory");
  const known = goFunctions(image);
  assert.ok(known.length > 1_000);
  const at = image.indexOf(Buffer.from("f1ffffff00000108", "hex"));
  for (let i = 0; i < 72; i++) {
    const changed = Buffer.from(image);
    changed[at + i] = 0xf7;
    assert.ok(goFunctions(changed).length <= known.length);
  }
  for (let length = at; length < image.length; length += 100_003)
    assert.ok(goFunctions(image.subarray(0, length)).length >= 0);
});
