// Whether the application is gone, in a pod whose containers share one process namespace (`shareProcessNamespace: true`): a Job with a classic
// sidecar completes when its sidecar ends too, and nobody else tells it. Processes of other containers are those of another control group;
// the pod's own `pause` is none of the application's.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Until the application is seen: a short one must not come and go between two looks. One costs a listing of /proc when nothing is new there. */
const FIRST_LOOK_MS = 50;
const LOOK_MS = 1_000;
/** A new process may join its control group a moment after it is listed: so many looks see the same list before it is trusted, until as many later. */
const SETTLED_LOOKS = 20;
/** Between two looks a script may have ended one program and not begun the next. */
const GONE_LOOKS = 2;

export class ApplicationWatch {
  readonly #proc: string;
  readonly #onSeen: () => void;
  readonly #onGone: () => void;
  #timer: NodeJS.Timeout | undefined;
  #wasThere = false;
  /** The process ids of the last look without an application. */
  #known = "";
  #looksAlike = 0;
  #goneLooks = 0;

  /** Each is called once: when application processes are seen, and when they are there no more. */
  constructor(onSeen: () => void, onGone: () => void, proc = "/proc") {
    this.#onSeen = onSeen;
    this.#onGone = onGone;
    this.#proc = proc;
  }

  start(): void {
    this.#every(FIRST_LOOK_MS);
    this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One look. */
  look(): void {
    if (this.#hasApplication()) {
      this.#goneLooks = 0;
      if (!this.#wasThere) {
        this.#wasThere = true;
        this.#onSeen();
        if (this.#timer !== undefined) {
          this.#every(LOOK_MS);
        }
      }
    } else if (this.#wasThere && ++this.#goneLooks === GONE_LOOKS) {
      this.stop();
      this.#onGone();
    }
  }

  #every(ms: number): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.look(), ms);
    this.#timer.unref();
  }

  #hasApplication(): boolean {
    const pids = readdirSync(this.#proc).filter((name) => /^\d+$/.test(name));
    const listed = pids.join(" ");
    this.#looksAlike = listed === this.#known ? this.#looksAlike + 1 : 0;
    this.#known = listed;
    if (!this.#wasThere && this.#looksAlike % SETTLED_LOOKS !== 0 && this.#looksAlike > SETTLED_LOOKS) {
      return false;
    }
    const own = this.#read("self", "cgroup");
    return pids.some((pid) => {
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
