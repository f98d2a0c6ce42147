// Network namespaces of a test's own: real interfaces, rules and sockets that nobody outside sees. Needs root, as in .ci/run.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Owner } from "./launcher.ts";

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What must work, by the name that a skipped test shows. The commands run in a fresh namespace. */
const NEEDS: readonly (readonly [name: string, command: string])[] = [
  ["ip (Debian: iproute2)", "command -v ip"],
  ["nft (Debian: nftables)", "command -v nft"],
  ["iptables-restore (Debian: iptables)", "command -v iptables-restore && command -v ip6tables-restore"],
  ["setpriv and nsenter (Debian: util-linux)", "command -v setpriv && command -v nsenter"],
  ["veth pairs in the kernel", "ip link add veth-a type veth peer name veth-b"],
  [
    "nftables with NAT, REDIRECT and owner matches in the kernel",
    "nft 'table inet a { chain b { type nat hook output priority -100; meta skuid 1 meta l4proto tcp redirect to :1; }; }'",
  ],
  [
    "TPROXY in the kernel",
    "nft 'table inet c { chain d { type filter hook prerouting priority mangle; ip daddr 1.2.3.4 meta l4proto tcp tproxy ip to :1; }; }'",
  ],
  [
    "iptables REDIRECT in the kernel",
    "iptables -t nat -A OUTPUT -p tcp -m owner --uid-owner 1 -j REDIRECT --to-ports 1",
  ],
];

let missing: string | false | undefined;

/** Why tests with namespaces cannot run here; false when they can. For a test's `skip`. */
export function namespacesMissing(): string | false {
  missing ??= findMissing();
  return missing;
}

function findMissing(): string | false {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces with an unprivileged sidecar in them need root";
  const script = NEEDS.map(([name, command]) => `{ ${command}; } >/dev/null 2>&1 || { echo '${name}'; exit 0; }`).join(
    "\n",
  );
  try {
    const found = execFileSync("unshare", ["--net", "sh", "-c", script], {
      encoding: "utf8",
      env: environment(),
    }).trim();
    return found === "" ? false : `missing here: ${found}`;
  } catch {
    return "missing here: unshare --net (Debian: util-linux; CAP_SYS_ADMIN)";
  }
}

/** nft and iptables are in /usr/sbin, which not every PATH has. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, PATH = "", ...env } = process.env;
  return { ...env, PATH: `${PATH}:/usr/sbin:/sbin` };
}

/** A cache that the user may write, as in an injected pod, and that is still there at the next run: root's cannot be read. */
function cacheOf({ uid }: User): string {
  const folder = join(import.meta.dirname, "../../.cache", `uid-${uid}`);
  mkdirSync(folder, { recursive: true });
  chownSync(folder, uid, uid);
  return folder;
}

export class NetworkNamespace {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  /** Empty but for lo, which is up. Gone after the test, with everything that runs in it by `run`. */
  static async create(t: Owner): Promise<NetworkNamespace> {
    const script = "ip link set lo up && echo up && exec cat";
    const holder = spawn("unshare", ["--net", "sh", "-c", script], {
      env: environment(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.after(async () => {
      holder.kill("SIGKILL");
      if (holder.exitCode === null && holder.signalCode === null) await once(holder, "close");
    });
    await once(holder.stdout, "data");
    return new NetworkNamespace(holder);
  }

  get pid(): number {
    return this.#holder.pid as number;
  }

  /** Starts a program in it, as root or as somebody else. */
  spawn(program: string, args: readonly string[], user?: User): ChildProcess {
    const words = user === undefined ? [program] : [...become(user), program];
    return spawn("nsenter", [`--net=/proc/${this.pid}/ns/net`, "--", ...words, ...args], {
      env: user === undefined ? environment() : { ...environment(), XDG_CACHE_HOME: cacheOf(user) },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  /** Runs a program in it to its end. */
  async run(program: string, args: readonly string[], input = "", user?: User): Promise<Ran> {
    const child = this.spawn(program, args, user);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stdout, stderr };
  }

  /** Runs lines of sh; fails with what they said. Gives their output. */
  async sh(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.run("sh", ["-e"], script);
    if (code !== 0) throw new Error(`${script}\nended with ${code}: ${stderr}`);
    return stdout;
  }
}

/** A user and the group of the same number, with this capability or none. */
export interface User {
  readonly uid: number;
  readonly capability?: string;
}

/** Words before a program that make it run as a user. */
export function become({ uid, capability }: User): string[] {
  const kept = capability === undefined ? "" : `,+${capability}`;
  return [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${uid}`,
    "--clear-groups",
    `--bounding-set=-all${kept}`,
    `--inh-caps=-all${kept}`,
    `--ambient-caps=-all${kept}`,
    "--no-new-privs",
  ];
}
