// `outrigger iptables validate`: stands where the sidecar will, opens connections as the application and as the sidecar would, and
// sees whether they arrive with the address that they were meant for. Before the sidecar starts: it listens on the same ports.

import { once } from "node:events";
import { createServer, isIPv6, type Server, Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { setImmediate } from "node:timers/promises";
import type { CaptureSettings } from "../../interception/capture-settings.ts";
import { type Destination, descriptorOf, IP_TRANSPARENT, socketOptions } from "../../socket-options.ts";
import type { CliIo } from "../verb.ts";
import type { IptablesOptions } from "./capture-flags.ts";

/** Addresses for documentation: nobody has them, so that only capture can answer (RFC 5737, RFC 3849). */
const ELSEWHERE = { v4: "192.0.2.1", v6: "2001:db8::1" } as const;

interface Check {
  readonly name: string;
  readonly target: Destination;
  /** Who connects: the application, or the sidecar, whose calls to its own pod are captured inbound. */
  readonly as: "application" | "sidecar";
  readonly port: number;
}

/** `captured`, or why not; `unknown`: it could not be tried. */
type Outcome = { readonly kind: "captured" } | { readonly kind: "failed" | "unknown"; readonly why: string };

/** The exit code: 0 when every check that could be tried was captured, and at least one could. */
export async function validateCapture(options: IptablesOptions, io: CliIo): Promise<number> {
  const { settings } = options;
  const seen = new Arrivals();
  try {
    const checks = checksOf(settings, options.probePort);
    for (const port of new Set(checks.map((check) => check.port))) {
      await seen.listen(port, settings);
    }
    let captured = 0;
    let failures = 0;
    for (const check of checks) {
      const outcome = await perform(check, settings, options.probeTimeoutMs, seen, io);
      const what = `${check.name}: ${addressText(check.target)}`;
      if (outcome.kind === "captured") {
        captured++;
        io.out(`${what} arrives at port ${check.port} with its original destination\n`);
      } else {
        failures += outcome.kind === "failed" ? 1 : 0;
        io.err(
          `outrigger iptables: ${what} ${outcome.kind === "failed" ? "is not captured" : "was not tried"}: ${outcome.why}\n`,
        );
      }
    }
    if (captured === 0 && failures === 0) {
      io.err("outrigger iptables: nothing could be tried\n");
    }
    return failures === 0 && captured > 0 ? 0 : 1;
  } catch (error) {
    io.err(`outrigger iptables: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    seen.close();
  }
}

function checksOf(settings: CaptureSettings, probePort: number): readonly Check[] {
  const { inboundPorts, outboundCidrs } = settings;
  const checks: Check[] = [];
  for (const [family, elsewhere] of [
    ["IPv4", ELSEWHERE.v4],
    ["IPv6", ELSEWHERE.v6],
  ] as const) {
    const own = ownAddress(family);
    if (own === undefined) {
      continue;
    }
    const range =
      outboundCidrs === "all" ? elsewhere : outboundCidrs.find((cidr) => cidr.includes(":") === isIPv6(elsewhere));
    if (range !== undefined) {
      const target = { host: range.replace(/\/.*/, ""), port: settings.outboundPorts[0] ?? probePort };
      checks.push({ name: `outbound ${family}`, target, as: "application", port: settings.outboundPort });
    }
    if (inboundPorts.length > 0) {
      const port = inboundPorts === "all" ? probePort : (inboundPorts[0] as number);
      checks.push({
        name: `inbound ${family}`,
        target: { host: own, port },
        as: "sidecar",
        port: settings.inboundPort,
      });
    }
  }
  return checks;
}

function ownAddress(family: "IPv4" | "IPv6"): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((each) => each.family === family && !each.internal && !/^fe[89ab]/i.test(each.address))?.address;
}

async function perform(
  check: Check,
  settings: CaptureSettings,
  timeoutMs: number,
  seen: Arrivals,
  io: CliIo,
): Promise<Outcome> {
  const socket = new Socket();
  let failure = "";
  socket.on("error", (error: NodeJS.ErrnoException) => (failure = error.code ?? error.message));
  const restore = assume(check, settings, io);
  if (typeof restore === "string") {
    return { kind: "unknown", why: restore };
  }
  const arrived = seen.expect(check.port, check.target);
  try {
    socket.connect(check.target);
    // The socket is made in this turn, and has the user of this moment.
    await setImmediate();
  } finally {
    restore();
  }
  try {
    const deadline = AbortSignal.timeout(timeoutMs);
    const closed = once(socket, "close", { signal: deadline }).then(() => "closed" as const);
    const result = await Promise.race([arrived.then(() => "captured" as const), closed]).catch(
      () => "timeout" as const,
    );
    if (result === "captured") {
      return { kind: "captured" };
    }
    const noRoute = failure === "ENETUNREACH" || failure === "EADDRNOTAVAIL";
    return noRoute
      ? { kind: "unknown", why: "there is no route to it" }
      : { kind: "failed", why: failure === "" ? `nothing arrived within ${timeoutMs} ms` : failure };
  } finally {
    socket.destroy();
  }
}

/** Becomes the user that connects; what it gives back undoes that. A text: why this process cannot. */
function assume({ as }: Check, settings: CaptureSettings, io: CliIo): (() => void) | string {
  const uid = io.user?.uid;
  const isSidecar = uid !== undefined && settings.proxyUids.includes(String(uid));
  if (as === "application") {
    return isSidecar ? `user ${uid} is the sidecar's` : () => undefined;
  }
  if (isSidecar) {
    return () => undefined;
  }
  const owner = settings.proxyUids.find((each) => /^\d+$/.test(each));
  if (owner === undefined || io.user === undefined || !io.user.become(Number(owner))) {
    return `needs to run as the sidecar's user ${settings.proxyUids.join(", ")}, or as root with CAP_SETUID`;
  }
  const { user } = io;
  return () => void user.become(user.uid);
}

/** Listens where captured connections go, and knows where each was meant to go. */
class Arrivals {
  readonly #servers: Server[] = [];
  readonly #waiting = new Map<string, () => void>();

  async listen(port: number, settings: CaptureSettings): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      this.#waiting.get(`${port} ${addressText(destinationOf(socket))}`)?.();
      socket.destroy();
    });
    this.#servers.push(server);
    server.listen({ port, host: ownAddress("IPv6") === undefined ? "0.0.0.0" : "::", exclusive: true });
    try {
      await once(server, "listening");
    } catch (error) {
      const reason = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      throw new Error(
        reason
          ? `port ${port} is in use: validate before the sidecar starts`
          : `cannot listen on port ${port}: ${String(error)}`,
        { cause: error },
      );
    }
    if (settings.mode === "TPROXY" && port === settings.inboundPort) {
      const fd = descriptorOf(server);
      const options = socketOptions();
      const [v4, v6] = [options.set(fd, ...IP_TRANSPARENT.v4, 1), options.set(fd, ...IP_TRANSPARENT.v6, 1)];
      if (!v4 && !v6) {
        throw new Error("a transparent socket is refused: it needs CAP_NET_ADMIN");
      }
    }
  }

  expect(port: number, target: Destination): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(`${port} ${addressText(target)}`, resolve));
  }

  close(): void {
    for (const server of this.#servers) {
      server.close();
    }
  }
}

function destinationOf(socket: Socket): Destination {
  const local = (socket.localAddress ?? "").replace(/^::ffff:/, "");
  return (
    socketOptions().originalDestination(descriptorOf(socket), isIPv6(local)) ?? {
      host: local,
      port: socket.localPort ?? 0,
    }
  );
}

function addressText({ host, port }: Destination): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
