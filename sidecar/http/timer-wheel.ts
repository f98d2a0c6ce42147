// Timeouts for streams and connections: a hashed wheel, so that arming and cancelling one costs a few stores.
// Hot path: Node's own timers cost about ten times as much for something that almost never fires.
// Below one second the wheel's step would show, so those deadlines use a real timer.

const STEP_MS = 50;
const SLOTS = 1024;
const EXACT_BELOW_MS = 1_000;

/** One deadline. Embed it in its owner, arm it again and again; `onDeadline` runs at most once for each arming. */
export class Deadline {
  readonly owner: DeadlineOwner;
  /** What ran out, for an owner with several deadlines. */
  readonly kind: number;
  /** Wheel bookkeeping. */
  previous: Deadline | undefined = undefined;
  next: Deadline | undefined = undefined;
  slot = -1;
  rounds = 0;
  timer: NodeJS.Timeout | undefined = undefined;

  constructor(owner: DeadlineOwner, kind: number) {
    this.owner = owner;
    this.kind = kind;
  }

  get isArmed(): boolean {
    return this.slot >= 0 || this.timer !== undefined;
  }
}

export interface DeadlineOwner {
  onDeadline(kind: number): void;
}

/** One for each worker. It ticks only while a deadline is armed and never keeps the process alive by itself. */
export class TimerWheel {
  readonly #slots: (Deadline | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  #cursor = 0;
  #armed = 0;
  #ticker: NodeJS.Timeout | undefined = undefined;
  #lastTick = 0;

  /** Arms `deadline` for `delayMs` from now, replacing an earlier arming. Zero or less disarms it. */
  arm(deadline: Deadline, delayMs: number): void {
    this.cancel(deadline);
    if (delayMs <= 0) {
      return;
    }
    if (delayMs < EXACT_BELOW_MS) {
      deadline.timer = setTimeout(fire, delayMs, deadline);
      return;
    }
    const steps = Math.ceil(delayMs / STEP_MS);
    const slot = (this.#cursor + steps) % SLOTS;
    deadline.rounds = Math.floor((steps - 1) / SLOTS);
    deadline.slot = slot;
    const head = this.#slots[slot];
    deadline.next = head;
    if (head !== undefined) {
      head.previous = deadline;
    }
    this.#slots[slot] = deadline;
    if (this.#armed++ === 0 && this.#ticker === undefined) {
      this.#lastTick = performance.now();
      this.#ticker = setInterval(() => this.#tick(), STEP_MS);
      this.#ticker.unref();
    }
  }

  cancel(deadline: Deadline): void {
    if (deadline.timer !== undefined) {
      clearTimeout(deadline.timer);
      deadline.timer = undefined;
      return;
    }
    if (deadline.slot < 0) {
      return;
    }
    if (deadline.previous === undefined) {
      this.#slots[deadline.slot] = deadline.next;
    } else {
      deadline.previous.next = deadline.next;
    }
    if (deadline.next !== undefined) {
      deadline.next.previous = deadline.previous;
    }
    deadline.previous = undefined;
    deadline.next = undefined;
    deadline.slot = -1;
    this.#armed--;
  }

  /** Stops ticking; deadlines still armed never fire. */
  close(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #tick(): void {
    if (this.#armed === 0) {
      this.close();
      return;
    }
    // A late tick catches up, so a busy worker's deadlines do not drift.
    const due = Math.floor((performance.now() - this.#lastTick) / STEP_MS);
    for (let step = 0; step < due && step < SLOTS; step++) {
      this.#cursor = (this.#cursor + 1) % SLOTS;
      this.#expire(this.#cursor);
    }
    this.#lastTick += due * STEP_MS;
  }

  #expire(slot: number): void {
    let deadline = this.#slots[slot];
    const due: Deadline[] = [];
    while (deadline !== undefined) {
      if (deadline.rounds === 0) {
        due.push(deadline);
      } else {
        deadline.rounds--;
      }
      deadline = deadline.next;
    }
    for (const expired of due) {
      // An owner's reaction may have cancelled a neighbour.
      if (expired.slot === slot) {
        this.cancel(expired);
        expired.owner.onDeadline(expired.kind);
      }
    }
  }
}

function fire(deadline: Deadline): void {
  deadline.timer = undefined;
  deadline.owner.onDeadline(deadline.kind);
}
