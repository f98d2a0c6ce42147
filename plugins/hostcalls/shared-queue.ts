// Queues between plugins, named by (vm_id, name), process-wide (shared-store.ts). Each message is announced to the
// latest registrant by proxy_on_queue_ready, on its own worker (queue-bell.ts). ABI section "Shared queues".

import { Status } from "../abi/constants.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { Work } from "./work.ts";

export function sharedQueueFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const store = vm.host.shared;
  return {
    /** Creates or takes over a queue and writes its token, u32. */
    proxy_register_shared_queue(name: number, nameLength: number, tokenOut: number): number {
      const text = memory.latin1(name >>> 0, nameLength >>> 0);
      if (text === undefined || !memory.contains(tokenOut >>> 0, 4)) return Status.InvalidMemoryAccess;
      memory.work += Work.RegisterQueue;
      const root = vm.effective.root;
      const { vmId } = root.plugin.identity;
      const known = vm.host.isTrial ? store.resolveQueue(vmId, text) : 0;
      const listener = { runtime: store.runtime, root: known === 0 ? vm.host.listenToQueues(root) : 0 };
      const token = known === 0 ? store.registerQueue(vmId, text, listener) : known;
      if (token === 0) {
        vm.hit("shared_queue");
        return Status.InternalFailure;
      }
      memory.putU32(tokenOut >>> 0, token);
      return Status.Ok;
    },

    /** Writes the token of a queue of any vm_id (empty: the plugin's own). NotFound: nobody registered it. */
    proxy_resolve_shared_queue(
      vmId: number,
      vmIdLength: number,
      name: number,
      nameLength: number,
      tokenOut: number,
    ): number {
      const space = memory.latin1(vmId >>> 0, vmIdLength >>> 0);
      const text = memory.latin1(name >>> 0, nameLength >>> 0);
      if (space === undefined || text === undefined) return Status.InvalidMemoryAccess;
      memory.work += Work.ReadShared;
      const token = store.resolveQueue(space === "" ? vm.effective.root.plugin.identity.vmId : space, text);
      if (token === 0) return Status.NotFound;
      return memory.putU32(tokenOut >>> 0, token) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    /** Appends a message. NotFound: unknown token. InternalFailure: the shared memory is full. */
    proxy_enqueue_shared_queue(token: number, data: number, length: number): number {
      const bytes = memory.copy(data >>> 0, length >>> 0);
      if (bytes === undefined) return Status.InvalidMemoryAccess;
      memory.work += Work.Enqueue;
      const outcome = store.enqueue(token >>> 0, bytes);
      if (outcome === "unknown") return Status.NotFound;
      if (outcome === "full") {
        vm.hit("shared_queue");
        return Status.InternalFailure;
      }
      vm.host.ringQueue(token >>> 0);
      return Status.Ok;
    },

    /** Takes the oldest message. Empty: there is none. NotFound: unknown token. */
    proxy_dequeue_shared_queue(token: number, dataOut: number, sizeOut: number): number {
      const message = store.dequeue(token >>> 0);
      if (message === "unknown") return Status.NotFound;
      if (message === "empty") return Status.Empty;
      return vm.returnBytes(message, dataOut >>> 0, sizeOut >>> 0);
    },
  };
}
