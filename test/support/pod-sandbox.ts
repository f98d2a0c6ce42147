// A pod as a node has it: one network and one process namespace with a `pause` in it, and a control group for each container. Needs root.

import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { folderWith, Launched, type Owner } from "./launcher.ts";
import { become, namespacesMissing } from "./network-namespace.ts";
import { until } from "./sidecar-story.ts";

/** Where control groups are: version 2, beside version 1, or one of version 1. */
const GROUP_ROOTS = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"];

/** Why pods cannot be made here; false when they can. For a test's `skip`. */
export function podsMissing(): string | false {
  const missing = namespacesMissing();
  if (missing !== false) return missing;
  try {
    execFileSync("unshare", ["--pid", "--fork", "--mount-proc", "true"], { stdio: "ignore" });
  } catch {
    return "missing here: unshare --pid --mount-proc (Debian: util-linux; CAP_SYS_ADMIN)";
  }
  return groupRoot() === undefined ? "missing here: a control group file system that can be written" : false;
}

function groupRoot(): string | undefined {
  return GROUP_ROOTS.find((root) => {
    const probe = join(root, `outrigger-probe-${process.pid}`);
    try {
      mkdirSync(probe);
      // A folder that is no control group has none.
      readFileSync(join(probe, "cgroup.procs"));
      return true;
    } catch {
      return false;
    } finally {
      removeGroup(probe);
    }
  });
}

function removeGroup(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not made, or a process in it is ending yet; an empty group costs nothing.
  }
}

export interface ContainerProcess {
  readonly uid: number;
  readonly env?: Readonly<Record<string, string>>;
}

export class PodSandbox {
  readonly #pause: number;
  readonly #onNode: Launched[] = [];
  /** The pod's, and in it those of its containers. */
  readonly #groups: string[];

  private constructor(pause: number, group: string) {
    this.#pause = pause;
    this.#groups = [group];
  }

  /** Gone after the test with everything in it. */
  static async create(t: Owner): Promise<PodSandbox> {
    const program = join(folderWith(t, {}), "pause");
    copyFileSync(execFileSync("sh", ["-c", "command -v sleep"], { encoding: "utf8" }).trim(), program);
    const holder = spawn("unshare", ["--net", "--pid", "--fork", "--mount-proc", program, "infinity"], {
      stdio: "ignore",
    });
    const pause = await until(
      "the pod's pause",
      () => childOf(holder.pid ?? 0),
      (pid) => pid !== undefined && readOf(pid, "comm") === "pause\n",
    );
    const group = join(groupRoot() ?? "", `outrigger-pod-${process.pid}-${pause}`);
    mkdirSync(group);
    const sandbox = new PodSandbox(pause ?? 0, group);
    t.after(async () => {
      // The first process of a process namespace takes all others with it.
      process.kill(sandbox.#pause, "SIGKILL");
      await until(
        "the pod's end",
        () => holder.exitCode ?? holder.signalCode,
        (end) => end !== null,
      );
      await Promise.all(sandbox.#onNode.map((each) => each.end("SIGKILL")));
      sandbox.#groups.toReversed().forEach(removeGroup);
    });
    execFileSync("nsenter", [`--net=/proc/${pause}/ns/net`, "ip", "link", "set", "lo", "up"], {
      env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` },
    });
    return sandbox;
  }

  /** Starts a program of the node's: in the pod's network, but none of its processes. */
  onNode(words: readonly string[]): Launched {
    const args = [`--net=/proc/${this.#pause}/ns/net`, "--", ...words];
    const launched = new Launched(spawn("nsenter", args, { stdio: ["ignore", "pipe", "pipe"] }) as never);
    this.#onNode.push(launched);
    return launched;
  }

  /** Starts a program as a container's (or, of the same name, as `kubectl exec` does). */
  start(container: string, words: readonly string[], { uid, env = {} }: ContainerProcess): SandboxProcess {
    const group = join(this.#groups[0] ?? "", container);
    if (!this.#groups.includes(group)) {
      mkdirSync(group);
      this.#groups.push(group);
    }
    // The group first: a process that is of none of the pod's containers would be an application's, for whoever looks at that moment.
    const intoGroup = ["sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', group];
    const enter = ["nsenter", `--target=${this.#pause}`, "--net", "--pid", "--mount", "--"];
    const user = uid === 0 ? [] : become({ uid });
    const [program = "", ...args] = [...intoGroup, ...enter, ...user, ...words];
    const child = spawn(program, args, { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] });
    return new SandboxProcess(child);
  }
}

export class SandboxProcess extends Launched {
  readonly stdin: NodeJS.WritableStream;
  readonly #nsenter: number;

  constructor(child: ReturnType<typeof spawn>) {
    super(child as never);
    this.stdin = child.stdin as NodeJS.WritableStream;
    this.#nsenter = child.pid ?? 0;
  }

  /** To the program itself: nsenter waits for it. */
  signal(signal: NodeJS.Signals): void {
    process.kill(childOf(this.#nsenter) ?? 0, signal);
  }
}

function childOf(pid: number): number | undefined {
  const child = Number(readOf(pid, `task/${pid}/children`).trim().split(" ")[0]);
  return child > 0 ? child : undefined;
}

function readOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
