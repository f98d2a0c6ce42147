// Whether the application is gone, in a pod whose containers share one process namespace (`shareProcessNamespace: true`): a Job with a classic
// sidecar completes when its sidecar ends too, and nobody else tells it. Processes of other containers are those of another control group;
// the pod's own `pause` is none of the application's.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const LOOK_MS = 1_000;
/** Between two looks a script may have ended one program and not begun the next. */
const GONE_LOOKS = 2;

export class ApplicationWatch {
  readonly #proc: string;
  readonly #onGone: () => void;
  #timer: NodeJS.Timeout | undefined;
  #wasThere = false;
  #goneLooks = 0;

  /** `onGone` is called once, when application processes were seen and are there no more. */
  constructor(onGone: () => void, proc = "/proc") {
    this.#onGone = onGone;
    this.#proc = proc;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
    this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One look. */
  look(): void {
    if (this.#hasApplication()) {
      this.#wasThere = true;
      this.#goneLooks = 0;
    } else if (this.#wasThere && ++this.#goneLooks === GONE_LOOKS) {
      this.stop();
      this.#onGone();
    }
  }

  #hasApplication(): boolean {
    const own = this.#read("self", "cgroup");
    return readdirSync(this.#proc).some((pid) => {
      if (!/^\d+$/.test(pid)) {
        return false;
      }
      const group = this.#read(pid, "cgroup");
      // A process that ended while we looked has none; a zombie is over, too.
      return (
        group !== "" &&
        group !== own &&
        this.#read(pid, "comm") !== "pause\n" &&
        !/^State:\s+[ZX]/m.test(this.#read(pid, "status"))
      );
    });
  }

  #read(pid: string, file: string): string {
    try {
      return readFileSync(join(this.#proc, pid, file), "utf8");
    } catch {
      return "";
    }
  }
}
