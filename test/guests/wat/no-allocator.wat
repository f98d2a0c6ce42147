;; A plugin without malloc or proxy_on_memory_allocate: hosts cannot hand it anything.
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1")))
