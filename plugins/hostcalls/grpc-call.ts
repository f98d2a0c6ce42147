// gRPC calls of plugins. Not there yet: a call is answered as one that could not be sent, with the statuses that the
// SDKs take without trapping (the Rust SDK knows Ok, ParseFailure and InternalFailure here), and said once in the log.
// ABI section "gRPC calls".

import { Status } from "../abi/constants.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";

export function grpcCallFunctions(vm: Vm): HostFunctions {
  let isReported = false;
  const refuse = (name: string): number => {
    if (!isReported) vm.warn(`${name}: gRPC calls are not supported: answered InternalFailure`);
    isReported = true;
    return Status.InternalFailure;
  };
  return {
    proxy_grpc_call: () => refuse("proxy_grpc_call"),
    proxy_grpc_stream: () => refuse("proxy_grpc_stream"),
    /** There is no such token, as none was ever given. */
    proxy_grpc_send: () => Status.NotFound,
    proxy_grpc_close: () => Status.NotFound,
    proxy_grpc_cancel: () => Status.NotFound,
  };
}
