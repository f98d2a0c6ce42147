// What a host function is. Each family file exports one function that makes its host functions for one VM:
// named as the guest imports them, taking raw i32 values (signed; i64 arrives as bigint), answering a status.
//
// Conventions of all families: pointers and lengths are made unsigned with `>>> 0` at the top; everything the guest
// passes is read before anything is allocated in it; nothing throws except to end the guest.

import type { Vm } from "../vm.ts";

export type HostFunction = (...args: never[]) => number | undefined;
export type HostFunctions = Readonly<Record<string, HostFunction>>;
/** Makes the functions of a family for one VM. Closures are made once per VM, never per call. */
export type HostFunctionFamily = (vm: Vm) => HostFunctions;
