// One TCP connection of a case through the host: both ends act as its steps say.

import { TcpPeer, type TcpServer } from "../support/tcp-peer.ts";
import type { Answer, WaitForLine } from "./exchange.ts";

const CLOSE_DEADLINE_MS = 2_000;

/** `steps`: see CaseRow.tcp. */
export async function tcpExchange(
  steps: readonly string[],
  port: number,
  server: TcpServer,
  waitForLine: WaitForLine,
): Promise<Answer> {
  const client = await TcpPeer.connect(port);
  const accepted = steps.some((step) => step.startsWith("server"))
    ? await server.next().catch(() => undefined)
    : undefined;
  const said = { client: 0, server: 0 };
  for (const step of steps) {
    const [who = "", text = ""] = step.split(/ (.*)/s);
    if (who === "guest") {
      await waitForLine(text);
      continue;
    }
    const peer = who === "client" ? client : accepted;
    if (text === "ends") {
      peer?.end();
    } else {
      peer?.send(text);
    }
    const side = who === "client" ? "client" : "server";
    said[side] += 1;
    await waitForLine(side === "client" ? " downstream_data" : " upstream_data", said[side]);
  }
  const how = await Promise.race([client.untilClosed(), deadline()]);
  client.destroy();
  return {
    outcome: how === "end" ? "complete" : "cut",
    status: 0,
    body: client.received,
    upstream: accepted?.received ?? "",
  };
}

async function deadline(): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, CLOSE_DEADLINE_MS).unref());
  return "open";
}
