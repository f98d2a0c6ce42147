// Runs cases against one host: starts it with the scene of all of them, sends their requests, and gathers what was seen.

import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type Case, withoutCase } from "./case.ts";
import { type Answer, exchange } from "./exchange.ts";
import { GuestLines } from "./guest-lines.ts";
import { answerLines, foldedEnds, type Observation, requestLines } from "./observation.ts";
import { CaseOriginServer } from "./origin.ts";
import { GrpcOrigin } from "../support/grpc-origin.ts";
import { TcpServer } from "../support/tcp-peer.ts";
import { listenerOf, sceneOf } from "./scene.ts";
import { Subject, type SubjectKind } from "./subject.ts";
import { tcpExchange } from "./tcp-exchange.ts";

const LINE_DEADLINE_MS = 4_000;
/** The host has one worker: more at a time only wait. */
const AT_A_TIME = 16;

/** What was seen of each case, by its id. */
export async function runCases(kind: SubjectKind, cases: readonly Case[]): Promise<Map<string, Observation>> {
  await using servers = new AsyncDisposableStack();
  const origin = servers.use(await CaseOriginServer.start());
  const grpc = servers.use(await GrpcOrigin.start());
  const tcp = new Map<string, TcpServer>();
  for (const { id, row } of cases) {
    if (row.tcp !== undefined) {
      tcp.set(id, servers.use(await TcpServer.start()));
    }
  }
  const said = new GuestLines();
  const ports = {
    origin: origin.port,
    grpc: grpc.port,
    tcp: new Map([...tcp].map(([id, { port }]) => [id, port])),
  };
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
      answers.set(one.id, await play(one, subject, said, tcp.get(one.id)));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, takeNext));
  await takeAway(cases, subject, said);
  const requests = cases.filter(({ row }) => row.tcp === undefined).flatMap(({ id }) => answers.get(id) ?? []);
  const access = await accessLines(subject.scene.accessLog, requests.length);
  const stats = await subject.stats();
  return new Map(
    cases.map((one) => [
      one.id,
      {
        answers: (answers.get(one.id) ?? []).map((answer) => answerLines(one, answer)),
        upstream: [
          ...(answers.get(one.id) ?? []).flatMap(({ upstream }) => (upstream === undefined ? [] : [[upstream]])),
          ...origin
            .seen(one.id)
            .map((request) => requestLines(one, request))
            .toSorted((a, b) => ((a[0] ?? "") < (b[0] ?? "") ? -1 : 1)),
        ],
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

/** Takes the listeners away of which a case wants to see the end, and waits for that of their root contexts. */
async function takeAway(cases: readonly Case[], subject: Subject, said: GuestLines): Promise<void> {
  const removed = cases.filter(({ row }) => row.removed === true);
  if (removed.length > 0) {
    subject.scene.removeListeners();
    await Promise.all(removed.map(({ id }) => said.until(id, " delete", 1)));
  }
}

async function play(one: Case, subject: Subject, said: GuestLines, tcp: TcpServer | undefined): Promise<Answer[]> {
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
    const waitForLine = (text: string, count = 1) => said.until(one.id, text, count);
    answers.push(
      tcp === undefined
        ? await exchange(one, turn, port, waitForLine)
        : await tcpExchange(one.row.tcp ?? [], port, tcp, waitForLine),
    );
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
