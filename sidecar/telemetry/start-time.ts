// Time formats of %START_TIME(…)%: absl's FormatTime directives, and Envoy's own %s, %f and %Nf. Times are UTC.
// Compiled once into steps; called by format-operators.ts.

type TimeStep = (date: Date, ms: number) => string;

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

const DIRECTIVES: Readonly<Record<string, TimeStep>> = {
  Y: (date) => String(date.getUTCFullYear()),
  y: (date) => pad(date.getUTCFullYear() % 100, 2),
  m: (date) => pad(date.getUTCMonth() + 1, 2),
  d: (date) => pad(date.getUTCDate(), 2),
  e: (date) => String(date.getUTCDate()).padStart(2, " "),
  H: (date) => pad(date.getUTCHours(), 2),
  I: (date) => pad(date.getUTCHours() % 12 || 12, 2),
  M: (date) => pad(date.getUTCMinutes(), 2),
  S: (date) => pad(date.getUTCSeconds(), 2),
  p: (date) => (date.getUTCHours() < 12 ? "AM" : "PM"),
  j: (date) => pad(Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0)) / 86_400_000) + 1, 3),
  a: (date) => (DAYS[date.getUTCDay()] ?? "").slice(0, 3),
  A: (date) => DAYS[date.getUTCDay()] ?? "",
  b: (date) => (MONTHS[date.getUTCMonth()] ?? "").slice(0, 3),
  B: (date) => MONTHS[date.getUTCMonth()] ?? "",
  u: (date) => String(date.getUTCDay() || 7),
  w: (date) => String(date.getUTCDay()),
  s: (_, ms) => String(Math.floor(ms / 1_000)),
  f: (_, ms) => fraction(ms, 9),
  F: (date) => iso(date, 0, 10),
  T: (date) => iso(date, 11, 19),
  R: (date) => iso(date, 11, 16),
  D: (date) => `${pad(date.getUTCMonth() + 1, 2)}/${pad(date.getUTCDate(), 2)}/${pad(date.getUTCFullYear() % 100, 2)}`,
  Z: () => "UTC",
  z: () => "+0000",
  Ez: () => "+00:00",
  n: () => "\n",
  t: () => "\t",
  "%": () => "%",
};

const DIRECTIVE = /%(?:E(\d|\*)S|([1-9])f|(Ez|[A-Za-z%]))/g;

/** undefined means that `format` holds a directive nobody knows. An empty format is Envoy's: `2026-01-31T12:34:56.789Z`. */
export function compileStartTime(format: string): ((ms: number) => string) | undefined {
  if (format === "") {
    return isoWriter();
  }
  const steps: TimeStep[] = [];
  let at = 0;
  for (const found of format.matchAll(DIRECTIVE)) {
    addLiteral(steps, format.slice(at, found.index));
    at = found.index + found[0].length;
    const step = stepOf(found);
    if (step === undefined) {
      return undefined;
    }
    steps.push(step);
  }
  addLiteral(steps, format.slice(at));
  return (ms) => {
    const date = new Date(ms);
    let text = "";
    for (const step of steps) {
      text += step(date, ms);
    }
    return text;
  };
}

/** Writes the ISO form, keeping the text of the last second: a log has many lines of the same one. */
function isoWriter(): (ms: number) => string {
  let second = Number.NaN;
  let text = "";
  return (ms) => {
    const at = Math.floor(ms / 1_000);
    if (at !== second) {
      second = at;
      text = iso(new Date(at * 1_000), 0, 20);
    }
    return `${text + pad(Math.floor(ms) - at * 1_000, 3)}Z`;
  };
}

function stepOf([, seconds, digits, name]: readonly (string | undefined)[]): TimeStep | undefined {
  if (seconds !== undefined) {
    const places = seconds === "*" ? 6 : Number(seconds);
    return (date, ms) => pad(date.getUTCSeconds(), 2) + (places === 0 ? "" : `.${fraction(ms, places)}`);
  }
  if (digits !== undefined) {
    const places = Number(digits);
    return (_, ms) => fraction(ms, places);
  }
  return name !== undefined && Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
}

function addLiteral(steps: TimeStep[], text: string): void {
  if (text !== "") {
    steps.push(() => text);
  }
}

/** Digits after the second, cut and not rounded. A double holds today's milliseconds to about 0.2 µs. */
function fraction(ms: number, places: number): string {
  const micros = Math.floor((ms - Math.floor(ms / 1_000) * 1_000) * 1_000);
  return `${pad(micros, 6)}000`.slice(0, places);
}

/** An invalid time is written as the epoch: a log line must never throw. */
function iso(date: Date, from: number, to: number): string {
  return (Number.isNaN(date.getTime()) ? new Date(0) : date).toISOString().slice(from, to);
}

function pad(value: number, places: number): string {
  return String(value).padStart(places, "0");
}
