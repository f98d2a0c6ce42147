// Runs cases against one host: starts it with the scene of all of them, sends their requests, and gathers what was seen.

import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { AddressInfo } from "node:net";
import { type Case, withoutCase } from "./case.ts";
import { type Answer, exchange } from "./exchange.ts";
import { answerLines, foldedEnds, type Observation, requestLines } from "./observation.ts";
import { CaseOriginServer } from "./origin.ts";
import { listenerOf, sceneOf } from "./scene.ts";
import { type GuestLine, Subject, type SubjectKind } from "./subject.ts";

const LINE_DEADLINE_MS = 4_000;
/** The host has one worker: more at a time only wait. */
const AT_A_TIME = 16;

/** What the guests said, by case. */
class GuestLines {
  readonly streams = new Map<string, string[]>();
  readonly roots = new Map<string, Set<string>>();
  readonly #waiting = new Map<string, (() => void)[]>();

  add({ level, text }: GuestLine): void {
    const found = /^#(c\d+-\d+)(\^?) (.*)$/s.exec(text);
    const [, id = "", isRoot, said = ""] = found ?? /^(c\d+-\d+)()\b(.*)$/s.exec(text) ?? [];
    if (id === "") {
      return;
    }
    const line = level === "info" ? said : `[${level}] ${said}`;
    if (isRoot === "^") {
      this.roots.set(id, (this.roots.get(id) ?? new Set()).add(line));
    } else {
      this.streams.set(id, [...(this.streams.get(id) ?? []), line]);
    }
    for (const check of this.#waiting.get(id) ?? []) {
      check();
    }
  }

  /** Resolves when `times` lines with this text are there, or after the deadline. */
  async until(id: string, text: string, times: number): Promise<void> {
    const isThere = () => {
      const all = [...(this.streams.get(id) ?? []), ...(this.roots.get(id) ?? [])];
      return all.filter((line) => ` ${line}`.includes(text)).length >= times;
    };
    if (isThere()) {
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LINE_DEADLINE_MS);
      const check = () => {
        if (isThere()) {
          clearTimeout(timer);
          resolve();
        }
      };
      this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), check]);
    });
  }
}

/** What was seen of each case, by its id. */
export async function runCases(kind: SubjectKind, cases: readonly Case[]): Promise<Map<string, Observation>> {
  await using origin = await CaseOriginServer.start();
  const said = new GuestLines();
  const ports = { origin: origin.port, dead: await freePort() };
  await using subject = await Subject.start(
    kind,
    (folder) => sceneOf(cases, folder, ports),
    (line) => said.add(line),
  );
  for (const one of cases) {
    origin.answerFor(one.id, one.row.origin ?? {}, (times) => said.until(one.id, " response_body", times));
  }
  const answers = new Map<string, Answer[]>();
  const left = [...cases];
  const takeNext = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      answers.set(one.id, await play(one, subject, said));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, takeNext));
  const access = await accessLines(subject.accessLog, [...answers.values()].flat().length);
  const stats = await subject.stats();
  return new Map(
    cases.map((one) => [
      one.id,
      {
        answers: (answers.get(one.id) ?? []).map((answer) => answerLines(one, answer)),
        upstream: origin
          .seen(one.id)
          .map((request) => requestLines(one, request))
          .toSorted((a, b) => ((a[0] ?? "") < (b[0] ?? "") ? -1 : 1)),
        guest: foldedEnds(said.streams.get(one.id) ?? []).map((line) => withoutCase(one, line)),
        root: [...(said.roots.get(one.id) ?? [])].map((line) => withoutCase(one, line)),
        access: (access.get(one.id) ?? []).map((line) => withoutCase(one, line)),
        stats: (one.row.stats ?? []).map((name) => {
          const full = name.replaceAll("@CASE@", one.id);
          return `${name}: ${stats.get(full) ?? "none"}`;
        }),
      },
    ]),
  );
}

async function play(one: Case, subject: Subject, said: GuestLines): Promise<Answer[]> {
  const port = subject.port(listenerOf(one));
  const answers: Answer[] = [];
  const times = one.row.times ?? 1;
  for (let turn = 1; turn <= times; turn++) {
    if (port === undefined) {
      return [{ outcome: "no listener" }];
    }
    if (turn > 1 && one.row.gap_ms !== undefined) {
      await delay(one.row.gap_ms);
    }
    answers.push(await exchange(one, turn, port, (text, count) => said.until(one.id, text, count ?? 1)));
    if (one.row.until === undefined) {
      await said.until(one.id, " delete", turn);
    }
  }
  if (one.row.until !== undefined && one.row.until !== "") {
    await said.until(one.id, one.row.until, 1);
  }
  return answers;
}

/** Lines of the access log by case, when there are `count` of them or no more come. */
async function accessLines(file: string, count: number): Promise<Map<string, string[]>> {
  const deadline = Date.now() + LINE_DEADLINE_MS;
  for (;;) {
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
    if (lines.length >= count || Date.now() > deadline) {
      return Map.groupBy(lines, (line) => line.split("|")[0] ?? "")
        .entries()
        .reduce(
          (found, [id, own]) =>
            found.set(
              id,
              own.map((line) => line.slice(id.length + 1)),
            ),
          new Map<string, string[]>(),
        );
    }
    await delay(20);
  }
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
