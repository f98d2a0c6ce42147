;; The smallest plugin: marker, memory, allocator, no callback at all. Everything passes.
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024)))
