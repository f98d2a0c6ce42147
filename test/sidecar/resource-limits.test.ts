import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { resourceLimits, workerHeapMib, workersFor } from "../../sidecar/resource-limits.ts";

const MIB = 1_048_576;
const from = (files: Readonly<Record<string, string>>) => resourceLimits((path) => files[path]);

suite("resourceLimits()", () => {
  const cases: readonly { name: string; files: Readonly<Record<string, string>>; cpus?: number; mib?: number }[] = [
    { name: "no control groups", files: {} },
    {
      name: "version 2 in a container, where the mount begins at the group",
      files: {
        "/proc/self/cgroup": "0::/\n",
        "/sys/fs/cgroup/cpu.max": "150000 100000\n",
        "/sys/fs/cgroup/memory.max": "268435456\n",
      },
      cpus: 1.5,
      mib: 256,
    },
    {
      name: "version 2 without limits",
      files: {
        "/proc/self/cgroup": "0::/\n",
        "/sys/fs/cgroup/cpu.max": "max 100000\n",
        "/sys/fs/cgroup/memory.max": "max\n",
      },
    },
    {
      name: "version 2 on a node: the narrowest on the way up counts",
      files: {
        "/proc/self/cgroup": "0::/kubepods/pod1/c1\n",
        "/sys/fs/cgroup/kubepods/pod1/c1/cpu.max": "400000 100000",
        "/sys/fs/cgroup/kubepods/pod1/cpu.max": "200000 100000",
        "/sys/fs/cgroup/kubepods/pod1/memory.max": "1073741824",
      },
      cpus: 2,
      mib: 1_024,
    },
    {
      name: "version 1, with the number that means no limit",
      files: {
        "/proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      },
      cpus: 0.5,
    },
    {
      name: "version 1 without a quota",
      files: {
        "/proc/self/cgroup": "3:cpu:/\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
      },
    },
  ];
  for (const { name, files, cpus, mib } of cases) {
    test(name, () => {
      const limits = from(files);
      assert.equal(limits.cpus, cpus);
      assert.equal(limits.memoryBytes, mib === undefined ? undefined : mib * MIB);
    });
  }
});

const limits = (cpus: number | undefined, mib: number | undefined) => ({
  cpus,
  memoryBytes: mib === undefined ? undefined : mib * MIB,
});

test("workersFor() follows processors, the quota, and the memory, and is at least 1", () => {
  assert.equal(workersFor(limits(undefined, undefined), 8), 8);
  assert.equal(workersFor(limits(0.5, undefined), 8), 1);
  assert.equal(workersFor(limits(2.5, 1_024), 8), 3);
  assert.equal(workersFor(limits(undefined, 128), 64), 2);
  assert.equal(workersFor(limits(undefined, 32), 64), 1);
});

test("workerHeapMib() leaves room for what is outside heaps", () => {
  assert.equal(workerHeapMib(limits(undefined, undefined), 4), undefined);
  assert.equal(workerHeapMib(limits(undefined, 1_024), 2), 288);
  assert.equal(workerHeapMib(limits(undefined, 128), 1), 38);
  assert.equal(workerHeapMib(limits(undefined, 64), 4), 32);
});
