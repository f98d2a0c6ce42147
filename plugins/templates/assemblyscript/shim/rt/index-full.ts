// The SDK was written for AssemblyScript 0.14; today's runtime names these two __pin and __unpin.
export function __retain(ptr: usize): usize { return __pin(ptr); }
export function __release(ptr: usize): void { __unpin(ptr); }
