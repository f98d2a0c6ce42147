// What a request needs that nobody has asked the control plane for yet: the virtual host of its authority (VHDS), or the routes
// of its scope (SRDS, on_demand). Workers make them, the xDS client subscribes. Types only.

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
  );
