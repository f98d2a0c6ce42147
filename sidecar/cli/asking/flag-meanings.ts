// Response flags in a sentence each, those that this proxy gives. Source: Envoy's access log documentation, %RESPONSE_FLAGS%.

export const FLAG_MEANINGS: Readonly<Record<string, string>> = {
  DC: "the client closed its connection before the answer was complete",
  DI: "the fault filter delayed the request",
  DPE: "the client's request breaks HTTP",
  DT: "the request, or its connection, took longer than it may",
  FI: "the fault filter answered",
  NC: "the route names a cluster that there is not",
  NFCF: "the configuration of a filter has not come",
  NR: "no route, or no filter chain, matches",
  OM: "the server is short of memory",
  SI: "the stream was idle for too long",
  UC: "the upstream host closed the connection before its answer was complete",
  UF: "no connection to the upstream host could be made",
  UH: "the cluster has no healthy host",
  UO: "a circuit breaker of the cluster is open: too many connections or requests",
  UPE: "the upstream host's answer breaks HTTP",
  UR: "the upstream host reset the stream",
  URX: "all attempts have failed",
  UT: "the upstream host did not answer in the route's time",
  UMSDR: "the stream took longer than it may",
  LR: "the proxy reset the stream",
};
