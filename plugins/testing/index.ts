// The test API for plugin authors, as `outrigger/plugins/testing`. README.md in this folder shows it at work.

export { createSharedMemory } from "../shared-store.ts";
export type { PluginFault } from "../errors.ts";
export type { PropertyValue } from "../property-value.ts";
export type { CallValue, CallValues } from "./host-call-reader.ts";
export { type ConfigurationInput, type LoadOptions, loadPlugin, PluginLoadError } from "./load-plugin.ts";
export type { CallResponse, TestCall } from "./test-calls.ts";
export type { GrpcEnd, TestGrpcCall } from "./test-grpc-calls.ts";
export type { TestClock } from "./test-clock.ts";
export type { DataView, TestConnection } from "./test-connection.ts";
export type { HeadersInput, TestHeaders } from "./test-headers.ts";
export type { StreamOptions, TestPlugin } from "./test-plugin.ts";
export type { PropertiesInput, PropertyInput } from "./test-properties.ts";
export type { LogLevelName, LogLine, Metric } from "./test-sinks.ts";
export type {
  Action,
  BodyInput,
  MessageView,
  PartOptions,
  RequestInput,
  ResponseInput,
  TestReply,
  TestStream,
} from "./test-stream.ts";
export type { CallbackEntry, HostCallEntry, NoteEntry, TranscriptEntry } from "./transcript.ts";
