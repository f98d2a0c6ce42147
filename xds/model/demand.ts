// What a request needs that nobody has asked the control plane for yet: the virtual host of its authority (VHDS), the routes
// of its scope (SRDS, on_demand), or the cluster that its route names (CDS on demand). Workers make them, the xDS client
// subscribes. Types only.

import type { ConfigSource } from "./config-source.ts";

export type Demand = Readonly<{
  /** Equal for equal demands. */
  key: string;
}> &
  (
    | Readonly<{
        kind: "host";
        /** The route configuration, and the name of the VHDS resource that is asked for: `routes/authority`. */
        routes: string;
        name: string;
      }>
    | Readonly<{ kind: "scope"; name: string }>
    | Readonly<{ kind: "cluster"; name: string; source: ConfigSource }>
  );
