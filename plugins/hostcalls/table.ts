// Collects the families into the import object of one VM and wraps each function once: count it for the observer,
// renew the memory views if the guest grew its memory, check the call window. The only wrapping in the code base.
// Unknown proxy_* and wasi_* imports get stubs, so that a plugin which never calls them runs.

import { CallWindow, RestrictedCall } from "../call-window.ts";
import { Errno, Status } from "../abi/constants.ts";
import { ENV_EXTRAS } from "../plugin-module.ts";
import type { HostCallListener, RuntimeHost } from "../runtime-host.ts";
import type { Vm } from "../vm.ts";
import { bufferFunctions } from "./buffers.ts";
import { foreignFunctions } from "./foreign.ts";
import { grpcCallFunctions } from "./grpc-call.ts";
import { headerFunctions } from "./headers.ts";
import type { HostFunction, HostFunctions } from "./host-function.ts";
import { httpCallFunctions } from "./http-call.ts";
import { logFunctions } from "./log.ts";
import { metricFunctions } from "./metrics.ts";
import { propertyFunctions } from "./properties.ts";
import { sharedDataFunctions } from "./shared-data.ts";
import { sharedQueueFunctions } from "./shared-queue.ts";
import { streamControlFunctions } from "./stream-control.ts";
import { timeFunctions } from "./time.ts";
import { wasiFunctions } from "./wasi.ts";

/** All host functions of module "env", by name. */
export function envFunctions(vm: Vm): HostFunctions {
  return {
    ...logFunctions(vm),
    ...timeFunctions(vm),
    ...headerFunctions(vm),
    ...bufferFunctions(vm),
    ...propertyFunctions(vm),
    ...streamControlFunctions(vm),
    ...httpCallFunctions(vm),
    ...grpcCallFunctions(vm),
    ...sharedDataFunctions(vm),
    ...sharedQueueFunctions(vm),
    ...metricFunctions(vm),
    ...foreignFunctions(vm),
    emscripten_notify_memory_growth: () => undefined,
    pthread_equal: (a: number, b: number) => (a === b ? 1 : 0),
  };
}

/** The import object: real functions, restricted ones and stubs, exactly for what the module imports. */
export function buildImports(
  vm: Vm,
  capabilities: readonly string[] | undefined,
): Record<string, Record<string, HostFunction>> {
  const env = envFunctions(vm);
  const wasi = wasiFunctions(vm);
  const imports: Record<string, Record<string, HostFunction>> = {};
  const isRestricted = capabilities !== undefined && capabilities.length > 0;
  for (const { module, name } of vm.module.imports) {
    const isWasi = module !== "env";
    const known = isWasi ? wasi[name] : env[name];
    let run: HostFunction;
    if (known === undefined) run = unimplemented(vm, `${module}.${name}`, isWasi ? Errno.NoSys : Status.Unimplemented);
    else if (isRestricted && !ENV_EXTRAS.has(name) && !capabilities.includes(name)) {
      run = restricted(vm, name, isWasi ? Errno.NotCapable : Status.InternalFailure);
    } else run = known;
    const table = (imports[module] ??= {});
    const arity = run.length;
    if (vm.host.onHostCall !== undefined) run = traced(vm, vm.host.onHostCall, name, run);
    table[name] = wrap(vm, name, run, arity, isWasi || name === "proxy_log" || ENV_EXTRAS.has(name));
  }
  return imports;
}

/** Answers a status for a function that the host does not have. */
function unimplemented(vm: Vm, name: string, status: number): HostFunction {
  return () => {
    warnOnce(vm, name, `the plugin called ${name}, which the host does not have: answered ${status}`);
    return status;
  };
}

function restricted(vm: Vm, name: string, status: number): HostFunction {
  return () => {
    warnOnce(vm, name, `the plugin called ${name}, which its capabilities do not allow: answered ${status}`);
    return status;
  };
}

/** Once a worker and plugin, however often its VM is replaced. Bounded: names are the modules'. */
const MAX_WARNINGS = 10_000;
const warned = new WeakMap<RuntimeHost, Set<string>>();

function warnOnce(vm: Vm, name: string, message: string): void {
  let said = warned.get(vm.host);
  if (said === undefined) warned.set(vm.host, (said = new Set()));
  const { name: plugin, digest } = vm.effective.root.plugin.identity;
  const key = `${digest} ${plugin} ${name}`;
  if (said.has(key) || said.size >= MAX_WARNINGS) return;
  said.add(key);
  vm.warn(message);
}

/** For transcripts (tests, `plugin run`): decided once per VM, so it costs nothing when nobody wants it. */
function traced(vm: Vm, onHostCall: HostCallListener, name: string, run: HostFunction): HostFunction {
  const clock = vm.host.ports.clock;
  return (...args: unknown[]) => {
    const startedAt = clock.monotonicMs();
    let result: number | undefined;
    try {
      result = (run as unknown as Loose)(...args);
    } finally {
      onHostCall(vm, name, args, result, startedAt, clock.monotonicMs());
    }
    return result;
  };
}

type Loose = (...args: unknown[]) => number | undefined;
type Fixed = (
  a?: unknown,
  b?: unknown,
  c?: unknown,
  d?: unknown,
  e?: unknown,
  f?: unknown,
  g?: unknown,
  h?: unknown,
) => number | undefined;

/** Bytes moved for the guest after which its fuel is brought up to date. */
const MUCH_WORK = 16 * 1024;

function enter(vm: Vm, name: string, isAlwaysAllowed: boolean): void {
  vm.scratch.hostCalls++;
  vm.memory.ensure();
  if (vm.memory.work > MUCH_WORK) vm.payForWork();
  if (vm.window !== CallWindow.Open && !isAlwaysAllowed) {
    const when = vm.window === CallWindow.Start ? "while the module starts" : "inside the allocator";
    throw new RestrictedCall(`${name} must not be called ${when}`);
  }
}

/** Counts what a guest got wrong about its own memory. Answers the result. */
function leave(vm: Vm, result: number | undefined): number | undefined {
  if (result === Status.InvalidMemoryAccess || result === Errno.Fault) vm.hit("memory_access");
  return result;
}

/**
 * One wrapper by arity: with fixed parameters V8 calls from wasm without building an arguments array. If the arities
 * were left to a rest parameter, every host call would allocate one.
 */
function wrap(vm: Vm, name: string, run: HostFunction, arity: number, isAlwaysAllowed: boolean): HostFunction {
  const call = run as unknown as Fixed;
  switch (arity) {
    case 0:
      return () => (enter(vm, name, isAlwaysAllowed), leave(vm, call()));
    case 1:
      return (a: unknown) => (enter(vm, name, isAlwaysAllowed), leave(vm, call(a)));
    case 2:
      return (a: unknown, b: unknown) => (enter(vm, name, isAlwaysAllowed), leave(vm, call(a, b)));
    case 3:
      return (a: unknown, b: unknown, c: unknown) => (enter(vm, name, isAlwaysAllowed), leave(vm, call(a, b, c)));
    case 4:
      return (a: unknown, b: unknown, c: unknown, d: unknown) => (
        enter(vm, name, isAlwaysAllowed),
        leave(vm, call(a, b, c, d))
      );
    case 5:
      return (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown) => (
        enter(vm, name, isAlwaysAllowed),
        leave(vm, call(a, b, c, d, e))
      );
    case 8:
      return (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown, g: unknown, h: unknown) => (
        enter(vm, name, isAlwaysAllowed),
        leave(vm, call(a, b, c, d, e, f, g, h))
      );
    default:
      return (...args: unknown[]) => {
        enter(vm, name, isAlwaysAllowed);
        return leave(vm, (run as unknown as Loose)(...args));
      };
  }
}
