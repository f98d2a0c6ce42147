// What all VMs of one worker share, as vm.ts and the host functions see it. plugin-runtime.ts implements it.

import type { HookObserver } from "./observer.ts";
import type { RuntimePorts } from "./ports.ts";
import type { RootContext } from "./contexts.ts";
import type { PropertyPath } from "./property-path.ts";
import type { SharedStore } from "./shared-store.ts";
import type { Vm } from "./vm.ts";

/** Kinds of calls, as Envoy numbers them in their tokens. */
export const CallKind = { Http: 0, Grpc: 1, GrpcStream: 2 } as const;
export type CallKind = (typeof CallKind)[keyof typeof CallKind];
/** A token modulo this is its kind. */
export const CALL_KINDS = 4;

/**
 * Sees every host call of every VM after it was done: raw arguments (i64 as bigint), the result (undefined when there is
 * none, or when the call ended the guest), and Clock.monotonicMs() before and after.
 */
export type HostCallListener = (
  vm: Vm,
  name: string,
  args: readonly unknown[],
  result: number | undefined,
  startedAt: number,
  endedAt: number,
) => void;

export interface RuntimeHost {
  readonly ports: RuntimePorts;
  /** Undefined while nobody watches. */
  observer: HookObserver | undefined;
  /** Set before a VM is created, or it is not heard by it. */
  readonly onHostCall: HostCallListener | undefined;
  readonly shared: SharedStore;
  /** Plugins are only tried out here. */
  readonly isTrial: boolean;
  /** Instances made so far, those for trying a plugin out included. */
  vmsCreated: number;
  /** A call token that no call under way has; never 0. Its lowest two bits tell the kind. */
  nextCallToken(kind: CallKind): number;
  /** Interns a property path as the guest sent it. */
  propertyPath(path: string): PropertyPath;
  /** Makes the root context the one that proxy_on_queue_ready goes to; answers its number for the shared store. */
  listenToQueues(root: RootContext): number;
  /** Tells the registrant of a queue, wherever it runs, that there is something in it. */
  ringQueue(token: number): void;
}
