// The plugin that does nothing, which `plugin bench` compares with: it exports every callback of a stream, and each returns at once.
// empty-plugin.test.ts assembles the text and compares.

export const EMPTY_PLUGIN_TEXT = `(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))`;

/** The module of that text. */
export const EMPTY_PLUGIN = Buffer.from(
  "AGFzbQEAAAABHwZgAABgAX8Bf2ACf38AYAN/f38Bf2ACf38Bf2ABfwADDQwAAQIDAwQDAwQFAQUFAwEAAQeZAg0GbWVtb3J5AgAXcHJveHlfYWJpX3Zl" +
    "cnNpb25fMF8yXzEAAAZtYWxsb2MAARdwcm94eV9vbl9jb250ZXh0X2NyZWF0ZQACGHByb3h5X29uX3JlcXVlc3RfaGVhZGVycwADFXByb3h5X29uX3Jl" +
    "cXVlc3RfYm9keQAEGXByb3h5X29uX3JlcXVlc3RfdHJhaWxlcnMABRlwcm94eV9vbl9yZXNwb25zZV9oZWFkZXJzAAYWcHJveHlfb25fcmVzcG9uc2Vf" +
    "Ym9keQAHGnByb3h5X29uX3Jlc3BvbnNlX3RyYWlsZXJzAAgMcHJveHlfb25fbG9nAAkNcHJveHlfb25fZG9uZQAKD3Byb3h5X29uX2RlbGV0ZQALCjYM" +
    "AgALBQBBgAgLAgALBABBAAsEAEEACwQAQQALBABBAAsEAEEACwQAQQALAgALBABBAQsCAAs=",
  "base64",
);
