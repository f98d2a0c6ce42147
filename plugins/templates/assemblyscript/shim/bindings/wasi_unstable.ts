// The SDK imports proc_exit from a standard-library file that no longer exists.
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "proc_exit")
export declare function proc_exit(code: u32): void;
