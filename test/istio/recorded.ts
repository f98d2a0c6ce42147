// What istiod sent for mesh/, and what Envoy answered with it: fixtures/istio/recorded.json, written by compare.ts --record.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Answer } from "./requests.ts";

const ROOT = join(import.meta.dirname, "../..");
export const FIXTURE = join(ROOT, "test/fixtures/istio/recorded.json");

export interface Recorded {
  /** Resources in JSON, with their types; `__NAME__` stands for the port of a backend. */
  readonly pushed: readonly { readonly [key: string]: unknown }[];
  /** Of requests.ts, in its order. */
  readonly answers: readonly Answer[];
}

/** With the ports of backends; listeners are on port 0. */
export function recorded(ports: Readonly<Record<string, number>>): Recorded {
  const text = readFileSync(FIXTURE, "utf8").replaceAll("__ROOT__", ROOT);
  const filled = text.replace(/"__(\w+?)__"/g, (_, name: string) => String(ports[name]));
  const { pushed, answers } = JSON.parse(filled) as Recorded;
  return { pushed: pushed.map(onPortZero), answers };
}

/** Its chains ask for the port that istiod has given it. */
function onPortZero(resource: Recorded["pushed"][number]): Recorded["pushed"][number] {
  if (!String(resource["@type"]).endsWith(".Listener")) return resource;
  const chains = JSON.stringify(resource["filter_chains"], (key, value: unknown) =>
    key === "destination_port" ? undefined : value,
  );
  const address = { socket_address: { address: "127.0.0.1", port_value: 0 } };
  return { ...resource, address, filter_chains: JSON.parse(chains) as unknown };
}
