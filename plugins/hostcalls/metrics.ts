// Counters, gauges and histograms that plugins define, kept by the embedder's MetricSink. ABI section "Metrics".
// The i64 parameters arrive as bigint; values beyond 2^53 lose their lowest digits.

import { MetricType, Status } from "../abi/constants.ts";
import type { Vm } from "../vm.ts";
import type { HostFunctions } from "./host-function.ts";
import { Work } from "./work.ts";

export function metricFunctions(vm: Vm): HostFunctions {
  const memory = vm.memory;
  const sink = vm.host.ports.metrics;
  return {
    /** Writes the id, u32; the same type and name give the same series. BadArgument: unknown type, or no room. */
    proxy_define_metric(type: number, name: number, nameLength: number, idOut: number): number {
      if (type >>> 0 > MetricType.Histogram) return Status.BadArgument;
      const text = memory.utf8(name >>> 0, nameLength >>> 0);
      if (text === undefined || !memory.contains(idOut >>> 0, 4)) return Status.InvalidMemoryAccess;
      const id = sink.define(vm.effective.root.plugin.identity, type as 0 | 1 | 2, text);
      memory.work += Work.DefineMetric;
      if (id === undefined) {
        vm.hit("metrics");
        return Status.BadArgument;
      }
      memory.putU32(idOut >>> 0, id);
      return Status.Ok;
    },

    /** Counter: the offset must be positive. Gauge: any sign. BadArgument otherwise; NotFound: unknown id. */
    proxy_increment_metric(id: number, offset: bigint): number {
      const type = sink.typeOf(id >>> 0);
      if (type === undefined) return Status.NotFound;
      const value = Number(offset);
      if (type === MetricType.Histogram || (type === MetricType.Counter && value <= 0)) return Status.BadArgument;
      sink.add(id >>> 0, value);
      return Status.Ok;
    },

    /** Counter: adds. Gauge: sets. Histogram: one sample. */
    proxy_record_metric(id: number, value: bigint): number {
      const type = sink.typeOf(id >>> 0);
      if (type === undefined) return Status.NotFound;
      const amount = Number(BigInt.asUintN(64, BigInt(value)));
      if (type === MetricType.Counter) sink.add(id >>> 0, amount);
      else if (type === MetricType.Gauge) sink.set(id >>> 0, amount);
      else sink.record(id >>> 0, amount);
      return Status.Ok;
    },

    /** Writes the value, u64. BadArgument for a histogram. */
    proxy_get_metric(id: number, valueOut: number): number {
      const type = sink.typeOf(id >>> 0);
      if (type === undefined) return Status.NotFound;
      if (type === MetricType.Histogram) return Status.BadArgument;
      const value = sink.get(id >>> 0);
      const high = Math.floor(value / 2 ** 32);
      return memory.putU64(valueOut >>> 0, value - high * 2 ** 32, high) ? Status.Ok : Status.InvalidMemoryAccess;
    },
  };
}
