// How much of the traffic each priority gets, from how many of its hosts are healthy. Pure arithmetic, run on every update.
// Source: Envoy's LoadBalancerBase (recalculatePerPriorityState, recalculatePerPriorityPanic) and its docs,
// "Priority levels", "Degraded endpoints" and "Panic threshold". All shares are whole percents and sum to 100, or are all 0.

/** How many hosts a priority has, and how many of them may be used. */
export interface PriorityCounts {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

export interface PriorityLoad {
  /** Percent of all requests that go to this priority's healthy hosts, and to its degraded ones. */
  healthyShare: number;
  degradedShare: number;
  /** So few usable hosts that all of them are used, whatever their health. */
  panic: boolean;
}

/** `overprovisioning` and `panicThreshold` are percents; a threshold of 0 turns panic off. */
export function computePriorityLoads(
  counts: readonly PriorityCounts[],
  overprovisioning: number,
  panicThreshold: number,
): PriorityLoad[] {
  const loads = counts.map((): PriorityLoad => ({ healthyShare: 0, degradedShare: 0, panic: false }));
  const healthy = counts.map((c) => availability(c.healthy, c.total, overprovisioning));
  const degraded = counts.map((c) => availability(c.degraded, c.total, overprovisioning));
  const available = Math.min(100, sum(healthy) + sum(degraded));
  if (available > 0) {
    shareOut(loads, healthy, degraded, available);
  }
  if (panicThreshold === 0 || available === 100) {
    return loads;
  }
  for (const [priority, load] of loads.entries()) {
    const c = counts[priority] as PriorityCounts;
    load.panic = c.total === 0 || percent(c.healthy, c.total) + percent(c.degraded, c.total) < panicThreshold;
  }
  if (loads.every((load) => load.panic)) {
    shareOutByHosts(loads, counts);
  }
  return loads;
}

/** Gives each priority what it can take, in order; healthy hosts everywhere before degraded ones anywhere. */
function shareOut(
  loads: readonly PriorityLoad[],
  healthy: readonly number[],
  degraded: readonly number[],
  available: number,
): void {
  let left = 100;
  for (const [priority, load] of loads.entries()) {
    load.healthyShare = Math.min(left, Math.floor(((healthy[priority] as number) * 100) / available));
    left -= load.healthyShare;
  }
  for (const [priority, load] of loads.entries()) {
    load.degradedShare = Math.min(left, Math.floor(((degraded[priority] as number) * 100) / available));
    left -= load.degradedShare;
  }
  // What rounding left over goes to the first that can take any.
  const first = loads.find((load) => load.healthyShare > 0);
  if (first !== undefined) {
    first.healthyShare += left;
    return;
  }
  const firstDegraded = loads.find((load) => load.degradedShare > 0);
  if (firstDegraded !== undefined) {
    firstDegraded.degradedShare += left;
  }
}

/** With every priority in panic, each gets traffic by its number of hosts. */
function shareOutByHosts(loads: readonly PriorityLoad[], counts: readonly PriorityCounts[]): void {
  const total = sum(counts.map((c) => c.total));
  let left = total === 0 ? 0 : 100;
  for (const [priority, load] of loads.entries()) {
    load.degradedShare = 0;
    load.healthyShare = total === 0 ? 0 : Math.floor(((counts[priority] as PriorityCounts).total * 100) / total);
    left -= load.healthyShare;
  }
  const first = loads.find((_, priority) => (counts[priority] as PriorityCounts).total > 0);
  if (first !== undefined) {
    first.healthyShare += left;
  }
}

function availability(usable: number, total: number, overprovisioning: number): number {
  return total === 0 ? 0 : Math.min(100, Math.floor((usable * overprovisioning) / total));
}

function percent(part: number, total: number): number {
  return (100 * part) / total;
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) {
    total += value;
  }
  return total;
}
