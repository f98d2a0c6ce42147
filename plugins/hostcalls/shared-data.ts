// Key-value data shared by all plugins with the same vm_id, on all workers (shared-store.ts). ABI section
// "Shared key-value store".

import { Status } from "../abi/constants.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { Work } from "./work.ts";

export function sharedDataFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const store = vm.host.shared;
  return {
    /** Gives the value and writes its compare-and-swap number, u32. NotFound: never set. */
    proxy_get_shared_data(key: number, keyLength: number, valueOut: number, sizeOut: number, casOut: number): number {
      const name = memory.latin1(key >>> 0, keyLength >>> 0);
      if (name === undefined || !memory.contains(casOut >>> 0, 4)) return Status.InvalidMemoryAccess;
      memory.work += Work.ReadShared;
      const found = store.get(vm.effective.root.plugin.identity.vmId, name);
      if (found === undefined) return Status.NotFound;
      const status = vm.returnBytes(found.value, valueOut >>> 0, sizeOut >>> 0);
      if (status === Status.Ok) memory.putU32(casOut >>> 0, found.cas);
      return status;
    },

    /** cas 0 writes always. CasMismatch: somebody wrote meanwhile. InternalFailure: the shared memory is full. */
    proxy_set_shared_data(key: number, keyLength: number, value: number, valueLength: number, cas: number): number {
      const name = memory.latin1(key >>> 0, keyLength >>> 0);
      const bytes = memory.copy(value >>> 0, valueLength >>> 0);
      if (name === undefined || bytes === undefined) return Status.InvalidMemoryAccess;
      memory.work += Work.WriteShared;
      const outcome = store.set(vm.effective.root.plugin.identity.vmId, name, bytes, cas >>> 0);
      if (outcome === "ok") return Status.Ok;
      if (outcome === "mismatch") return Status.CasMismatch;
      vm.hit("shared_data");
      vm.warn("proxy_set_shared_data: the shared memory of all plugins is full");
      return Status.InternalFailure;
    },
  };
}
