;; malloc always answers 0, so every call that returns bytes fails with InvalidMemoryAccess (6).
;; Response header x-status: the status of reading :status, as one digit.
(module
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "x-status:status")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 8)
      (i32.add (i32.const 48) (call $get (i32.const 2) (i32.const 24) (i32.const 7) (i32.const 0) (i32.const 4))))
    (drop (call $replace (i32.const 2) (i32.const 16) (i32.const 8) (i32.const 8) (i32.const 1)))
    (i32.const 0)))
