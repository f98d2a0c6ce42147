// Heads that wait for their first body bytes, for at most the rest of the event loop's turn: most bodies follow at once, and
// then head and body leave in one write. One callback a turn for all of them, not one a head: that is what it saves.

/** A connection whose head may be waiting; `flush` sends it, and does nothing when it has gone already. */
export interface Flushable {
  flush(): void;
}

let waiting: Flushable[] = [];

/** Sends the head of `connection` when this turn of the event loop is over, if it is still there. */
export function flushSoon(connection: Flushable): void {
  if (waiting.push(connection) === 1) {
    setImmediate(flushAll);
  }
}

function flushAll(): void {
  const due = waiting;
  waiting = [];
  for (const connection of due) {
    connection.flush();
  }
}
