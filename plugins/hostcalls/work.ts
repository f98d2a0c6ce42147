// What host calls cost a guest, in fuel, besides the same for each call (metering/instrumenter.ts) and for each byte (memory.ts):
// about 2 units a nanosecond of the worker's time. Measured by test/bench/host-floods.ts; a callback that spends all its fuel on
// one host function should take no longer than one that loops. The same arguments cost the same whatever else happens.

/** Added to `vm.memory.work`. */
export const Work = {
  GetProperty: 2_000,
  SetProperty: 1_500,
  /** A byte of a property declared as a message, which is taken apart when somebody looks into it. */
  MessageByte: 64,
  DeclareProperty: 1_500,
  ReadShared: 500,
  WriteShared: 3_000,
  RegisterQueue: 4_000,
  Enqueue: 1_500,
  DefineMetric: 1_000,
  ReadKey: 200_000,
  /** With an RSA key of 2048 bits; eight times that for twice the bits, and four times for a check. */
  Sign: 2_000_000,
  Verify: 150_000,
  TimerChange: 1_000,
  /** What the start of a gRPC call or stream takes, most of it when the callback has returned. */
  StartGrpcCall: 100_000,
  SendGrpcMessage: 4_000,
  /** A byte of a body that has to be moved to make room. */
  MovedBodyByte: 4,
  /** A field of a map that is looked through, when there are many. */
  Field: 48,
  /** A field of a map that is written into the guest's memory, when there are many. */
  WrittenField: 150,
  /** An entry of a property that is a map or a list. */
  PropertyEntry: 3_000,
} as const;

/** Maps with fewer fields cost no more than one field. */
export const MANY_FIELDS = 64;
