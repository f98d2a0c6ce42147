// Names of what injection adds to a pod. They are part of the contract: `kubectl logs -c`, NetworkPolicies and dashboards name them.

export const PROXY_CONTAINER = "outrigger-proxy";
export const INIT_CONTAINER = "outrigger-init";

export const DATA_VOLUME = "outrigger-data";
export const TOKEN_VOLUME = "outrigger-token";
export const CA_VOLUME = "outrigger-ca";
export const BOOTSTRAP_VOLUME = "outrigger-bootstrap";
